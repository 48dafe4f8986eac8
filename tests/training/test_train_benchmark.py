"""The benchmark of training: both sides train, its numbers agree with each other, and a swapped part shows."""

import json

import pytest

from benchmarks import train
from benchmarks.__main__ import main
from benchmarks.train_models import Stopwatch


def test_the_factors_lead_from_their_step_to_ours() -> None:
    parts = {"vae": 3.0, "text": 1.0, "data": 0.5, "optimizer": 2.0, "ema": 1.0}
    same = {"seconds": 10.0, "parts": parts}
    ours = {"seconds": 2.0, "parts": {"waiting": 0.1, "optimizer": 0.5, "ema": 0.25}}
    found = train.factors(20.0, same, ours)
    assert found["bf16"] == 2
    assert found["precomputed_latents"] == pytest.approx(10 / 7)
    assert found["cached_text"] == pytest.approx(7 / 6)
    assert found["read_ahead"] == pytest.approx(6 / 5.6)
    assert found["fused_adamw"] == pytest.approx(5.6 / 4.1)
    product = 1.0
    for factor in found.values():
        product *= factor
    assert product == pytest.approx(20 / 2)


def test_a_stopwatch_counts_what_it_watches() -> None:
    watch = Stopwatch()
    numbers = [3, 1, 2]

    class Sorter:
        def sort(self, reverse: bool) -> list[int]:
            return sorted(numbers, reverse=reverse)

    sorter = Sorter()
    watch.watch(sorter, "sort", "sorting")
    assert sorter.sort(reverse=True) == [3, 2, 1]
    assert 0 < watch.per_step(1)["sorting"] < 1


@pytest.mark.slow
def test_the_command_reports_both_sides(capfd: pytest.CaptureFixture[str]) -> None:
    call = "train --tiny --size 32 --batch 2 --accumulate 2 --steps 2 --threads 1 --json"
    assert main(call.split()) == 0
    report = json.loads(capfd.readouterr().out)
    product = 1.0
    for factor in report["factors"].values():
        product *= factor
    assert product == pytest.approx(report["ratio"])
    assert report["ratio"] == pytest.approx(
        report["samples_per_second"] / report["samples_per_second_diffusers"]
    )
    for side in ("", "_diffusers", "_diffusers_same_dtype"):
        assert 0.2 < report[f"peak_gib{side}"] < 4
        parts = report[f"parts{side}"]
        assert all(parts[name] > 0 for name in ("forward", "backward", "optimizer", "ema"))
    assert {"vae", "text", "data"} <= report["parts_diffusers"].keys()
    assert 0.5 < report["loss"] < 2  # an untrained model guesses about nothing of noise of variance one
    assert 0.5 < report["loss_diffusers"] < 2
    assert not {"vae", "text"} & report["parts"].keys()
    assert "what makes it faster" in train.in_words(report)
