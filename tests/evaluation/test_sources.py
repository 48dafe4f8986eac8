"""Every kind of data set, written by the test as its authors lay it out, and read back as items."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.formats.exporting import export_data_set
from editworld_core.datagen.recheck import Recheck
from editworld_core.datagen.simulate import generate_simulated
from editworld_core.errors import BadInputError
from editworld_core.evaluation.record import Item
from editworld_core.evaluation.sources.registry import read_data_set
from editworld_core.simulation.held_out import held_out_pair
from tests.evaluation import layouts
from tests.evaluation.layouts import SIZE, drawing, put
from tests.training.tiny_data_set import TEXTS, make_data_set


def items_of(path: Path) -> dict[str, Item]:
    return {item.id: item for item in read_data_set(str(path)).items}


def shows(image: Image.Image | None, expected: Image.Image) -> bool:
    return (
        image is not None and image.size == expected.size and np.array_equal(image, expected.convert("RGB"))
    )


def nearly(image: Image.Image | None, expected: Image.Image) -> bool:
    """The same but for what JPEG loses."""
    assert image is not None
    return float(np.abs(np.asarray(image, float) - np.asarray(expected, float)).mean()) < 12


def test_our_own_data_set(tmp_path: Path) -> None:
    folder = make_data_set(tmp_path / "set", [SIZE] * 6)
    found = read_data_set(str(folder))
    assert (found.kind, found.name) == ("editworld-dataset", "set")
    assert [item.instruction for item in found.items] == [text for text in TEXTS if text]
    assert found.notes == ("1 left out: they have no instruction.",)
    line = json.loads((folder / "manifest.jsonl").read_text().splitlines()[0])
    pictures = found.items[0].read()
    assert found.items[0].id == line["id"]
    assert found.items[0].category == Category.PHYSICAL_TRANS.value
    assert found.items[0].branch == "simulation"
    for image, name in ((pictures.original, "original_image"), (pictures.target, "target_image")):
        assert shows(image, Image.open(folder / line[name]))
    assert pictures.mask is not None
    assert pictures.mask.sum() == (SIZE[0] // 4) * (SIZE[1] // 2)
    assert len({item.content for item in found.items}) == 5


def test_what_simulate_writes_tells_of_its_world(tmp_path: Path) -> None:
    generate_simulated(tmp_path / "set", 2, dynamics=["melt_snowman"], size=64)
    for item in read_data_set(str(tmp_path / "set")).items:
        assert item.about["dynamic"] == "melt_snowman"
        assert item.about["local"] is True
        assert item.about["keywords"]
        assert item.caption_after


def test_what_reviewers_drop_is_left_out(tmp_path: Path) -> None:
    folder = make_data_set(tmp_path / "set", [SIZE] * 2)
    dropped = read_data_set(str(folder)).items[0]
    Recheck(folder, "Ann").drop(dropped.id)
    found = read_data_set(str(folder))
    assert [item.id for item in found.items] != [dropped.id]
    assert "1 left out: reviewers dropped them." in found.notes


def test_damaged_lines_and_missing_pictures_are_refused(tmp_path: Path) -> None:
    folder = make_data_set(tmp_path / "set", [SIZE] * 2)
    line = json.loads((folder / "manifest.jsonl").read_text().splitlines()[1])
    (folder / line["target_image"]).unlink()
    with pytest.raises(BadInputError, match=r"^The target of triplet [0-9a-f]{16} is missing; [^.]*\.$"):
        read_data_set(str(folder))
    (folder / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(BadInputError, match=r"Line 1 of .*manifest\.jsonl is damaged"):
        read_data_set(str(folder))


def test_the_held_out_worlds() -> None:
    found = read_data_set("simulated", dynamics=["melt_snowman", "night_falls"], scenes=2)
    assert [item.id for item in found.items] == [
        "melt_snowman-0",
        "melt_snowman-1",
        "night_falls-0",
        "night_falls-1",
    ]
    for item in found.items:
        pair = held_out_pair(item.about["dynamic"], item.about["seed"])
        pictures = item.read()
        assert np.array_equal(pictures.original, pair.before)
        assert pictures.target is not None
        assert np.array_equal(pictures.target, pair.after)
        assert pictures.mask is not None
        assert np.array_equal(pictures.mask, pair.mask)
        assert (item.instruction, item.category) == (pair.instruction, pair.category.value)
        assert item.about["everywhere"] == pair.mask.all()
    assert [item.about["local"] for item in found.items] == [True, True, False, False]


def test_the_paper_s_list_of_test_items(tmp_path: Path) -> None:
    items = items_of(layouts.paper_test_set(tmp_path))
    first, second = items["generated_img/group_0/sample0"], items["video_img/group_0/sample3"]
    assert (first.instruction, first.caption_before, first.caption_after) == (
        "What happens if it rains?",
        "a dry road",
        "a wet road",
    )
    assert (first.branch, second.branch) == ("text_to_image", "video")
    assert (first.category, second.category) == ("Implicit-Logic", "")
    assert shows(first.read().target, drawing(2))
    assert second.read().target is None
    assert shows(second.read().original, drawing(3))


def test_the_paper_s_layout_as_we_export_it(tmp_path: Path) -> None:
    own = make_data_set(tmp_path / "own", [SIZE] * 2)
    export_data_set(own, tmp_path / "paper", "editworld")
    ours, theirs = read_data_set(str(own)).items, read_data_set(str(tmp_path / "paper"))
    assert theirs.kind == "editworld-paper"
    assert [item.id for item in theirs.items] == [f"generated_img/group_0/sample{n}" for n in range(2)]
    for one, other in zip(ours, theirs.items, strict=True):
        assert (one.instruction, one.category, one.branch) == (
            other.instruction,
            other.category,
            other.branch,
        )
        assert shows(other.read().original, one.read().original)


def test_our_own_parquet_export(tmp_path: Path) -> None:
    own = make_data_set(tmp_path / "own", [SIZE] * 2)
    export_data_set(own, tmp_path / "parquet", "parquet")
    for one, other in zip(
        read_data_set(str(own)).items, read_data_set(str(tmp_path / "parquet")).items, strict=True
    ):
        assert (one.id, one.category, one.content) == (other.id, other.category, other.content)
        assert np.array_equal(one.read().mask, other.read().mask)


def test_risebench(tmp_path: Path) -> None:
    items = items_of(layouts.risebench(tmp_path))
    banana, pen = items["temporal_reasoning_1"], items["spatial_reasoning_2"]
    assert (banana.category, banana.caption_after) == ("temporal_reasoning", "A rotten banana.")
    assert banana.about["subtask"] == "Life Progression"
    assert banana.read().target is None
    pictures = pen.read()
    assert pictures.target is not None
    assert pictures.target.size == pictures.original.size == SIZE


def test_risebench_plus_leaves_out_what_needs_several_pictures(tmp_path: Path) -> None:
    found = read_data_set(str(layouts.risebench_plus(tmp_path)))
    assert [item.id for item in found.items] == ["causal_reasoning_1"]
    assert found.items[0].caption_after == "A bitten apple."
    assert found.notes == ("1 left out: they need several pictures.",)


def test_kris_bench(tmp_path: Path) -> None:
    found = read_data_set(str(layouts.krisbench(tmp_path)))
    items = {item.id: item for item in found.items}
    assert set(items) == {"physics/2", "viewpoint_change/1"}
    assert items["physics/2"].about["explain"] == "Gravity pulls."
    assert items["physics/2"].category == "physics"
    assert shows(items["physics/2"].read().original, drawing(3))
    assert nearly(items["viewpoint_change/1"].read().target, drawing(2))
    assert set(found.notes) == {
        "1 left out: they need several pictures.",
        "1 left out: their picture is missing.",
    }


def test_picabench(tmp_path: Path) -> None:
    items = items_of(layouts.picabench(tmp_path))
    assert [item.category for item in items.values()] == ["Reflection", "Global State Transition"]
    assert items["0"].about["edit_operation"] == "remove"
    assert items["0"].about["annotated_qa_pairs"][0]["answer"] == "No"
    expected = np.zeros(SIZE[::-1], bool)
    expected[8:14, 4:14] = True
    expected[30:, 40:] = True
    assert np.array_equal(items["0"].read().mask, expected)
    assert items["1"].read().mask is None


def test_picabench_as_parquet(tmp_path: Path) -> None:
    found = read_data_set(str(layouts.picabench_parquet(tmp_path)))
    assert found.kind == "picabench"
    tulip, frost = found.items
    assert (tulip.instruction, tulip.category) == ("Remove the tulip.", "Reflection")
    mask = tulip.read().mask
    assert mask is not None
    assert (mask.sum(), mask[8:14, 4:14].all()) == (60, True)
    assert frost.read().mask is None
    assert shows(frost.read().original, drawing(2))


def test_magicbrush_as_its_archive(tmp_path: Path) -> None:
    items = items_of(layouts.magicbrush_archive(tmp_path))
    first, second = items["139306-output1"], items["139306-output2"]
    assert (first.category, second.category) == ("turn 1", "turn 2")
    assert (first.caption_before, first.caption_after, second.caption_after) == (
        "a sofa",
        "a cat on a sofa",
        "",
    )
    assert shows(second.read().original, drawing(2))
    expected = np.asarray(layouts.box_picture((10, 10, 20, 20))) > 0
    for item in (first, second):
        assert np.array_equal(item.read().mask, expected)


def test_magicbrush_as_parquet_in_any_order(tmp_path: Path) -> None:
    items = list(items_of(layouts.magicbrush_parquet(tmp_path)).values())
    assert [item.id for item in items] == ["100-1", "100-2", "101-1", "101-2", "102-1"]
    for row in (3, 0, 4, 1, 1):
        pictures = items[row].read()
        assert shows(pictures.original, drawing(10 + row))
        assert shows(pictures.target, drawing(20 + row))
        if row == 4:
            assert pictures.mask is None
        else:
            assert pictures.mask is not None
            assert pictures.mask.sum() == 5 * (row + 1)


def test_of_several_splits_the_one_to_test_on_is_read(tmp_path: Path) -> None:
    layouts.magicbrush_parquet(tmp_path)
    train = tmp_path / "data/train-00000-of-00001.parquet"
    train.write_bytes((tmp_path / "data/dev-00000-of-00001.parquet").read_bytes())
    found = read_data_set(str(tmp_path))
    assert len(found.items) == found.total == 5
    assert found.notes == ("5 left out: they are of the split train.",)
    assert len(read_data_set(str(train)).items) == 5


@pytest.mark.parametrize("write", [layouts.emu_parquet, layouts.emu_json])
def test_emu_edit(tmp_path: Path, write) -> None:
    found = read_data_set(str(write(tmp_path)))
    assert found.kind == "emu-edit"
    dog, street = found.items
    assert (dog.id, dog.category, dog.caption_before, dog.caption_after) == (
        "c0ffee",
        "add",
        "a dog",
        "a dog with a hat",
    )
    assert street.instruction == "Make it snow"
    assert shows(street.read().original, drawing(2))
    assert street.read().target is None  # Emu Edit's own picture is no truth


def test_a_limit_is_spread_over_the_data_set(tmp_path: Path) -> None:
    found = read_data_set(str(layouts.magicbrush_parquet(tmp_path)), limit=2)
    assert [item.id for item in found.items] == ["100-1", "101-1"]
    assert found.total == 5


def test_the_same_content_has_the_same_hash_and_another_another(tmp_path: Path) -> None:
    path = layouts.emu_json(tmp_path)
    first = [item.content for item in read_data_set(str(path)).items]
    assert [item.content for item in read_data_set(str(path)).items] == first
    put(path / "images/0.png", drawing(99))
    again = [item.content for item in read_data_set(str(path)).items]
    assert again[0] != first[0]
    assert again[1] == first[1]


def test_ids_are_unique(tmp_path: Path) -> None:
    path = layouts.risebench(tmp_path) / "datav2_total_w_subtask.json"
    put(path, 2 * json.loads(path.read_text())[:1])
    assert list(items_of(tmp_path)) == ["temporal_reasoning_1", "temporal_reasoning_1#2"]


def test_a_picture_that_is_none_is_found_out_when_it_is_read(tmp_path: Path) -> None:
    path = layouts.risebench(tmp_path)
    put(path / "data/temporal_reasoning_images/1.png", b"no picture")
    item = items_of(path)["temporal_reasoning_1"]
    with pytest.raises(BadInputError, match=r"^The original of record 1 in .* cannot be used: "):
        item.read()


@pytest.mark.parametrize(
    "write, file, content, why",
    [
        (layouts.paper_test_set, "test.json", b"{", "test.json is not JSON"),
        (
            layouts.paper_test_set,
            "test.json",
            [{"instuction": "x", "original_img_path": "../a.png"}],
            "leads out",
        ),
        (layouts.paper_test_set, "test.json", [{"instuction": "x"}], "names no original_img_path"),
        (
            layouts.krisbench,
            "KRIS_Bench/physics/annotation.json",
            b"[",
            "physics/annotation.json is not JSON",
        ),
        (
            layouts.krisbench,
            "KRIS_Bench/physics/annotation.json",
            {"1": {"ori_img": "a.png"}},
            "no instruction",
        ),
        (layouts.picabench, "meta_info.json", b"\xff", "meta_info.json is not UTF-8"),
        (
            layouts.picabench,
            "meta_info.json",
            [{"edit_instruction": "x", "input_path": "/etc/a"}],
            "leads out",
        ),
        (layouts.picabench, "meta_info.json", [], "holds no item"),
        (layouts.magicbrush_archive, "edit_turns.json", [{"input": "1-input.png"}], "lacks its input"),
        (
            layouts.magicbrush_parquet,
            "data/dev-00000-of-00001.parquet",
            b"PAR1",
            "is damaged or no Parquet file",
        ),
        (layouts.emu_json, "rows.jsonl", b'{"a": 1}\n{', "Line 2 of rows.jsonl is not JSON"),
    ],
)
def test_damage_is_refused_in_one_sentence(tmp_path: Path, write, file: str, content, why: str) -> None:
    put(write(tmp_path) / file, content)
    with pytest.raises(BadInputError, match=why) as refusal:
        read_data_set(str(tmp_path))
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="There is no data set 'magic': name simulated"):
        read_data_set("magic")
    with pytest.raises(BadInputError, match=r"no data set that is known here: give .*RISEBench"):
        read_data_set(str(tmp_path))
    put(tmp_path / "photo.png", drawing(1))
    with pytest.raises(BadInputError, match="known here"):
        read_data_set(str(tmp_path / "photo.png"))
    with pytest.raises(BadInputError, match="Dynamics can be chosen"):
        read_data_set(str(tmp_path), dynamics=["melt_snowman"])
    with pytest.raises(BadInputError, match="at least 1, not 0"):
        read_data_set("simulated", limit=0)
    with pytest.raises(BadInputError, match="no dynamic named 'dance'"):
        read_data_set("simulated", dynamics=["dance"])
