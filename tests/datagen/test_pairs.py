"""A run of the text-to-image branch: resumable, killable, filtered, and honest about what it left out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.judging import ASPECTS
from editworld_core.datagen.pair_models import PRESETS, load_models, names_in, revisions
from editworld_core.datagen.pair_records import keyword_mask_path, pair_id
from editworld_core.datagen.pair_settings import PairSettings
from editworld_core.datagen.pairs import REJECTED, generate_pairs
from editworld_core.datagen.quadruple import Quadruple, make_quadruple
from editworld_core.datagen.records import load_images, open_data_set, read_triplets
from editworld_core.datagen.text_to_image import make_pair
from editworld_core.engines.place import Place
from editworld_core.errors import BadInputError, EditWorldError, EngineUnavailableError
from editworld_core.language_server import ServerModel
from tests.datagen.tiny_pair_models import save_models
from tests.test_language import Server, chat, hang_up
from training.generate import main

QUICK = [
    "--steps",
    "2",
    "--originals",
    "1",
    "--redrawn-originals",
    "1",
    "--targets",
    "2",
    "--guided-targets",
    "1",
]
SETTINGS = PairSettings(steps=2, originals=1, redrawn_originals=1, targets=2, guided_targets=1)
GOOD = {"reason": "It fits.", "alignment": True, "identity": True, "quality": True}


def quadruple(number: int, keyword: str = "snowman") -> Quadruple:
    return make_quadruple(
        list(Category)[number % 7],
        f"a snowman in rain {number}",
        "the sun comes out",
        f"the snowman melts {number}",
        (keyword,),
        "local",
        "by hand",
        0,
    )


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a data set."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_quadruples(path: Path, quadruples: list[Quadruple]) -> Path:
    path.write_text("".join(f"{each.to_line()}\n" for each in quadruples))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"), "sd15")


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()


def run(folder, quadruples, models, **options):
    return generate_pairs(folder, quadruples, names_in(models), SETTINGS, Place(), **options)


def test_triplets_are_the_pairs_of_the_stages(tmp_path, models):
    quadruples, seen, stages = [quadruple(0), quadruple(1)], [], []
    report = run(
        tmp_path,
        quadruples,
        models,
        progress=lambda done, total: seen.append((done, total)),
        on_stage=stages.append,
    )
    assert (report.asked, report.added, report.total, report.rejected) == (2, 2, 2, [])
    assert report.judge is None
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert len(stages) == 12
    loaded = load_models(names_in(models), Place())
    for triplet, made_of in zip(read_triplets(tmp_path), quadruples, strict=True):
        pair = make_pair(made_of, loaded, SETTINGS)
        original, target, mask = load_images(tmp_path, triplet)
        assert original.tobytes() == pair.original.tobytes()
        assert target.tobytes() == pair.target.tobytes()
        assert mask is None
        with Image.open(tmp_path / keyword_mask_path(triplet.id)) as keywords:
            assert np.array_equal(np.asarray(keywords) > 0, pair.mask)
        assert triplet.category is made_of.category
        assert triplet.instruction == made_of.instruction
        assert not any(name.startswith("mllm") for name in triplet.scores)


def test_twice_adds_nothing_loads_nothing_and_more_continues(tmp_path, models, monkeypatch):
    run(tmp_path / "a", [quadruple(0)], models)
    before = content(tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr("editworld_core.datagen.pair_models.load_models", None)
        assert run(tmp_path / "a", [quadruple(0)], models).added == 0
    assert content(tmp_path / "a") == before
    assert run(tmp_path / "a", [quadruple(0), quadruple(1), quadruple(1)], models).added == 1
    run(tmp_path / "b", [quadruple(0), quadruple(1)], models)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_what_cannot_be_made_is_left_out_with_its_reason_and_not_tried_again(tmp_path, models, monkeypatch):
    quadruples = [quadruple(0, "moon"), quadruple(1)]
    report = run(tmp_path, quadruples, models)
    assert report.added == 1
    [rejection] = report.rejected
    assert rejection.quadruple == quadruples[0].id
    assert "'moon' is not in the caption" in rejection.reason
    assert json.loads((tmp_path / REJECTED).read_text())["id"] == rejection.id
    before = content(tmp_path)
    monkeypatch.setattr("editworld_core.datagen.pair_models.load_models", None)
    assert run(tmp_path, quadruples, models).rejected == report.rejected
    assert content(tmp_path) == before


def test_a_damaged_list_of_rejections_is_refused(tmp_path, models):
    with open_data_set(tmp_path, {}):
        (tmp_path / REJECTED).write_text('{"id": 3}\n')
    with pytest.raises(BadInputError, match="is damaged"):
        run(tmp_path, [quadruple(0)], models)


def test_a_second_process_is_refused(tmp_path, models):
    command = f"""
