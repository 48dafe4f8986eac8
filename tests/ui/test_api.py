"""The endpoint for programs, called over HTTP on the real page with the bundled engine."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from stand_in import ROW, editor, noise

from app import build_app, launch, own_engine
from editworld_core.engines.registry import pocket_folder
from editworld_core.errors import EditWorldError
from editworld_core.images import read_settings
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import held_out_pair
from ui.api.edit import report

NIGHT = "night falls"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


def serve(page: gr.Blocks) -> str:
    """Serve ``page`` on a free port; its address."""
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    return str(address)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The real page with the bundled engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        page = build_app()
        yield serve(page)
        page.close(verbose=False)


@pytest.fixture(scope="module")
def client(address: str, folder: Path) -> Client:
    return Client(address, verbose=False, download_files=folder / "downloads")


@pytest.fixture(scope="module")
def snowman(folder: Path) -> Path:
    """A picture that no training has seen, of a size that is not the engine's."""
    file = folder / "snowman.png"
    Image.fromarray(held_out_pair("melt_snowman", 0).before).resize((300, 220)).save(file)
    return file


def call(client: Client, image: Path | None, instruction: str = NIGHT, **more: Any) -> Any:
    return client.predict(
        image=None if image is None else handle_file(image), instruction=instruction, api_name="/edit", **more
    )


