"""The endpoints beside ``/edit``, over HTTP on the real page; and calls that nobody waits for any more."""

import json
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from stand_in import ROW, Painter, editor, noise

from app import build_app, launch
from editworld_core.datagen.records import load_images, read_triplets
from editworld_core.editor import WorldEditor
from editworld_core.engines.protocol import Progress
from editworld_core.masks import mask_from_maps
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import held_out_pair

ROOT = Path(__file__).resolve().parent.parent.parent


class Slow(Painter):
    """An engine whose steps take a fifth of a second each, and that says when it works."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.steps_done = threading.Event(), 0

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        recorder: Any = None,
        progress: Progress | None = None,
    ) -> Image.Image:
        def slowly(done: int, total: int) -> None:
            self.started.set()
            time.sleep(0.2)
            self.steps_done += 1
            if progress:
                progress(done, total)

        return super().edit(image, instruction, settings, recorder, slowly)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


def served(page: gr.Blocks) -> str:
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    return str(address)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The real page with the bundled engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        page = build_app()
        yield served(page)
        page.close(verbose=False)


@pytest.fixture(scope="module")
def client(address: str, folder: Path) -> Client:
    return Client(address, verbose=False, download_files=folder / "downloads")


@pytest.fixture
def slow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Slow, str]]:
    """A page with an engine that takes its time."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
    engine = Slow()
    page = build_app(editor(engine), [ROW], lambda: None)
    yield engine, served(page)
    page.close(verbose=False)


@pytest.fixture(scope="module")
def snowman(folder: Path) -> Path:
    file = folder / "snowman.png"
    Image.fromarray(held_out_pair("melt_snowman", 0).before).save(file)
    return file


def pixels(file: str | Path) -> np.ndarray:
    image = Image.open(file)
    assert image.format == "PNG"
    return np.asarray(image)


def test_a_post_edit_gives_back_the_original_but_for_what_was_meant(client: Client, folder: Path) -> None:
    before = noise(1, (128, 96))
    after = np.asarray(before).copy()
    after[20:60, 30:80] = (255, 0, 0)  # the edit
    after[:10, :10] //= 2  # and a slip
    files = {"original": folder / "before.png", "edited": folder / "after.png"}
    before.save(files["original"])
    Image.fromarray(after).save(files["edited"])
    own = np.zeros((96, 128), bool)
    own[15:65, 25:85] = True
    Image.fromarray(own).save(folder / "own.png")
    given = {name: handle_file(file) for name, file in files.items()}
    kept, mask, facts = client.predict(
        **given,
        instruction="paint it red",
        mask=handle_file(folder / "own.png"),
        feather=0,
        align=False,
        api_name="/post_edit",
    )
    assert np.array_equal(pixels(mask) > 0, own)
    assert np.array_equal(pixels(kept)[~own], np.asarray(before)[~own])
    assert np.array_equal(pixels(kept)[20:60, 30:80], after[20:60, 30:80])
    assert (facts["mask_source"], facts["alignment"]) == ("given", None)
    assert facts["drift"]["psnr_final"] is None
    _, mask, facts = client.predict(**given, instruction="paint it red", api_name="/post_edit")
    found = pixels(mask) > 0
    assert found[25:55, 35:75].all()
    assert found.mean() < 0.6
    assert facts["mask_source"] == "difference"
    assert facts["mask_share"] == pytest.approx(found.mean())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"edited": None}, "Add a picture first"),
        ({"instruction": " "}, "The instruction is empty"),
        ({"feather": 65}, "Soft edge must be between 0 and 64."),
        ({"grow": 1.5}, "Widen must be a whole number."),
        ({"image_prompt_scale": 3}, "The image prompt scale must lie between 0 and 2, not 3."),
    ],
    ids=str,
)
def test_a_post_edit_that_cannot_be(
    client: Client, snowman: Path, wrong: dict[str, Any], sentence: str
) -> None:
    picture = handle_file(snowman)
    asked = {"original": picture, "edited": picture, "instruction": "melt it", **wrong}
    with pytest.raises(AppError) as refused:
        client.predict(**asked, api_name="/post_edit")
    assert str(refused.value).startswith(sentence)


def test_masks_are_those_of_the_editor(client: Client, snowman: Path) -> None:
    mask, heat_maps, facts = client.predict(
        image=handle_file(snowman), instruction="melt the snowman", seed=3, api_name="/masks"
    )
    own = WorldEditor().edit(snowman, "melt the snowman", EditSettings(seed=3, post_edit=False))
    assert np.array_equal(pixels(mask) > 0, own.attention_mask)
    assert [word["word"] for word in facts["words"]] == ["melt", "the", "snowman"]
    assert [heat["caption"] for heat in heat_maps] == ["melt", "the", "snowman"]
    assert facts["keywords"] == ["melt", "snowman"]
    maps = {word["word"]: np.array(word["map"], np.float32) for word in facts["words"]}
    again = mask_from_maps([maps["melt"], maps["snowman"]], "otsu", 1.0, own.attention_mask.shape)
    assert (again == own.attention_mask).mean() > 0.99  # the numbers are rounded
    for heat in heat_maps:
        assert pixels(heat["image"]).shape[:2] == (256, 256)
    assert pixels(heat_maps[2]["image"])[own.attention_mask].mean() > pixels(heat_maps[2]["image"]).mean()


