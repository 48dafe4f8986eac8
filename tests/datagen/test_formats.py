"""Exports are read by the libraries that they are for, come back as they were, and survive kills and bad files."""

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.formats.editworld import EditWorldFormat
from editworld_core.datagen.formats.exporting import export_data_set
from editworld_core.datagen.formats.hub import check_push
from editworld_core.datagen.formats.importing import import_data_set
from editworld_core.datagen.formats.item import Item
from editworld_core.datagen.formats.magicbrush import read_mask
from editworld_core.datagen.formats.registry import FORMATS, get_format
from editworld_core.datagen.recheck import Recheck
from editworld_core.datagen.records import encode_png, load_images, open_data_set, read_about, read_triplets
from editworld_core.datagen.triplet import Triplet, image_path, item_id
from editworld_core.errors import BadInputError, EditWorldError
from training.commands.export import FORMATS as NAMES

BRANCHES = ("text_to_image", "video", "simulation")
LOSSLESS = ("parquet", "webdataset")
COUNT = 11


def make_triplet(number: int) -> Triplet:
    branch = BRANCHES[number % 3]
    recipe, seeds, models = (
        {"clip": f"Überfall {number}", "draws": [1, {"a": None}]},
        {"x": number},
        {"m": "r1"},
    )
    item = item_id(branch, recipe, seeds, models)
    return Triplet(
        id=item,
        branch=branch,
        category=list(Category)[number % 7],
        instruction=f"„Überall schneit es“, it's 雪 {number}",
        original_caption="a street",
        target_caption=f"a street, in 'snow' {number}",
        keywords=("street", "heavy snow"),
        original_image=image_path(item, "original"),
        target_image=image_path(item, "target"),
        mask=image_path(item, "mask") if number % 4 else None,
        recipe=recipe,
        seeds=seeds,
        models=models,
        scores={"clip": 0.25, "ssim": 1 / 3},
    )


def make_pictures(number: int) -> tuple[bytes, bytes, bytes]:
    rng = np.random.default_rng(number)
    before, after = (encode_png(Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))) for _ in "ab")
    return before, after, encode_png(Image.fromarray(rng.random((24, 32)) < 0.5))


def make_data_set(folder: Path, count: int = COUNT) -> list[Triplet]:
    triplets = [make_triplet(number) for number in range(count)]
    with open_data_set(folder, {}) as writer:
        for number, triplet in enumerate(triplets):
            before, after, mask = make_pictures(number)
            writer.add(triplet, before, after, mask if triplet.mask else None)
    return triplets


@pytest.fixture
def data_set(tmp_path):
    make_data_set(tmp_path / "set")
    return tmp_path / "set"


def content(folder: Path) -> dict[str, bytes]:
    """Every file, the times in the report taken out."""
    files = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.name == "export.json":
                about = json.loads(data)
                del about["report"]["seconds"]
                data = json.dumps(about).encode()
            files[str(path.relative_to(folder))] = data
    return files


def rewrite(path: Path, change) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def test_the_command_knows_every_format():
    assert tuple(FORMATS) == NAMES
    with pytest.raises(BadInputError, match="There is no format 'zip'"):
        get_format("zip")


