"""The list of engines, and what it says when one cannot be had."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from editworld_core.engines import load as loading_module
from editworld_core.engines.hub import is_hub_id, loading
from editworld_core.engines.place import Place, best_place, multiplies_bf16
from editworld_core.engines.registry import CATALOGUE, engine_rows, load_engine, row_for
from editworld_core.errors import BadInputError, EngineUnavailableError

DESIGN = {
    "pocket": "in this package",
    "instruct-pix2pix": "timbrooks/instruct-pix2pix",
    "magicbrush": "vinesmsuic/magicbrush-jul7",
    "sdxl-instruct-pix2pix": "diffusers/sdxl-instructpix2pix-768",
    "qwen-image-edit": "Qwen/Qwen-Image-Edit-2511",
    "flux2-klein": "black-forest-labs/FLUX.2-klein-4B",
    "flux-kontext": "black-forest-labs/FLUX.1-Kontext-dev",
}


def test_every_engine_of_the_design_is_there_with_its_licence() -> None:
    assert {row.info.id: row.info.weights for row in engine_rows()} == DESIGN
    assert all(row.info.licence for row in engine_rows())
    assert [row.info.id for row in engine_rows() if not row.info.commercial] == ["flux-kontext"]
    assert engine_rows()[0].ready


def test_offloading_needs_less_memory_each_time() -> None:
    for info in CATALOGUE:
        stated = (info.memory_gib, info.memory_model_gib, info.memory_sequential_gib)
        known = [gib for gib in stated if gib is not None]
        assert known == sorted(known, reverse=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b", True), ("a-1/b.c_d", True), ("a", False), ("/a/b", False), ("a/b/c", False), ("a b/c", False)],
)
def test_hub_ids_are_told_from_paths(name: str, expected: bool) -> None:
    assert is_hub_id(name) is expected


def test_a_folder_that_is_there_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not is_hub_id("a/b")


def test_nothing_of_that_name() -> None:
    with pytest.raises(EngineUnavailableError, match="There is no engine 'nonesuch': choose pocket"):
        row_for("nonesuch")


def test_a_loaded_engine_is_kept() -> None:
    assert load_engine("pocket", place=Place()) is load_engine("pocket", place=Place())


def test_without_network_the_refusal_is_one_sentence(tmp_path: Path) -> None:
    for offline, words in (("1", "forbids to get them"), ("0", "cannot be reached")):
        environment = {
            **os.environ,
            "HF_HOME": str(tmp_path),
            "HF_HUB_OFFLINE": offline,
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nothing listens there
        }
        run = subprocess.run(
            [sys.executable, "-c", _LOAD], capture_output=True, text=True, env=environment, timeout=120
        )
        said = json.loads(run.stdout)
        assert words in said
        assert "\n" not in said


_LOAD = """
import json
from editworld_core.engines.registry import load_engine
from editworld_core.errors import EngineUnavailableError
try:
    load_engine("instruct-pix2pix")
except EngineUnavailableError as error:
    print(json.dumps(str(error)))
"""


def test_a_licence_gate_names_what_to_do() -> None:
    from huggingface_hub.errors import GatedRepoError

    gate = GatedRepoError("403", response=SimpleNamespace(headers={}, request=None))  # type: ignore[arg-type]
    with pytest.raises(EngineUnavailableError, match="accept it on the page of a/b"), loading("a/b"):
        raise OSError("wrapped by diffusers") from gate


def test_too_little_memory_names_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    info = next(info for info in CATALOGUE if info.id == "qwen-image-edit")
    monkeypatch.setattr("editworld_core.engines.place.free_memory_gib", lambda device: 8.0)
    with pytest.raises(EngineUnavailableError, match="needs about 60 GiB of memory and 8 GiB are free"):
        loading_module.load("nowhere", info, Place("cpu", torch.bfloat16))
    with pytest.raises(EngineUnavailableError, match="offload preset 'model' or 'sequential'"):
        loading_module.load("nowhere", info, Place("cuda", torch.bfloat16))
    small = replace(info, memory_gib=1.0)
    with pytest.raises(EngineUnavailableError, match="model_index"):
        loading_module.load("nowhere", small, Place("cpu", torch.bfloat16))


def test_a_pipeline_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableVideoDiffusionPipeline"}')
    with pytest.raises(EngineUnavailableError, match="StableVideoDiffusionPipeline, which does not edit"):
        load_engine(str(tmp_path))


def test_the_best_place_is_chosen_and_a_wish_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEVICE", "DTYPE", "OFFLOAD"):
        monkeypatch.delenv(f"EDITWORLD_{name}", raising=False)
    assert best_place("cpu").dtype == (torch.bfloat16 if multiplies_bf16() else torch.float32)
    assert best_place("cpu", "fp16", "sequential") == Place("cpu", torch.float16, "sequential")
    monkeypatch.setenv("EDITWORLD_DTYPE", "fp32")
    assert best_place("cpu").dtype == torch.float32


@pytest.mark.parametrize("wish", [{"device": "abacus"}, {"dtype": "int3"}, {"offload": "much"}])
def test_places_that_are_not_there(wish: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match="There is no"):
        best_place(**wish)