def test_the_public_endpoints_and_their_parameters(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(named) == ["/edit", "/post_edit", "/masks", "/think", "/generate"]
    names = [parameter["parameter_name"] for parameter in named["/edit"]["parameters"]]
    assert names[:2] == ["image", "instruction"]
    settings = {field.name for field in fields(EditSettings)} - {"lora", "lora_scale"}  # the server's own
    assert set(names) == settings | {"image", "instruction", "hand"}
    assert names[2:15] == [
        "post_edit",
        "steps",
        "text_guidance",
        "image_guidance",
        "seed",
        "mask_rule",
        "speed",
        "outcome",
        "negative",
        "hand",
        "hand_rule",
        "grow",
        "feather",
    ]
    required = [
        it["parameter_name"] for it in named["/edit"]["parameters"] if not it["parameter_has_default"]
    ]
    assert set(required) <= {"image", "instruction"}


def test_an_edit_keeps_size_and_pixels_and_remembers_its_settings(client: Client, snowman: Path) -> None:
    edited, mask_file, facts = call(client, snowman, "melt the snowman", seed=7, steps=2)
    after = Image.open(edited)
    assert after.format == "PNG"
    assert after.size == (300, 220)
    mask = np.asarray(Image.open(mask_file).convert("L")) > 0
    assert mask.shape == (220, 300)
    before = np.asarray(Image.open(snowman))
    assert np.array_equal(np.asarray(after)[~mask], before[~mask])
    assert facts["settings"]["seed"] == 7
    assert facts["mask_share"] == pytest.approx(mask.mean())
    assert set(facts["drift"]) >= {"shift", "psnr_edited", "psnr_final", "colour_cast", "in_words"}
    assert facts["drift"]["psnr_final"] is None  # infinite: nothing changed outside the mask
    assert facts["drift"]["in_words"].endswith(".")
    found = read_settings(after)
    assert found is not None
    instruction, settings = found
    assert (instruction, settings.seed, settings.steps) == ("melt the snowman", 7, 2)
    again, _, _ = call(client, snowman, "melt the snowman", seed=settings.seed, steps=settings.steps)
    assert np.array_equal(np.asarray(Image.open(again)), np.asarray(after))


def test_left_open_settings_are_the_engines_own(client: Client, snowman: Path) -> None:
    _, _, facts = call(client, snowman, steps=None, text_guidance=None, image_guidance=None, seed=None)
    assert facts["settings"]["steps"] >= 1
    assert isinstance(facts["settings"]["seed"], int)
    assert facts["keywords"]


def test_a_mask_of_ones_own_replaces_the_automatic_one(client: Client, snowman: Path, folder: Path) -> None:
    own = np.zeros((220, 300), bool)
    own[60:200, 80:220] = True
    file = folder / "own.png"
    Image.fromarray(own).save(file)
    edited, mask_file, facts = call(
        client,
        snowman,
        "the sun comes out",
        outcome="melt the snowman",
        hand=handle_file(file),
        hand_rule="replace",
        feather=0,
    )
    assert np.array_equal(np.asarray(Image.open(mask_file).convert("L")) > 0, own)
    before, after = np.asarray(Image.open(snowman)), np.asarray(Image.open(edited))
    assert np.array_equal(after[~own], before[~own])
    assert facts["hand"]
    assert facts["mask_source"] == "hand"
    assert (facts["instruction"], facts["settings"]["outcome"]) == ("the sun comes out", "melt the snowman")
    assert "snowman" in facts["keywords"]


def test_thinking_says_what_would_happen(client: Client) -> None:
    thought = client.predict("melt the snowman", api_name="/think")
    assert thought["outcome"]
    assert "snowman" in thought["keywords"]
    assert thought["category"] == "Physical-Trans"
    with pytest.raises(AppError, match="The instruction is empty"):
        client.predict(" ", api_name="/think")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"instruction": "  "}, "The instruction is empty; say what should happen in the picture."),
        ({"instruction": "x" * 501}, "The instruction is too long; say it in at most 500 characters."),
        ({"image": None}, "Add a picture first"),
        ({"image": "text"}, "This is not a picture that can be read; use PNG, JPEG, WebP, GIF or TIFF."),
        ({"steps": 0}, "Steps must be between 1 and 100."),
        ({"steps": 0.9}, "Steps must be between 1 and 100."),
        ({"steps": 1e300}, "Steps must be between 1 and 100."),
        ({"text_guidance": 99}, "Follow the words must be between 0 and 20."),
        ({"image_guidance": -1}, "Hold on to the picture must be between 0 and 5."),
        ({"seed": 2**32}, "The seed must be between 0 and 4294967295."),
        ({"grow": 65}, "Widen must be between -64 and 64."),
        ({"feather": -1}, "Soft edge must be between 0 and 64."),
        ({"grow": 0.5}, "Widen must be a whole number."),
        ({"inpaint_steps": 101}, "Inpainting steps must be between 1 and 100."),
        ({"inpaint_strength": 2}, "The inpaint strength must lie between 0 and 1, not 2."),
        ({"segment_area": -1}, "The largest segment must lie between 0 and 1, not -1."),
        ({"mask_threshold": 0.1}, "Threshold must be between 0.2 and 3."),
        ({"keywords": "banana"}, "The word 'banana' is not in the instruction: choose among night, falls."),
        ({"outcome": "x" * 501}, "The outcome is too long; say it in at most 500 characters."),
        ({"hand": "text"}, "This is not a picture that can be read; use PNG, JPEG, WebP, GIF or TIFF."),
        (
            {"hand": "small"},
            "The mask is 32x32 pixels and the picture 300x220: save the mask at the picture's size",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_in_one_sentence(
    client: Client, snowman: Path, folder: Path, wrong: dict[str, Any], sentence: str
) -> None:
    text = folder / "text.png"
    text.write_text("no picture")
    small = folder / "small.png"
    Image.new("L", (32, 32), 255).save(small)
    files = {"text": text, "small": small}
    asked = {"image": snowman, **wrong}
    if asked["image"] == "text":
        asked["image"] = text
    if "hand" in asked:
        asked["hand"] = handle_file(files[asked["hand"]])
    with pytest.raises(AppError) as refused:
        call(client, **asked)
    assert str(refused.value).startswith(sentence)
    assert str(refused.value).count(". ") == 0
    assert "Traceback" not in str(refused.value)


def test_the_drift_of_a_picture_that_kept_everything_is_still_json() -> None:
    facts = report(editor().edit(noise(1), "paint it"))
    assert json.loads(json.dumps(facts, allow_nan=False)) == json.loads(json.dumps(facts))


def test_callers_at_once_get_their_own_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
    page = build_app(editor(), [ROW], lambda: None)
    address = serve(page)

    def visit(seed: int) -> bool:
        file = folder / f"{seed}.png"
        picture = noise(seed, (64 + 8 * seed, 64))
        picture.save(file)
        caller = Client(address, verbose=False, download_files=folder / f"downloads-{seed}")
        edited, _, facts = call(caller, file, f"paint number {seed}", seed=seed)
        right = np.s_[:, -16:]
        after = Image.open(edited)
        return (
            after.size == picture.size
            and facts["instruction"] == f"paint number {seed}"
            and facts["settings"]["seed"] == seed
            and np.array_equal(np.asarray(after)[right], np.asarray(picture)[right])
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(visit, range(4)))
    page.close(verbose=False)


def test_the_servers_own_engine_says_what_its_weights_say() -> None:
    own = own_engine(str(pocket_folder()), "", 1.0)
    assert own.row.usable
    assert own.row.info.native_size == 256
    assert own.row.info.steps == 1
    with pytest.raises(EditWorldError, match="There is no engine"):
        own_engine("no/such/folder/here", "", 1.0)