@pytest.mark.parametrize("name", NAMES)
def test_a_round_trip_brings_back_what_the_format_holds(data_set, tmp_path, name):
    report = export_data_set(data_set, tmp_path / "out", name, shard_size=4)
    assert (report.triplets, report.exported, report.left_out) == (COUNT, COUNT, {})
    back = import_data_set(tmp_path / "out", tmp_path / "back", name, category="Story-Type")
    assert (back.read, back.added, back.total, back.skipped) == (COUNT, COUNT, COUNT, {})
    if name == "editworld":  # the branches have folders of their own
        assert back.filled == {}
        triplets = {triplet.id: triplet for triplet in read_triplets(tmp_path / "back")}
        pairs = [(triplet, triplets[triplet.id]) for triplet in read_triplets(data_set)]
    else:
        pairs = list(zip(read_triplets(data_set), read_triplets(tmp_path / "back"), strict=True))
    held = FORMATS[name].holds - {"original_image", "target_image", "mask"}
    lost = dict.fromkeys(set(Triplet.__dataclass_fields__) - FORMATS[name].holds, 0)
    for before, after in pairs:
        for field in held:
            assert getattr(after, field) == getattr(before, field), field
        for field in lost:
            lost[field] += getattr(before, field) not in (None, "", (), {})
        one, two = load_images(data_set, before), load_images(tmp_path / "back", after)
        assert one[0].tobytes() == two[0].tobytes()
        assert one[1].tobytes() == two[1].tobytes()
        if before.mask is None or "mask" in lost:
            assert two[2] is None
        else:
            assert one[2].tobytes() == two[2].tobytes()
    assert report.fields_lost == {field: count for field, count in lost.items() if count}
    assert (report.fields_lost == {}) == (name in LOSSLESS)


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_lossless_round_trip_gives_the_same_bytes(data_set, tmp_path, name):
    export_data_set(data_set, tmp_path / "out", name, shard_size=4)
    import_data_set(tmp_path / "out", tmp_path / "back", name)
    before, after = content(data_set), content(tmp_path / "back")
    assert before.pop("dataset.json") != after.pop("dataset.json")  # it says how they were made
    assert before == after


def test_what_a_format_does_not_say_is_reported_and_the_category_never_guessed(data_set, tmp_path):
    export_data_set(data_set, tmp_path / "out", "magicbrush")
    with pytest.raises(BadInputError, match="does not say its category; give --category"):
        import_data_set(tmp_path / "out", tmp_path / "back", "magicbrush")
    report = import_data_set(
        tmp_path / "out", tmp_path / "back", "magicbrush", category="Long-Term", branch="video"
    )
    names = ("category", "branch", "original_caption", "target_caption", "keywords", "id")
    assert report.filled == dict.fromkeys(names, COUNT)
    assert read_about(tmp_path / "back")["counts"]["by_branch"] == {"video": COUNT}
    again = import_data_set(
        tmp_path / "out", tmp_path / "back", "magicbrush", category="Long-Term", branch="video"
    )
    assert (again.added, again.present, again.total) == (0, COUNT, COUNT)
    with pytest.raises(BadInputError, match="no category 'Nice'"):
        import_data_set(tmp_path / "out", tmp_path / "back", "magicbrush", category="Nice")


# --- the libraries that the formats are for


def load(folder: Path, tmp_path: Path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets.disable_progress_bars()
    return datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache")), datasets


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("parquet", ("original_image", "target_image", "mask", "instruction")),
        ("instructpix2pix", ("original_image", "edited_image", None, "edit_prompt")),
        ("magicbrush", ("source_img", "target_img", "mask_img", "instruction")),
    ],
)
def test_datasets_loads_the_tables_with_image_features(data_set, tmp_path, monkeypatch, name, columns):
    export_data_set(data_set, tmp_path / "out", name, shard_size=4)
    table, datasets = load(tmp_path / "out", tmp_path, monkeypatch)
    assert len(table) == COUNT
    for row, triplet in zip(table, read_triplets(data_set), strict=True):
        pictures = load_images(data_set, triplet)
        for column, picture in zip(columns[:3], pictures, strict=True):
            if column is None:
                continue
            assert isinstance(table.features[column], datasets.Image)
            if picture is None:
                assert row[column] is None
            else:
                assert row[column].convert(picture.mode).tobytes() == picture.tobytes()
        assert row[columns[3]] == triplet.instruction
        if name == "parquet":
            assert row["keywords"] == list(triplet.keywords)
            assert json.loads(row["recipe"]) == triplet.recipe
    if name == "magicbrush":
        assert list(table.features) == [
            "img_id",
            "turn_index",
            "source_img",
            "mask_img",
            "instruction",
            "target_img",
        ]
        assert set(table["turn_index"]) == {1}


