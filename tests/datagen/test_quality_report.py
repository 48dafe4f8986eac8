"""The quality report as a whole: on simulated and other triplets, again, with filters, hostile texts and a judge."""

import csv
import json
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image, ImageFilter

from editworld_core.categories import Category
from editworld_core.datagen.quality.items import Pictures
from editworld_core.datagen.quality.report import write_report
from editworld_core.datagen.quality.samples import SIDE, draw_strip
from editworld_core.datagen.recheck import Recheck, apply, read_log
from editworld_core.datagen.records import encode_png, load_images, open_data_set, read_triplets, write_file
from editworld_core.datagen.simulate import generate_simulated
from editworld_core.datagen.triplet import image_path, item_id
from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.language_server import ServerModel
from tests.datagen.test_formats import make_data_set, make_pictures, make_triplet
from tests.datagen.tiny_pair_models import save_clip


def add_copy(folder, triplet, **changes):
    """Another triplet with the same pictures."""
    item = item_id("simulation", {"copy": triplet.id, **{k: str(v) for k, v in changes.items()}}, {}, {})
    copy = replace(
        triplet,
        id=item,
        original_image=image_path(item, "original"),
        target_image=image_path(item, "target"),
        mask=image_path(item, "mask"),
        **changes,
    )
    pictures = [encode_png(image) for image in load_images(folder, triplet)]
    with open_data_set(folder, {}) as writer:
        assert writer.add(copy, *pictures)
    return copy


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "set"
    generate_simulated(folder, 7, size=64)
    first = next(read_triplets(folder))
    copy = add_copy(
        folder, first, instruction="<script>alert(1)</script> melt & flow", category=Category.STORY_TYPE
    )
    return folder, first, copy, write_report(folder)


def rows_of(report):
    with open(report.table) as table:
        return {row["id"]: row for row in csv.DictReader(table)}


def test_a_copy_is_found_and_texts_are_escaped(made):
    _, first, copy, report = made
    numbers = json.loads(Path(report.numbers).read_text())
    assert numbers["near_duplicates"]["pictures"] == [[first.id, copy.id]]
    rows = rows_of(report)
    assert [rows[one.id]["repeats_pictures"] for one in (first, copy)] == ["0", "1"]
    assert "1 triplet has nearly the pictures of an earlier one." in report.findings
    page = Path(report.page).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; melt &amp; flow" in page
    assert not re.search(r'(?:src|href)="(?!data:image/jpeg;base64,|#)', page)


def test_numbers_are_those_of_the_data_set(made):
    folder, first, _, report = made
    rows = rows_of(report)
    mask = load_images(folder, first)[2]
    assert float(rows[first.id]["mask_share"]) == pytest.approx((np.asarray(mask) > 127).mean(), abs=1e-5)
    assert float(rows[first.id]["st_lpips"]) > 0.01
    numbers = json.loads(Path(report.numbers).read_text())
    assert numbers["triplets"] == len(rows) == 8
    assert numbers["balance"]["category"]["counts"]["Story-Type"] == 2
    assert numbers["balance"]["dynamic"]["evenness"] is not None
    shares = [float(row["mask_share"]) for row in rows.values()]
    assert numbers["scores"]["mask_share"]["median"] == pytest.approx(np.median(shares), abs=1e-5)


def test_what_is_not_there_is_said_and_never_a_number(made):
    report = made[3]
    assert set(report.absent) == {
        *("clip_text", "clip_image", "clip_direction"),
        *("judge_alignment", "judge_identity", "judge_quality"),
    }
    assert "--clip" in report.absent["clip_text"]
    assert "EDITWORLD_LLM_URL" in report.absent["judge_quality"]
    assert {row["clip_text"] for row in rows_of(report).values()} == {""}
    assert report.absent["clip_text"].split(";")[0] in Path(report.page).read_text()


def test_a_second_report_measures_nothing_and_is_the_same(made):
    folder, _, _, report = made
    before = [Path(path).read_bytes() for path in (report.page, report.numbers, report.table)]
    again = write_report(folder)
    assert (again.measured, again.known) == (0, report.measured + report.known)
    assert before == [Path(path).read_bytes() for path in (report.page, report.numbers, report.table)]