import sys, time
from pathlib import Path
from editworld_core.datagen.records import open_data_set
with open_data_set(Path({str(tmp_path)!r}), {{}}):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(EditWorldError, match="Another process"):
            run(tmp_path, [quadruple(0)], models)
    finally:
        holder.kill()
        holder.wait()
    assert run(tmp_path, [quadruple(0)], models).added == 1


@pytest.mark.parametrize("options", [{"batch": 0}, {"quadruples": []}])
def test_nothing_to_do_is_refused(tmp_path, models, options):
    with pytest.raises(BadInputError):
        run(tmp_path / "new", options.pop("quadruples", [quadruple(0)]), models, **options)
    assert not (tmp_path / "new").exists()


def test_without_the_hub_the_papers_models_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for names in PRESETS.values():
        with pytest.raises(EngineUnavailableError) as refusal:
            generate_pairs(tmp_path / "new", [quadruple(0)], names, SETTINGS, Place())
        assert "\n" not in str(refusal.value)
        assert "hub cannot be reached" in str(refusal.value)
    assert not (tmp_path / "new").exists()


# The filter


def test_the_filter_sees_both_pictures_and_the_texts(tmp_path, models, server):
    server.replies = [chat(json.dumps(GOOD))]
    report = run(tmp_path, [quadruple(0)], models, filter_by=ServerModel(server.url, "seer"))
    assert (report.added, report.judge) == (1, "seer")
    [triplet] = read_triplets(tmp_path)
    assert {name: triplet.scores[f"mllm_{name}"] for name in ASPECTS} == dict.fromkeys(ASPECTS, 1.0)
    parts = server.seen[0]["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["image_url", "image_url", "text"]
    assert parts[0] != parts[1]
    assert json.loads(parts[2]["text"])["target caption"] == "the snowman melts 0"


@pytest.mark.parametrize("aspect", ASPECTS)
def test_what_fails_one_aspect_is_left_out(tmp_path, models, server, aspect):
    server.replies = [
        chat(json.dumps({**GOOD, "reason": "Another snowman.", aspect: False})),
        chat(json.dumps(GOOD)),
    ]
    report = run(tmp_path, [quadruple(0), quadruple(1)], models, filter_by=ServerModel(server.url, "seer"))
    assert report.added == 1
    assert [rejection.reason for rejection in report.rejected] == [f"{aspect}: Another snowman."]
    [triplet] = read_triplets(tmp_path)
    assert triplet.recipe["quadruple"] == quadruple(1).id


def test_a_judge_that_babbles_has_not_said_yes(tmp_path, models, server):
    server.replies = [chat("Lovely pictures!")]
    report = run(tmp_path, [quadruple(0)], models, filter_by=ServerModel(server.url, "seer"))
    assert (report.added, len(report.rejected)) == (0, 1)
    assert "no usable answer" in report.rejected[0].reason


def test_a_judge_that_is_gone_stops_the_run_and_nothing_is_rejected(tmp_path, models, server, monkeypatch):
    monkeypatch.setattr("editworld_core.language_server.FIRST_PAUSE", 0.01)
    server.replies = [chat(json.dumps(GOOD)), hang_up]
    with pytest.raises(EditWorldError, match="did not answer"):
        run(tmp_path, [quadruple(0), quadruple(1)], models, filter_by=ServerModel(server.url, "seer"))
    assert len(list(read_triplets(tmp_path))) == 1
    assert not (tmp_path / REJECTED).exists()
    server.replies = [chat(json.dumps(GOOD))]
    report = run(tmp_path, [quadruple(0), quadruple(1)], models, filter_by=ServerModel(server.url, "seer"))
    assert (report.added, report.total) == (1, 2)


# The command


def test_the_command_makes_a_data_set_and_prints_one_object(tmp_path, models, capsys):
    path = write_quadruples(tmp_path / "quadruples.jsonl", [quadruple(0), quadruple(1, "moon"), quadruple(2)])
    arguments = ["pairs", str(path), "-o", str(tmp_path / "set"), "--models", str(models), "-n", "2", *QUICK]
    assert main([*arguments, "--dtype", "fp32", "--device", "cpu", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["asked"], printed["added"], len(printed["rejected"])) == (2, 1, 1)
    [triplet] = read_triplets(tmp_path / "set")
    assert triplet.id == pair_id(quadruple(0), SETTINGS, revisions(names_in(models)))
    assert main([*arguments, "--dtype", "fp32", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "0 triplets added, 1 in" in said
    assert "nobody" in said
    with Image.open(printed["contact_sheet"]) as sheet:
        assert sheet.width > 200


def test_a_run_that_gives_nothing_has_failed(tmp_path, models):
    path = write_quadruples(tmp_path / "quadruples.jsonl", [quadruple(0, "moon")])
    assert main(["pairs", str(path), "-o", str(tmp_path / "set"), "--models", str(models), *QUICK]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--steps", "0"], "steps must be at least 1"),
        (["-n", "0"], "at least 1"),
        (["--refine-strength", "0"], "refine_strength"),
        (["--batch", "0"], "batch must be at least 1"),
        (["--device", "abacus"], "no device"),
    ],
)
def test_a_wrong_call_is_one_sentence(tmp_path, models, capsys, arguments, says):
    path = write_quadruples(tmp_path / "quadruples.jsonl", [quadruple(0)])
    status = main(["pairs", str(path), "-o", str(tmp_path / "set"), "--models", str(models), *arguments])
    assert status == 2
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "set").exists()


def test_the_help_says_what_it_costs_and_imports_no_torch():
    command = """
import sys
from training.generate import main
try:
    main(["pairs", "--help"])
finally:
    assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "17 PFLOP" in done.stdout
    assert "26 GiB" in done.stdout


KILLER = """
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)
from editworld_core.datagen import pair_models, text_to_image
from editworld_core.datagen.pairs import generate_pairs
from editworld_core.datagen.quadruple import read_quadruples
from editworld_core.engines.place import Place
from tests.datagen.kills import kill_often
from tests.datagen.test_pairs import SETTINGS

folder, models, path, kills = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
names, quadruples = pair_models.names_in(models), list(read_quadruples(path))
loaded = pair_models.load_models(names, Place())
pair_models.load_models = lambda *_: loaded  # once, before the lives that share it
text_to_image.make_pair(quadruples[0], loaded, SETTINGS)  # what the first pair imports and sets up
print(kill_often(lambda: generate_pairs(folder, quadruples, names, SETTINGS, Place()), folder, kills))
"""


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_like_an_unkilled_one(tmp_path, models):
    kills = int(os.environ.get("EDITWORLD_TEST_KILLS", "12"))
    quadruples = [quadruple(number, "moon" if number % 4 == 1 else "snowman") for number in range(2 * kills)]
    path = write_quadruples(tmp_path / "quadruples.jsonl", quadruples)
    run(tmp_path / "whole", quadruples, models)
    arguments = [str(tmp_path / "killed"), str(models), str(path), str(kills)]
    killed = subprocess.run([sys.executable, "-c", KILLER, *arguments], capture_output=True, text=True)
    assert killed.returncode == 0, killed.stderr
    assert int(killed.stdout) == kills
    for triplet in read_triplets(tmp_path / "killed"):
        load_images(tmp_path / "killed", triplet)
    command = [sys.executable, "-m", "training.generate", "pairs", str(path), "-o", str(tmp_path / "killed")]
    options = ["--models", str(models), "--device", "cpu", "--dtype", "fp32", *QUICK]
    assert subprocess.run([*command, *options], capture_output=True).returncode == 0
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
