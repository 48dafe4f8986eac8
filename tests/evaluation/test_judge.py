"""The judge, asked through a real server on this machine that answers as it is told to."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from editworld_core.errors import EditWorldError
from editworld_core.evaluation.measures import choose_measures, models_of
from editworld_core.evaluation.measures.answers import AnswerBook
from editworld_core.evaluation.measures.judge import YES_NO, answers_about, judge_measure
from editworld_core.language_server import ServerModel
from tests.evaluation.some import some_item, some_outcome, some_pictures

GRADES = {"reason": "the sun is out", "instruction": 4, "preservation": 2, "quality": 5}


@contextmanager
def serving(answer):
    """A server whose model says ``answer(request)``; gives its address and the requests."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            content = json.dumps({"choices": [{"message": {"content": answer(requests[-1])}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()


def pictures_in(request) -> int:
    return sum(part["type"] == "image_url" for part in request["messages"][1]["content"])


def good(request) -> str:
    return json.dumps({"answer": 1} if pictures_in(request) == 1 else GRADES)


def judged(url, book, outcome=None, item=None):
    measure = judge_measure(ServerModel(url, "eye"), book)
    values = measure.measure(item or some_item(), some_pictures(), outcome or some_outcome())
    assert set(values) == set(measure.names)
    return values


def test_both_questions_are_asked_of_both_pictures_and_every_answer_is_kept(tmp_path):
    path, outcome = tmp_path / "answers.jsonl", some_outcome()
    with serving(good) as (url, requests):
        values = judged(url, AnswerBook(path), outcome)
        assert sorted(map(pictures_in, requests)) == [1, 1, 2, 2]
        again = judged(url, AnswerBook(path), outcome)
        assert len(requests) == 4
    assert values == again
    for side in ("edited", "final"):
        assert [values[f"{name}_{side}"] for name in ("mllm", "judge_instruction", "judge_preservation")] == [
            1,
            4,
            2,
        ]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(line["question"], line["model"]) for line in lines} == {("mllm-1", "eye"), ("grades-1", "eye")}
    said = answers_about(some_item(), outcome.original, outcome.edited, AnswerBook(path))
    assert [answer.answer for answer in said] == [{"answer": 1}, GRADES]


def test_texts_go_along_as_data_and_what_is_not_known_is_left_out():
    with serving(good) as (url, requests):
        judged(url, AnswerBook(), item=some_item(caption_before=""))
    texts = json.loads(requests[0]["messages"][-1]["content"][-1]["text"])
    assert texts == {"instruction": "the sun comes out", "afterwards": "a puddle"}
    assert requests[0]["response_format"]["json_schema"]["schema"] == YES_NO.schema


def test_a_judge_that_never_answers_usably_is_counted_and_nothing_is_invented(tmp_path):
    def answer(request):
        return "It is lovely." if pictures_in(request) == 1 else json.dumps(GRADES | {"quality": 9})

    book = AnswerBook(tmp_path / "answers.jsonl")
    with serving(answer) as (url, requests):
        values = judged(url, book)
        assert set(values.values()) == {None}
        assert len(requests) == 4 * 3
        judged(url, AnswerBook(tmp_path / "answers.jsonl"))
        assert len(requests) == 4 * 3
    assert book.counts("mllm-1") == [("eye", 2, 2)]
    failures = [json.loads(line)["failure"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert all("no usable answer" in failure for failure in failures)


def test_a_server_that_is_away_ends_the_work_and_keeps_what_was_answered(tmp_path):
    path = tmp_path / "answers.jsonl"
    with serving(good) as (url, _):
        judged(url, AnswerBook(path), some_outcome(edited=some_pictures().target))
    with pytest.raises(EditWorldError):
        judge_measure(ServerModel(url, "eye", timeout=3, tries=1), AnswerBook(path)).measure(
            some_item(), some_pictures(), some_outcome(edited=some_pictures().original)
        )
    assert len(AnswerBook(path)) == 4


def test_a_torn_and_a_foreign_line_are_asked_for_again(tmp_path):
    path = tmp_path / "answers.jsonl"
    with serving(good) as (url, _):
        judged(url, AnswerBook(path))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], '{"other": 1}', "nonsense", *lines[1:3], lines[3][:20]]))
    assert len(AnswerBook(path)) == 3
    assert path.read_text().endswith("\n")


def test_it_is_a_measure_if_a_judge_is_named(tmp_path):
    model = ServerModel("http://127.0.0.1:9", "eye")
    measures, absent = choose_measures(judge=model, quick=True, answers=tmp_path / "answers.jsonl")
    assert models_of(measures) == {"judge": "eye"}
    assert "judge" not in absent
    assert "eye" in measures[-1].version