def test_only_what_changed_is_measured_again(tmp_path):
    generate_simulated(tmp_path / "set", 3, size=64)
    first, *others = read_triplets(tmp_path / "set")
    report = write_report(tmp_path / "set", quick=True)
    before = rows_of(report)
    target = load_images(tmp_path / "set", first)[1]
    blurred = encode_png(target.filter(ImageFilter.GaussianBlur(3)))
    write_file(tmp_path / "set" / first.target_image, blurred)
    (tmp_path / "set" / others[0].target_image).write_bytes(b"no picture")
    again = write_report(tmp_path / "set", quick=True)
    assert again.measured == 4  # cells and sharpness of two
    after = rows_of(again)
    assert float(after[first.id]["sharpness_target"]) < 0.5 * float(before[first.id]["sharpness_target"])
    assert after[first.id]["sharpness_original"] == before[first.id]["sharpness_original"]
    assert after[others[1].id] == before[others[1].id]
    assert (after[others[0].id]["readable"], after[others[0].id]["sharpness"]) == ("0", "")
    assert "--quick" in again.absent["st_lpips"]


def test_any_branch_with_and_without_masks_and_instructions(tmp_path):
    make_data_set(tmp_path / "set", 8)
    bare = replace(
        make_triplet(100), instruction="", original_caption="", target_caption="", keywords=(), mask=None
    )
    stored = replace(
        make_triplet(102),
        scores={"alignment": 1.0, "draws/draw_target.0/clip": 0.2, "draws/draw_target.1/clip": 0.4},
    )
    with open_data_set(tmp_path / "set", {}) as writer:
        for number, one in ((100, bare), (102, stored)):
            before, after, mask = make_pictures(number)
            writer.add(one, before, after, mask if one.mask else None)
    keywords = Image.new("L", (32, 24), 0)
    keywords.paste(255, (0, 0, 16, 24))
    first = next(
        one for one in read_triplets(tmp_path / "set") if one.branch == "text_to_image" and not one.mask
    )
    write_file(tmp_path / "set" / f"shards/{first.id[:2]}/{first.id}_keywords.png", encode_png(keywords))
    report = write_report(tmp_path / "set", tmp_path / "out", quick=True)
    numbers, rows = json.loads(Path(report.numbers).read_text()), rows_of(report)
    assert numbers["without_instruction"] == 1
    assert numbers["stored_scores"]["draw_target/clip"]["mean"] == pytest.approx(0.3)
    assert numbers["stored_scores"]["draw_target/clip"]["count"] == 2
    assert set(numbers["balance"]["branch"]["counts"]) == {"text_to_image", "video", "simulation"}
    assert rows[first.id]["mask_share"] == "0.5"
    assert {rows[bare.id][name] for name in ("words", "coherence", "repeats_texts", "mask_share")} == {""}
    assert rows[bare.id]["sharpness"] != ""


def test_an_empty_data_set_has_a_report(tmp_path):
    make_data_set(tmp_path / "set", 0)
    report = write_report(tmp_path / "set")
    assert (report.triplets, report.measured) == (0, 0)
    assert "sharpness" in report.absent


def test_filters_list_and_drop_and_can_be_undone(tmp_path):
    folder = tmp_path / "set"
    triplets = make_data_set(folder, 6)
    add_copy(folder, triplets[1])
    Recheck(folder, "Ada").accept(triplets[0].id)
    report = write_report(folder, quick=True, filters=["repeats_pictures<=0"])
    (copy,) = report.filters.failing
    assert Path(report.failing).read_text() == f"{copy}\n"
    assert copy not in {one.id for one in triplets}
    assert not (folder / "recheck.jsonl").read_text().count('"drop"')
    everyone = write_report(folder, quick=True, filters=["words>=1000"], drop=True).filters
    assert (len(everyone.failing), everyone.dropped, everyone.left) == (7, 6, 1)
    assert [one.id for one in apply(read_triplets(folder), read_log(folder))] == [triplets[0].id]
    desk = Recheck(folder, "filter")
    for _ in range(6):
        assert desk.undo() is not None
    assert len(list(apply(read_triplets(folder), read_log(folder)))) == 7
    again = write_report(folder, quick=True)
    assert (again.triplets, again.failing) == (7, None)
    assert not (folder / "report" / "failing.txt").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"filters": ["clip_image>=0.7"]}, "absent from this report"),
        ({"filters": ["beauty>=0.7"]}, "no score 'beauty'"),
        ({"filters": ["st_lpips>=0.7"], "quick": True}, "absent from this report"),
        ({"drop": True}, "give --drop a --filter"),
    ],
)
def test_wrong_filters_are_refused_before_anything_is_written(tmp_path, options, reason):
    make_data_set(tmp_path / "set", 1)
    with pytest.raises(BadInputError, match=reason):
        write_report(tmp_path / "set", **options)
    assert not (tmp_path / "set" / "report").exists()