def test_datasets_loads_the_tars(data_set, tmp_path, monkeypatch):
    pytest.importorskip("webdataset")
    export_data_set(data_set, tmp_path / "out", "webdataset", shard_size=4)
    table, _ = load(tmp_path / "out", tmp_path, monkeypatch)
    for row, triplet in zip(table, read_triplets(data_set), strict=True):
        original, _, mask = load_images(data_set, triplet)
        assert row["original.png"].tobytes() == original.tobytes()
        assert (row["mask.png"] is None) == (mask is None)
        assert row["json"]["id"] == triplet.id
        assert row["json"]["recipe"] == triplet.recipe


def test_the_webdataset_library_reads_the_tars(data_set, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    export_data_set(data_set, tmp_path / "out", "webdataset", shard_size=4)
    files = sorted(str(path) for path in (tmp_path / "out" / "data").iterdir())
    assert [Path(file).name for file in files] == [f"train-0000{i}-of-00003.tar" for i in range(3)]
    samples = list(webdataset.WebDataset(files, shardshuffle=False).decode("pil"))
    for sample, triplet in zip(samples, read_triplets(data_set), strict=True):
        original, target, mask = load_images(data_set, triplet)
        assert sample["__key__"] == triplet.id
        assert sample["original.png"].tobytes() == original.tobytes()
        assert sample["target.png"].tobytes() == target.tobytes()
        assert ("mask.png" in sample) == (mask is not None)
        assert sample["json"]["instruction"] == triplet.instruction


def test_tables_of_the_datasets_library_are_read(data_set, tmp_path):
    """As others make InstructPix2Pix data: other names, other picture formats, one big row group."""
    datasets = pytest.importorskip("datasets")
    rng = np.random.default_rng(0)
    smooth = [
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((64, 48), Image.Resampling.BICUBIC)
        for _ in range(6)
    ]
    features = datasets.Features(
        {
            "input_image": datasets.Image(),
            "edit_prompt": datasets.Value("string"),
            "edited_image": datasets.Image(),
        }
    )
    grey = [picture.convert("L") for picture in smooth[3:]]
    table = datasets.Dataset.from_dict(
        {"input_image": smooth[:3], "edit_prompt": ["a", " make it\nsnow ", "c"], "edited_image": grey},
        features=features,
    )
    (tmp_path / "in").mkdir()
    table.to_parquet(tmp_path / "in" / "x.parquet")
    import_data_set(tmp_path / "in", tmp_path / "back", "instructpix2pix", category="Story-Type")
    triplets = list(read_triplets(tmp_path / "back"))
    assert [triplet.instruction for triplet in triplets] == ["a", "make it snow", "c"]
    for triplet, before, after in zip(triplets, smooth[:3], grey, strict=True):
        original, target, _ = load_images(tmp_path / "back", triplet)
        assert original.tobytes() == before.tobytes()
        assert target.tobytes() == after.convert("RGB").tobytes()


# --- the paper's layout


def test_the_papers_layout(data_set, tmp_path):
    desk = Recheck(data_set, "Ada")
    accepted = desk.accept(desk.next().id)
    export_data_set(data_set, tmp_path / "out", "editworld")
    folders = {"human_select_img": 1, "video_img": 4, "generated_img": 6}
    for branch, count in folders.items():
        group = tmp_path / "out" / branch / "group_0"
        expected = {"img_txt.json"} | {f"sample{n}_{end}.png" for n in range(count) for end in ("ori", "tar")}
        assert {path.name for path in group.iterdir()} == expected
    texts = json.loads((tmp_path / "out" / "human_select_img" / "group_0" / "img_txt.json").read_text())
    record = texts["sample0"]
    assert record["instuction"] == accepted.instruction
    assert record["target_cation"] == accepted.target_caption
    assert record["key_words"] == list(accepted.keywords)
    assert record["original_img_path"] == "human_select_img/group_0/sample0_ori.png"
    merged = json.loads((tmp_path / "out" / "train.json").read_text(encoding="utf-8"))
    assert len(merged) == COUNT
    for entry in merged:
        assert (tmp_path / "out" / entry["original_img_path"]).is_file()
        assert (tmp_path / "out" / entry["target_img_path"]).is_file()


def test_groups_hold_a_hundred(tmp_path):
    triplets = [replace(make_triplet(0), id=f"{number:016x}") for number in range(205)]
    shards = EditWorldFormat().shards(triplets, 7)
    assert [(shard.name, len(shard.triplets)) for shard in shards] == [
        ("generated_img/group_0", 100),
        ("generated_img/group_1", 100),
        ("generated_img/group_2", 5),
    ]


@pytest.mark.parametrize("only_train", [False, True])
def test_files_as_their_scripts_left_them(tmp_path, only_train):
    """Only their keys, paths from where their script ran, keywords as one text, JPEG inside."""
    group = tmp_path / "editworld" / "video_img" / "group_3"
    group.mkdir(parents=True)
    for name in ("sample7_ori.png", "sample7_tar.png"):
        Image.new("RGB", (40, 30), (200, 10, 60)).save(group / name, "JPEG")
    record = {
        "instuction": "Turn it on its back.",
        "original_img_path": "datasets/editworld/video_img/group_3/sample7_ori.png",
        "target_img_path": "/home/them/datasets/editworld/video_img/group_3/sample7_tar.png",
        "target_cation": "A watch on its back",
        "key_words": "watch, table",
    }
    if only_train:
        (tmp_path / "editworld" / "train.json").write_text(json.dumps([record]))
    else:
        (group / "img_txt.json").write_text(json.dumps({"sample7": record}))
    report = import_data_set(tmp_path / "editworld", tmp_path / "set", "editworld", category="Spatial-Trans")
    assert report.filled == {"category": 1, "original_caption": 1, "id": 1}
    (triplet,) = read_triplets(tmp_path / "set")
    assert (triplet.branch, triplet.category) == ("video", "Spatial-Trans")
    assert triplet.instruction == "Turn it on its back."
    assert triplet.target_caption == "A watch on its back"
    assert triplet.keywords == ("watch", "table")
    assert load_images(tmp_path / "set", triplet)[0].size == (40, 30)


# --- verdicts


def test_verdicts_are_in_the_export(data_set, tmp_path):
    triplets = list(read_triplets(data_set))
    desk = Recheck(data_set, "Ada")
    desk.drop(triplets[0].id)
    desk.rewrite(triplets[1].id, "The frost comes")
    desk.set_category(triplets[1].id, "Exaggeration")
    mask = np.zeros((24, 32), bool)
    mask[3:5] = True
    desk.set_mask(triplets[1].id, mask)
    desk.accept(triplets[1].id)
    report = export_data_set(data_set, tmp_path / "all", "parquet")
    assert report.left_out == {"dropped by a reviewer": 1}
    assert (report.triplets, report.exported) == (COUNT, COUNT - 1)
    report = export_data_set(data_set, tmp_path / "good", "parquet", accepted_only=True)
    assert report.left_out == {"dropped by a reviewer": 1, "not accepted by a reviewer": COUNT - 2}
    import_data_set(tmp_path / "good", tmp_path / "back", "parquet")
    (back,) = read_triplets(tmp_path / "back")
    assert (back.id, back.instruction, back.category) == (triplets[1].id, "The frost comes", "Exaggeration")
    assert back.recheck == "accept"
    assert np.array_equal(np.asarray(load_images(tmp_path / "back", back)[2]) > 0, mask)


def test_nothing_to_export_is_refused(data_set, tmp_path):
    with pytest.raises(BadInputError, match=r"nothing to export \(not accepted by a reviewer: 11\)"):
        export_data_set(data_set, tmp_path / "out", "parquet", accepted_only=True)
    assert not (tmp_path / "out").exists()


def test_a_triplet_without_an_instruction_stays_behind(tmp_path):
    triplet = replace(make_triplet(1), instruction="")
    with open_data_set(tmp_path / "set", {}) as writer:
        writer.add(triplet, *make_pictures(1))
        writer.add(make_triplet(2), *make_pictures(2))
    report = export_data_set(tmp_path / "set", tmp_path / "out", "webdataset")
    assert (report.exported, report.left_out) == (1, {"no instruction": 1})


# --- kills, foreign folders, full disks, memory

KILLED = """
import os, sys
from pathlib import Path
from editworld_core.datagen.formats import exporting
source, output, name, where, count = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5])
move, moves = os.replace, 0
def counted(*paths):
    global moves
    moves += Path(paths[1]).parent == output
    if where == "moves" and moves > count:
        os._exit(9)
    move(*paths)
os.replace = counted
def progress(done, total):
    if where == "items" and done == count:
        os._exit(9)
exporting.export_data_set(source, output, name, shard_size=4, progress=progress)
"""


@pytest.mark.parametrize(
    ("name", "where", "count"),
    [
        ("editworld", "items", 9),
        ("editworld", "moves", 2),
        ("parquet", "items", 7),
        ("webdataset", "items", 6),
        ("webdataset", "moves", 1),
    ],
)
def test_a_killed_export_shows_nothing_and_goes_on(data_set, tmp_path, name, where, count):
    out = tmp_path / "out"
    run = subprocess.run([sys.executable, "-c", KILLED, data_set, out, name, where, str(count)])
    assert run.returncode == 9
    assert not (out / "export.json").exists()
    if where == "items":
        assert [path.name for path in out.iterdir()] == [".making"]
        if name != "editworld":
            with pytest.raises(BadInputError, match="holds no"):
                import_data_set(out, tmp_path / "back", name)
    steps = []
    report = export_data_set(
        data_set, out, name, shard_size=4, progress=lambda done, total: steps.append(done)
    )
    if where == "items" and name != "editworld":  # whole shards are not made again
        assert steps[:2] == [0, 4]
    assert report.exported == COUNT
    export_data_set(data_set, tmp_path / "whole", name, shard_size=4)
    assert content(out) == content(tmp_path / "whole")


def test_the_same_export_again_changes_nothing(data_set, tmp_path):
    first = export_data_set(data_set, tmp_path / "out", "webdataset")
    assert str(tmp_path).encode() not in (tmp_path / "out" / "export.json").read_bytes()
    before = content(tmp_path / "out")
    assert export_data_set(data_set, tmp_path / "out", "webdataset") == first
    assert content(tmp_path / "out") == before
    Recheck(data_set, "Ada").drop(make_triplet(3).id)
    with pytest.raises(BadInputError, match="holds an export of other triplets"):
        export_data_set(data_set, tmp_path / "out", "webdataset")
    with pytest.raises(BadInputError, match="holds an export of other triplets"):
        export_data_set(data_set, tmp_path / "out", "parquet")
    assert content(tmp_path / "out") == before


def test_a_foreign_folder_is_left_alone(data_set, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    export_data_set(data_set, out, "webdataset")  # empty is fine
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"sun")
    with pytest.raises(BadInputError, match="not empty"):
        export_data_set(data_set, tmp_path / "holiday", "webdataset")
    assert content(tmp_path / "holiday") == {"beach.jpg": b"sun"}
    with pytest.raises(BadInputError, match="not empty"):
        export_data_set(data_set, data_set, "webdataset")
    with pytest.raises(BadInputError, match="is a file"):
        export_data_set(data_set, tmp_path / "holiday" / "beach.jpg", "webdataset")
    with pytest.raises(BadInputError, match="is not a data set"):
        export_data_set(tmp_path / "holiday", tmp_path / "new", "webdataset")


def test_a_damaged_picture_is_refused_or_left_out(data_set, tmp_path):
    triplets = list(read_triplets(data_set))
    (data_set / triplets[2].target_image).write_bytes(b"\x89PNG and then nothing")
    (data_set / triplets[5].mask).unlink()
    with pytest.raises(BadInputError, match=r"cannot be used: .*--skip-bad"):
        export_data_set(data_set, tmp_path / "out", "webdataset", shard_size=4)
    report = export_data_set(data_set, tmp_path / "out", "webdataset", shard_size=4, skip_bad=True)
    assert (report.exported, report.left_out) == (COUNT - 2, {"picture unusable": 1, "file missing": 1})
    import_data_set(tmp_path / "out", tmp_path / "back", "webdataset")
    kept = [triplet.id for number, triplet in enumerate(triplets) if number not in (2, 5)]
    assert [triplet.id for triplet in read_triplets(tmp_path / "back")] == kept


FULL = """
import resource, signal, sys
from pathlib import Path
from editworld_core.datagen.formats.exporting import export_data_set
from editworld_core.errors import EditWorldError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    export_data_set(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
except EditWorldError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["parquet", "webdataset"])
def test_a_disk_that_takes_no_more_is_one_sentence(data_set, tmp_path, name):
    out = tmp_path / "out"
    run = subprocess.run([sys.executable, "-c", FULL, data_set, out, name], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert "cannot be written" in run.stdout
    assert "File too large" in run.stdout
    assert run.stdout.count("\n") == 1
    assert [path.name for path in out.iterdir()] == [".making"]
    assert export_data_set(data_set, out, name).exported == COUNT


class Counted(bytes):
    """Bytes that know how many of them are alive."""

    alive = most = 0

    def __new__(cls, data):
        cls.alive += 1
        cls.most = max(cls.most, cls.alive)
        return super().__new__(cls, data)

    def __del__(self):
        Counted.alive -= 1


@pytest.mark.parametrize(("name", "most"), [("editworld", 8), ("webdataset", 8), ("parquet", 3 * 66)])
def test_pictures_are_not_kept_in_memory(tmp_path, name, most):
    picture = make_pictures(0)[0]
    triplets = [replace(make_triplet(1), id=f"{number:016x}") for number in range(300)]
    items = (Item(triplet, Counted(picture), Counted(picture), Counted(picture)) for triplet in triplets)
    Counted.most = 0
    (shard,) = EditWorldFormat().shards(triplets[:100], 1) if name == "editworld" else [None]
    shard = shard or FORMATS[name].shards(triplets, 1000)[0]
    if name == "editworld":
        items = (item for item, _ in zip(items, range(100), strict=False))
    FORMATS[name].write(tmp_path, shard, items)
    assert Counted.most <= most


# --- bad input


def damaged(data: bytes) -> bytes:
    return data[: len(data) // 2]


def bomb() -> bytes:
    """A PNG whose header says 60000x60000."""
    data = bytearray(encode_png(Image.new("L", (64, 64))))
    data[16:24] = (60000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


PICTURES = {
    "empty": (b"", "picture unusable"),
    "no picture": (b"<svg/>", "picture unusable"),
    "truncated": (damaged(make_pictures(0)[0]), "picture unusable"),
    "too small": (encode_png(Image.new("RGB", (1, 1))), "picture unusable"),
    "long": (encode_png(Image.new("RGB", (4000, 9))), "picture unusable"),
    "bomb": (bomb(), "picture unusable"),
    "other size": (encode_png(Image.new("RGB", (33, 24))), "sizes differ"),
}


@pytest.mark.parametrize("name", ["editworld", "webdataset", "parquet"])
@pytest.mark.parametrize("what", PICTURES)
def test_bad_pictures_are_refused_or_skipped(tmp_path, name, what):
    data, kind = PICTURES[what]
    triplets = [make_triplet(number) for number in (3, 6, 9)]
    items = [Item(triplet, *make_pictures(1)) for triplet in triplets]
    items[1] = replace(items[1], target=data)
    layout = FORMATS[name]
    for shard in layout.shards(triplets, 10):
        layout.write(tmp_path / "in", shard, [item for item in items if item.triplet in shard.triplets])
    with pytest.raises(BadInputError, match=r"^The (target|pair) of .* --skip-bad\.$"):
        import_data_set(tmp_path / "in", tmp_path / "back", name)
    report = import_data_set(tmp_path / "in", tmp_path / "back", name, skip_bad=True)
    assert (report.read, report.total, report.skipped) == (3, 2, {kind: 1})
    assert [triplet.id for triplet in read_triplets(tmp_path / "back")] == [triplets[0].id, triplets[2].id]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda entry: entry.update(original_img_path="../secret.png"), "path leads out"),
        (lambda entry: entry.update(original_img_path="/etc/secret.png"), "path leads out"),
        (lambda entry: entry.update(original_img_path="x/generated_img/../../secret.png"), "path leads out"),
        (lambda entry: entry.update(target_img_path="link/secret.png"), "path leads out"),
        (lambda entry: entry.update(target_img_path="generated_img/group_0/none.png"), "file missing"),
        (lambda entry: entry.update(target_img_path="a" * 5000), "file unreadable"),
        (lambda entry: entry.update(target_img_path=7), "text damaged"),
        (lambda entry: entry.pop("target_img_path"), "text damaged"),
        (lambda entry: entry["record"].update(id="../../../tmp/x"), "text damaged"),
        (lambda entry: entry["record"].update(category="Nice"), "text damaged"),
        (lambda entry: entry.update(instuction={"a": 1}), "text damaged"),
        (lambda entry: entry.update(original_caption="half a pair: \ud83d"), "text damaged"),
        (lambda entry: entry.update(original_caption="long " * 300_000), "text too long"),
        (lambda entry: entry.update(record={"category": "Long-Term"}, instuction=""), "instruction unusable"),
        (
            lambda entry: entry.update(record={"category": "Long-Term"}, instuction="x" * 501),
            "instruction unusable",
        ),
    ],
)
def test_bad_records_are_refused_or_skipped(tmp_path, change, kind):
    source = tmp_path / "in"
    with open_data_set(tmp_path / "set", {}) as writer:
        for number in (3, 6):
            writer.add(make_triplet(number), *make_pictures(number))
    export_data_set(tmp_path / "set", source, "editworld")
    (tmp_path / "secret.png").write_bytes(make_pictures(0)[0])
    (source / "link").symlink_to(tmp_path)
    rewrite(source / "generated_img" / "group_0" / "img_txt.json", lambda texts: change(texts["sample0"]))
    with pytest.raises(BadInputError, match=r"^[A-Z].*ecord sample0 in .*--skip-bad\.$"):
        import_data_set(source, tmp_path / "back", "editworld")
    report = import_data_set(source, tmp_path / "back", "editworld", skip_bad=True)
    assert (report.total, report.skipped) == (1, {kind: 1})
    assert [triplet.id for triplet in read_triplets(tmp_path / "back")] == [make_triplet(6).id]


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_refused_or_skipped(data_set, tmp_path, name):
    export_data_set(data_set, tmp_path / "out", name, shard_size=4)
    files = sorted((tmp_path / "out").rglob("img_txt.json" if name == "editworld" else "train-*"))
    files[1].write_bytes(damaged(files[1].read_bytes()))
    with pytest.raises(BadInputError, match=r"(damaged or no|is not JSON).*--skip-bad\.$"):
        import_data_set(tmp_path / "out", tmp_path / "back", name, category="Long-Term")
    report = import_data_set(tmp_path / "out", tmp_path / "back", name, category="Long-Term", skip_bad=True)
    assert report.skipped == {"text damaged" if name == "editworld" else "file damaged": 1}
    assert 0 < report.total < COUNT


def test_another_format_is_named(data_set, tmp_path):
    export_data_set(data_set, tmp_path / "ip2p", "instructpix2pix")
    for name, reason in (
        ("parquet", "has no column target_image"),
        ("magicbrush", "has no column source_img"),
        ("webdataset", r"holds no \.tar file"),
        ("editworld", r"neither train\.json nor group"),
    ):
        with pytest.raises(BadInputError, match=reason):
            import_data_set(tmp_path / "ip2p", tmp_path / "back", name, skip_bad=True)
        assert not (tmp_path / "back").exists()
    for name in NAMES:
        with pytest.raises(BadInputError, match=r"does not exist|is not a folder"):
            import_data_set(tmp_path / "nowhere", tmp_path / "back", name)


def test_a_tar_from_a_stranger_writes_nothing_outside(tmp_path):
    before, after, _ = make_pictures(0)
    record = json.dumps({"instruction": "It snows", "category": "Long-Term"}).encode()
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, data in (
            ("../../evil.original.png", before),
            ("../../evil.target.png", after),
            ("../../evil.json", record),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("b.original.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    report = import_data_set(tmp_path / "x.tar", tmp_path / "set", "webdataset")
    assert report.total == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "x.tar"]
    (triplet,) = read_triplets(tmp_path / "set")
    assert triplet.id == item_id(triplet.branch, triplet.recipe, triplet.seeds, triplet.models)


@settings(deadline=None, max_examples=60)
@given(
    record=st.dictionaries(
        st.sampled_from(["instuction", "original_img_path", "target_img_path", "key_words", "record", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.just("../a") | st.just("a.png"),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "recipe", "a"]), inner),
            max_leaves=4,
        ),
    )
)
def test_no_record_brings_it_down(tmp_path_factory, record):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.png").write_bytes(make_pictures(0)[0])
    (folder / "train.json").write_text(json.dumps([record]))
    report = import_data_set(folder, folder / "set", "editworld", category="Long-Term", skip_bad=True)
    assert report.total + sum(report.skipped.values()) == report.read == 1


# --- MagicBrush's masks


def as_magicbrush(source: bytes, region: np.ndarray, how: str) -> bytes:
    pixels = np.asarray(Image.open(io.BytesIO(source)).convert("RGBA")).copy()
    if how == "transparent":
        pixels[region, 3] = 0
    elif how == "white in the picture":
        pixels[region] = 255
    else:
        pixels[...] = np.where(region[..., None], 255, 0)
        pixels[..., 3] = 255
    return encode_png(Image.fromarray(pixels))


@pytest.mark.parametrize("how", ["transparent", "white in the picture", "white on black"])
def test_magicbrush_masks_are_white_or_transparent_regions(how):
    pixels = np.random.default_rng(5).integers(0, 200, (24, 32, 3), np.uint8)
    pixels[15:] = 255  # white that was there before
    source = encode_png(Image.fromarray(pixels))
    region = np.zeros((24, 32), bool)
    region[4:9, 10:20] = True
    mask = read_mask(as_magicbrush(source, region, how), source, "row 1")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(mask)).convert("L")) > 0, region)
    ours = make_pictures(5)[2]
    assert read_mask(ours, source, "row 1") == ours


# --- the hub


def test_a_push_is_refused_before_the_work(monkeypatch, tmp_path):
    import huggingface_hub.constants as constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(BadInputError, match="write it as owner/name"):
        check_push("just-a-name")
    with pytest.raises(EditWorldError, match="Nobody is logged in at the hub"):
        check_push("someone/worlds")
    monkeypatch.setenv("HF_TOKEN", "hf_nothing")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EditWorldError, match="HF_HUB_OFFLINE is set"):
        check_push("someone/worlds")


def test_a_push_without_a_network_is_one_sentence(tmp_path):
    code = (
        "from editworld_core.datagen.formats.hub import check_push\n"
        "from editworld_core.errors import EditWorldError\n"
        "try: check_push('someone/worlds')\n"
        "except EditWorldError as error: print(error)"
    )
    env = {**os.environ, "HF_TOKEN": "hf_nothing", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60)
    assert run.stdout.startswith("someone/worlds cannot be sent to the hub (ConnectError)"), run.stderr
    assert run.stdout.count("\n") == 1