def test_masks_of_chosen_words_only(client: Client, snowman: Path) -> None:
    given = {"image": handle_file(snowman), "instruction": "melt the snowman", "seed": 3}
    _, _, facts = client.predict(**given, keywords="snowman", mask_rule="paper", api_name="/masks")
    assert facts["keywords"] == ["snowman"]
    assert facts["settings"]["mask_rule"] == "paper"
    with pytest.raises(AppError, match="The word 'dragon' is not in the instruction"):
        client.predict(**given, keywords="dragon", api_name="/masks")


def test_generated_pairs_are_a_data_set(client: Client, folder: Path) -> None:
    archive, pairs = client.predict(count=3, dynamic="melt_snowman", seed=5, size=64, api_name="/generate")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder / "pairs")
    (data_set,) = (folder / "pairs").iterdir()
    triplets = list(read_triplets(data_set))
    assert [pair["id"] for pair in pairs] == [triplet.id for triplet in triplets]
    assert {pair["category"] for pair in pairs} == {"Physical-Trans"}
    assert load_images(data_set, triplets[0])[0].size == (64, 64)
    assert (folder / "pairs" / pairs[0]["original"]).is_file()
    again, _ = client.predict(count=3, dynamic="melt_snowman", seed=5, size=64, api_name="/generate")
    with zipfile.ZipFile(again) as second, zipfile.ZipFile(archive) as first:
        assert second.read(pairs[0]["target"]) == first.read(pairs[0]["target"])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"count": 0}, "How many must be between 1 and 200."),
        ({"count": 1e9}, "How many must be between 1 and 200."),
        ({"count": 2.5}, "How many must be a whole number."),
        ({"size": 4096}, "Size must be between 64 and 512."),
        ({"seed": -1}, "The seed must be between 0 and 4294967295."),
        ({"category": "Long-Term", "dynamic": "melt_snowman"}, "Choose at least one dynamic"),
    ],
    ids=str,
)
def test_pairs_that_cannot_be_made(client: Client, wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AppError) as refused:
        client.predict(**wrong, api_name="/generate")
    assert str(refused.value).startswith(sentence)


def test_a_cancelled_call_stops_its_edit(slow: tuple[Slow, str], snowman: Path) -> None:
    engine, address = slow
    job = Client(address, verbose=False).submit(
        image=handle_file(snowman), instruction="paint it", steps=100, api_name="/edit"
    )
    assert engine.started.wait(20)
    _wait_until(lambda: job.communicator.event_id)  # before, the client cannot say which call it cancels
    job.cancel()
    _wait_until(lambda: engine.at_work == 0)
    assert engine.steps_done < 90


def test_a_caller_that_hangs_up_stops_its_edit(slow: tuple[Slow, str], snowman: Path) -> None:
    engine, address = slow
    with httpx.Client(base_url=f"{address}gradio_api/", timeout=20) as caller:
        file = caller.post("upload", files={"files": snowman.open("rb")}).json()[0]
        image = {"path": file, "meta": {"_type": "gradio.FileData"}}
        asked = {"image": image, "instruction": "paint it", "steps": 100}
        event = caller.post("call/v2/edit", json=asked).json()["event_id"]
        with caller.stream("GET", f"call/edit/{event}"):
            assert engine.started.wait(20)
    _wait_until(lambda: engine.at_work == 0)
    assert engine.steps_done < 90


def _wait_until(happened: Any) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_one_edit_at_a_time_whoever_asks(slow: tuple[Slow, str], snowman: Path) -> None:
    engine, address = slow
    client = Client(address, verbose=False)
    asked = {"image": handle_file(snowman), "instruction": "paint it", "steps": 4}
    jobs = [client.submit(**asked, api_name=name) for name in ("/edit", "/masks", "/edit")]
    edits = [job.result(timeout=60) for job in jobs]
    assert engine.edits == 3
    assert engine.most_at_work == 1
    assert edits[1][2]["mask_source"] == "difference"  # the stand-in cannot be watched
    assert edits[1][1] == []


def test_private_endpoints_check_what_they_are_given(address: str) -> None:
    """Whoever finds an event of the page by its number gets a refusal, not a traceback's text."""
    config = httpx.get(f"{address}config", timeout=20).json()
    hidden = [each for each in config["dependencies"] if each["api_name"] == "make_samples_on_page"]
    assert hidden[0]["api_visibility"] == "private"
    body = {
        "data": [None, "no such branch", [], 10**9, 0, 256, None, *[[]] * 7],
        "fn_index": hidden[0]["id"],
        "session_hash": "stranger",
    }
    httpx.post(f"{address}gradio_api/queue/join", json=body, timeout=20)
    said = []
    with httpx.stream(
        "GET", f"{address}gradio_api/queue/data", params={"session_hash": "stranger"}, timeout=20
    ) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                said.append(json.loads(line[5:]))
                if said[-1]["msg"] in ("process_completed", "close_stream"):
                    break
    (end,) = [message for message in said if message["msg"] == "process_completed"]
    assert not end["success"]
    assert "Traceback" not in json.dumps(end)


def test_the_example_client_does_all_of_it(address: str, snowman: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "examples/client.py", str(snowman), "melt the snowman"),
            *("--address", address, "-o", str(tmp_path / "out")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made >= {"edited.png", "mask.png", "kept.png", "attention-mask.png", "pairs.zip"}
    assert sorted(name for name in made if name.startswith("heat")) == [
        "heat-0-melt.png",
        "heat-1-the.png",
        "heat-2-snowman.png",
    ]
    mask = pixels(tmp_path / "out" / "mask.png") > 0
    before, after = pixels(snowman), pixels(tmp_path / "out" / "edited.png")
    assert np.array_equal(after[~mask], before[~mask])
    assert "The mask is made of: melt, snowman." in done.stdout