def test_places_that_cannot_be_used(tmp_path):
    make_data_set(tmp_path / "set", 1)
    with pytest.raises(BadInputError, match="does not exist"):
        write_report(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInputError, match="is a file"):
        write_report(tmp_path / "set", tmp_path / "file")
    write_report(tmp_path / "set", quick=True)
    (tmp_path / "set/report/measures.sqlite").write_bytes(b"something else entirely" * 40)
    with pytest.raises(BadInputError, match="delete it"):
        write_report(tmp_path / "set", quick=True)


def test_clip_from_a_folder_and_clip_that_is_not_there(tmp_path):
    make_data_set(tmp_path / "set", 2)
    save_clip(tmp_path / "clip")
    report = write_report(
        tmp_path / "set", clip=str(tmp_path / "clip"), quick=True, filters=["clip_image>=-1"]
    )
    assert "clip_text" not in report.absent
    assert report.filters.failing == ()
    assert all(-1 <= float(row["clip_text"]) <= 1 for row in rows_of(report).values())
    report = write_report(tmp_path / "set", clip=str(tmp_path / "nothing"), quick=True)
    assert str(tmp_path / "nothing") in report.absent["clip_text"]
    assert {row["clip_text"] for row in rows_of(report).values()} == {""}


class Judge(BaseHTTPRequestHandler):
    """A vision-language server that finds every second pair bad, and then falls ill."""

    asked: ClassVar[list[dict]] = []
    ill = False

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        verdict = {"reason": "so", "alignment": True, "identity": len(self.asked) % 2 == 0, "quality": True}
        answer = json.dumps({"choices": [{"message": {"content": json.dumps(verdict)}}]}).encode()
        self.send_response(400 if type(self).ill else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


def test_the_judge_sees_both_pictures_once(tmp_path):
    make_data_set(tmp_path / "set", 4)
    with ThreadingHTTPServer(("127.0.0.1", 0), Judge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        model = ServerModel(f"http://127.0.0.1:{server.server_port}", "eyes")
        report = write_report(tmp_path / "set", judge=model, quick=True)
        assert len(Judge.asked) == 4
        assert [part["type"] for part in Judge.asked[0]["messages"][-1]["content"]] == ["image_url"] * 2 + [
            "text"
        ]
        assert [row["judge_identity"] for row in rows_of(report).values()] == ["0", "1", "0", "1"]
        write_report(tmp_path / "set", judge=model, quick=True)
        assert len(Judge.asked) == 4
        Judge.ill = True
        with pytest.raises(EditWorldError):
            write_report(tmp_path / "set", tmp_path / "elsewhere", judge=model, quick=True)
        server.shutdown()


def test_a_strip_shows_the_mask_and_dims_the_rest():
    grey = Image.new("RGB", (100, 50), (120, 120, 120))
    mask = np.zeros((50, 100), bool)
    mask[:, :50] = True
    strip = np.asarray(draw_strip(Pictures(grey, grey, mask)), int)
    assert strip.shape[1] == 3 * SIDE + 8
    inside, outside = strip[20, -SIDE + 20], strip[20, -20]
    assert inside[0] > inside[2] + 40
    assert outside.max() < 80
    assert draw_strip(Pictures(grey, grey, None)).width == 2 * SIDE + 4
