"""The benchmarks compare like with like: the same weights give the same picture on either side."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.attention import attention_store, daam
from benchmarks.contender import main as contend
from benchmarks.edit import in_words
from benchmarks.measure import in_fresh_process
from benchmarks.models import PocketPipeline, pocket_engine
from editworld_core.attention import AttentionRecorder
from editworld_core.engines.place import Place
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import held_out_pair


@pytest.mark.parametrize(("text", "image"), [(7.5, 1.5), (2.0, 1.0)])
def test_the_bundled_engine_equals_its_weights_in_diffusers_pipeline(text: float, image: float) -> None:
    pair = held_out_pair("melt_snowman", 0)
    source = Image.fromarray(pair.before)
    settings = EditSettings(speed="exact", steps=3, text_guidance=text, image_guidance=image, seed=4)
    ours = pocket_engine(Place()).edit(source, pair.instruction, settings)
    theirs = PocketPipeline()(pair.instruction, source, 3, text, image, 4)
    assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1


def test_the_baselines_see_what_the_recorder_sees() -> None:
    engine = pocket_engine(Place())
    told = engine.encoder.encode(["melt the snowman"], (0, 0))
    sample = torch.randn(1, 384, 16, 24, generator=torch.Generator().manual_seed(0))
    daam_maps: dict = {}
    store_maps: dict = {}
    recorder = AttentionRecorder()
    with torch.no_grad():
        for watch in (
            recorder.watch(engine.unet, (16, 24)),
            daam(engine.unet, daam_maps),
            attention_store(engine.unet, store_maps),
        ):
            with watch:
                engine.unet(sample, 500, told.context, class_labels=told.added["class_labels"])
    for name, stack in recorder.maps().layers.items():
        heads = torch.stack([map for (layer, _), map in daam_maps.items() if layer == f"{name}.processor"])
        np.testing.assert_allclose(stack[0].reshape(48, -1), heads.mean(0).numpy(), atol=1e-5)
        stored = store_maps[f"{name}.processor"].mean(0).T
        np.testing.assert_allclose(stack[0].reshape(48, -1), stored.numpy(), atol=1e-5)


def test_a_contender_tells_time_memory_and_success() -> None:
    asked = {
        "model": "pocket",
        "who": "fast",
        "size": 256,
        "dtype": "fp32",
        "threads": 1,
        "few": 0,
        "more": 0,
        "steps": 0,
        "scenes": 2,
        "guidance": None,
    }
    found = in_fresh_process("benchmarks.contender", asked)
    assert found["seconds"] > 0
    assert 0.3 < found["peak_gib"] < 4
    assert found["success"] == contend(asked)["success"]


def test_a_report_reads_as_a_table() -> None:
    row = {f"{what}_{who}": 1.0 for what in ("seconds", "peak_gib", "ratio", "success") for who in _WHO}
    unguided = {"success_diffusers_unguided": 0.5, "ratio_fast_unguided": 20.0}
    words = in_words(row | unguided | {"dtype": "fp32", "scenes": 3})
    assert [line.split()[0] for line in words.splitlines()[2:]] == [
        "diffusers,",
        "ours,",
        "ours,",
        "diffusers",
    ]


_WHO = ("diffusers", "exact", "fast")
