"""The report of an evaluation: its numbers, its tables, its page, and texts that would like to be more than text."""

import csv
import io
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from statistics import fmean, median

import pytest
from PIL import Image

from editworld_core.evaluation.measures import VALUES, choose_measures, models_of
from editworld_core.evaluation.record import Scored, Setup
from editworld_core.evaluation.report import summary, write_report
from editworld_core.evaluation.report.latex import tex
from editworld_core.settings import EditSettings
from tests.evaluation.some import picture, some_item, some_outcome, some_pictures, some_scored

EVIL = "</script><img src=x onerror=alert(1)> & \\input{x} 50% _^~ {\u202e 字"
MODELS = {"clip": "openai/clip-vit-base-patch32"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report of three items and two setups; one edit was refused, one setup has no post-edit."""
    folder = tmp_path_factory.mktemp("report")
    measures, absent = choose_measures(quick=True)
    setups = (Setup("pocket", EditSettings(seed=0)), Setup("plain " + EVIL, EditSettings(post_edit=False)))
    outcomes, scored = {}, []
    for place, name in enumerate(("a", "b", EVIL)):
        item = some_item(
            name,
            category=("Long-Term", "Long-Term", "Story-Type")[place],
            branch=("simulation", "simulation", "text_to_image")[place],
            instruction=f"{EVIL} {place}",
            about={"dynamic": "melt"} if place < 2 else {},
        )
        for setup in setups:
            original = some_pictures().original
            edited = Image.blend(original, some_pictures().target, 0.3 + 0.25 * place)
            outcome = some_outcome(edited=edited)
            if not setup.settings.post_edit:
                outcome = some_outcome(edited=edited, final=edited)
            values = {"clip_score_edited": 0.2 + place / 100, "clip_score_final": 0.25}
            for measure in measures:
                values |= measure.measure(item, item.read(), outcome)
            scored.append(Scored(item, setup, values))
            outcomes[name, setup.label] = outcome
    scored[3] = Scored(scored[3].item, scored[3].setup, {}, "It was refused: " + EVIL)
    about = {"data_set": "set " + EVIL, "models": models_of(measures) | MODELS, "notes": ["One left out."]}
    write_report(
        folder,
        scored,
        about,
        lambda one: None if one.failure else outcomes[one.item.id, one.setup.label],
        absent,
    )
    return folder, scored, absent


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def data_of(page: str):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_the_json_has_what_it_promises(made):
    folder, scored, absent = made
    found = json.loads((folder / "report.json").read_text())
    assert {"data_set", "setups", "items", "absent", "models", "paper", "differences", "values"} <= set(found)
    own = [one for one in scored if one.setup.label == "pocket"]
    assert found["setups"]["pocket"]["summary"] == summary(own)
    assert found["setups"]["pocket"]["settings"]["seed"] == 0
    assert found["absent"] == absent
    assert len(found["items"]) == 3
    assert found["items"][1]["failures"] == {scored[3].setup.label: scored[3].failure}
    first = found["items"][0]["scores"]["pocket"]
    assert first["error_final"] == pytest.approx(scored[0].values["error_final"], rel=1e-5)
    difference = found["differences"][scored[1].setup.label]["error_final"]
    pairs = [(scored[i].values["error_final"], scored[i + 1].values["error_final"]) for i in (0, 4)]
    assert difference["mean"] == pytest.approx(fmean(b - a for a, b in pairs), rel=1e-4)
    assert difference["count"] == 2
    assert [row["EditWorld"] for row in found["paper"]["mllm_score"]] == [0.8958, 0.9920]


def test_the_summary_of_simulated_worlds():
    values = [
        {"success_edited": 1.0, "psnr_outside_edited": 30.0, "mask_iou_final": 0.5, "seconds": 1.0},
        {"success_edited": 0.0, "psnr_outside_edited": 20.0, "mask_iou_final": None, "seconds": 9.0},
        {"success_edited": 1.0, "psnr_outside_edited": None, "mask_iou_final": 0.7, "seconds": 2.0},
    ]
    dynamics = ("melt", "melt", "grow")
    scored = [
        some_scored(str(place), values=own, about={"dynamic": dynamics[place]}, category="Long-Term")
        for place, own in enumerate(values)
    ]
    found = summary([*scored, some_scored("x", failure="No.")])
    assert found["success"] == {
        "overall": 0.6667,
        "by_category": {"Long-Term": 0.6667},
        "by_dynamic": {"grow": 1.0, "melt": 0.5},
    }
    assert found["psnr_outside"] == median([30, 20])
    assert found["mask_iou"] == {"attention": None, "final": 0.6}
    assert found["st_lpips_outside"] == {"edited": None, "final": None}
    assert found["seconds_per_edit"] == 2
    assert (found["items"], found["failures"]) == (4, 1)
    assert summary([])["success"] == {"overall": None, "by_category": {}, "by_dynamic": {}}


def test_the_csv_has_a_row_an_item_and_setup_with_every_value(made):
    folder, scored, _ = made
    rows = list(csv.DictReader(io.StringIO((folder / "report.csv").read_text())))
    assert len(rows) == len(scored)
    for row, one in zip(rows, scored, strict=True):
        assert row["id"] == one.item.id
        for name in VALUES:
            value = one.values.get(name)
            assert row.get(name, "") == ("" if value is None else f"{value:.6g}")
    assert rows[3]["failure"] == scored[3].failure


def test_the_page_is_data_and_one_script_and_texts_stay_texts(made):
    folder, _, absent = made
    page = (folder / "report.html").read_text()
    parsed = Tags(page)
    scripts = [attrs for tag, attrs in parsed.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    assert not [attrs for _, attrs in parsed.tags if any(name.startswith("on") for name in attrs)]
    assert not [tag for tag, _ in parsed.tags if tag in ("img", "iframe", "link", "b")]
    assert "http://" not in page
    assert "https://" not in page
    text = unescape("".join(parsed.text))
    assert EVIL in text
    for reason in absent.values():
        assert reason in text
    data = data_of(page)
    assert [item["instruction"] for item in data["items"]] == [f"{EVIL} {place}" for place in range(3)]


def test_the_scripts_hash_is_the_one_allowed(made):
    import base64
    import hashlib

    page = (made[0] / "report.html").read_text()
    script = re.search(r"<script>(.*?)</script>", page, re.S)[1]
    code = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(dict(a)["content"] for t, a in Tags(page).tags if a.get("http-equiv"))
    assert f"script-src 'sha256-{code}'" in policy
    assert "default-src 'none'" in policy


def test_the_pictures_are_there_and_old_ones_go(made, tmp_path):
    folder, scored, absent = made
    data = data_of((folder / "report.html").read_text())
    files = {name for case in data["cases"] for name in case["pictures"].values()}
    assert files == {path.name for path in (folder / "report_files").iterdir()}
    columns = [set(case["pictures"]) for case in data["cases"]]
    assert columns[0] == {"original", "edited", "final", "mask", "truth"}
    assert columns[3] == {"original", "truth"}
    with Image.open(folder / "report_files" / data["cases"][0]["pictures"]["mask"]) as image:
        assert max(image.size) == 256
    write_report(tmp_path, scored, {"data_set": "x"}, lambda one: some_outcome(), absent)
    before = len(list((tmp_path / "report_files").iterdir()))
    write_report(tmp_path, scored[:2], {"data_set": "x"}, lambda one: some_outcome(), absent)
    assert len(list((tmp_path / "report_files").iterdir())) == 8 < before


def test_the_papers_tables_stand_beside_ours_with_the_model_and_why_they_differ(made):
    page = (made[0] / "report.html").read_text()
    table = re.search(r'<table aria-label="CLIP score">.*?</table>', page, re.S)[0]
    rows = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*?)</tr>", table, re.S)
    ]
    story = next(row for row in rows if row[:2] == ["Text-to-image", "Story-Type"])
    assert story[2:7] == ["0.2063", "0.2070", "0.2084", "0.2534", "0.2354"]
    assert story[7].startswith("0.22<")
    assert len(story) == 2 + 5 + 2 + 1  # the setup without a post-edit has one column
    assert "clip-vit-base-patch32: scores of different CLIP models cannot be compared" in page
    assert "2405.14785" in page


def test_latex_text_is_text():
    assert tex("a_b & 50% {x} \\input #1 $ ^ ~") == (
        r"a\_b \& 50\% \{x\} \textbackslash{}input \#1 \$ \textasciicircum{} \textasciitilde{}"
    )
    assert tex("a\u202eb\x00\n\nc") == "a b c"
    assert tex("--") == "{-}{-}"


def test_the_latex_balances_and_has_the_numbers(made):
    text = (made[0] / "report.tex").read_text()
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") >= 5
    bare = re.sub(r"\\[{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    for table in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.S):
        for line in re.findall(r"^[^\\\n].*\\\\$|^\\textquotedbl.*\\\\$", table[1], re.M):
            cells = len(re.findall(r"(?<!\\)&", line)) + 1
            spans = [int(span) - 1 for span in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert cells + sum(spans) == len(table[0])
    assert "0.2534" in text
    assert "(?)" not in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_latex_compiles(made, tmp_path):
    shutil.copy(made[0] / "report.tex", tmp_path)
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "report.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-1500:]
    assert (tmp_path / "report.pdf").stat().st_size > 5000


def test_a_data_set_of_one_original_and_an_instruction(tmp_path):
    from editworld_core.evaluation.record import Pictures

    item = some_item(pictures=Pictures(picture(0)), category="", branch="")
    measures, absent = choose_measures(quick=True)
    values = {}
    for measure in measures:
        values |= measure.measure(item, item.read(), some_outcome())
    write_report(
        tmp_path,
        [Scored(item, Setup("pocket", EditSettings()), values)],
        {},
        lambda _: some_outcome(),
        absent,
    )
    data = data_of((tmp_path / "report.html").read_text())
    assert set(data["cases"][0]["pictures"]) == {"original", "edited", "final", "mask"}
    setups = json.loads((tmp_path / "report.json").read_text())["setups"]
    assert setups["pocket"]["summary"]["success"]["overall"] is None
