"""The client of a language-model server that speaks the OpenAI protocol, by the standard library alone."""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.language import TRIES, Check, Counts, Message, Schema, clean, until_accepted, with_schema

LONGEST_ANSWER = 4_000_000  # bytes
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
FIRST_PAUSE = 0.5  # seconds before another try
LONGEST_PAUSE = 20.0  # seconds that a busy server may ask us to wait


class ServerModel:
    """A model behind an OpenAI-compatible server: vLLM, llama.cpp, Ollama, ``transformers serve``, or a paid one.

    The schema goes along as ``response_format`` and, for servers that do not know it, in words.
    """

    source: Literal["server"] = "server"

    def __init__(
        self,
        url: str | None = None,
        model: str | None = None,
        key: str | None = None,
        timeout: float = 60.0,
        tries: int = TRIES,
    ) -> None:
        """What is None comes from EDITWORLD_LLM_URL, EDITWORLD_LLM_MODEL and EDITWORLD_LLM_KEY.

        Args:
            url: of the server, with or without ``/v1``.
            model: its name there.
            key: sent as a bearer token; servers of one's own need none.
            timeout: seconds that ``complete`` may take, all tries together.
            tries: how often to ask at most.

        Raises:
            BadInputError: the URL or the model is missing, or the URL is none.
        """
        url = (url or os.environ.get("EDITWORLD_LLM_URL", "")).strip()
        self.name = (model or os.environ.get("EDITWORLD_LLM_MODEL", "")).strip()
        self._key = (key or os.environ.get("EDITWORLD_LLM_KEY", "")).strip()
        if not url or not self.name:
            raise BadInputError(
                "A language-model server needs its address and the name of a model: "
                "set EDITWORLD_LLM_URL and EDITWORLD_LLM_MODEL."
            )
        if not self._key.isascii() or not self._key.isprintable():
            raise BadInputError("The key in EDITWORLD_LLM_KEY has characters that no key has: copy it again.")
        self._endpoint = _endpoint(url)
        self._host = urlsplit(self._endpoint).netloc.rpartition("@")[2]
        self._timeout, self._tries = timeout, tries
        self._plain = False  # whether the server has turned out to understand only model and messages
        self._opener = _opener(self._endpoint)
        self.counts = Counts()

    def complete(
        self,
        messages: Sequence[Message],
        schema: Schema,
        check: Check | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """See ``LanguageModel.complete``."""
        deadline = time.monotonic() + self._timeout
        extra: dict[str, Any] = {
            "temperature": temperature,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)},
            },
        }
        if seed is not None:
            extra["seed"] = seed

        def answer(talk: list[Message]) -> str:
            return self._answer({"model": self.name, "messages": talk}, extra, deadline)

        return until_accepted(
            answer, self.name, self.counts, with_schema(messages, schema), schema, check, self._tries
        )

    def _answer(self, payload: dict[str, Any], extra: dict[str, Any], deadline: float) -> str:
        """The text of one answer; a server that refuses ``extra`` is asked without it, from then on."""
        if not self._plain:
            try:
                return self._post({**payload, **extra}, deadline)
            except _Refused as refusal:
                if refusal.status not in (400, 415, 422, 501):
                    raise
            text = self._post(payload, deadline)
            self._plain = True
            return text
        return self._post(payload, deadline)

    def _post(self, payload: dict[str, Any], deadline: float) -> str:
        """Post ``payload``, again if the server is busy or the line breaks, and read the answer's text."""
        trouble = ""
        for attempt in range(self._tries):
            pause = FIRST_PAUSE * 2**attempt
            try:
                return _text_of(self._exchange(payload, deadline))
            except urllib.error.HTTPError as error:
                trouble = f"it says {error.code} {self._said(error)}".strip()
                if error.code not in TEMPORARY:
                    raise _Refused(error.code, self._sentence(trouble)) from None
                pause = _asked_pause(error, pause)
            except TimeoutError as error:
                raise EditWorldError(self._late()) from error
            except urllib.error.URLError as error:
                if isinstance(error.reason, TimeoutError):
                    raise EditWorldError(self._late()) from error
                if not isinstance(error.reason, ConnectionResetError):
                    raise EditWorldError(
                        self._sentence(f"it cannot be reached ({clean(str(error.reason))[:100]})")
                    ) from error
                trouble = "it closed the connection"
            except (OSError, http.client.HTTPException) as error:
                trouble = f"the connection broke ({type(error).__name__})"
            except ValueError as error:
                trouble = clean(str(error))[:160]
            if attempt + 1 < self._tries:
                if time.monotonic() + pause > deadline:
                    break
                time.sleep(pause)
        raise EditWorldError(self._sentence(trouble))

    def _exchange(self, payload: dict[str, Any], deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        headers = {"Content-Type": "application/json", "User-Agent": "editworld"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._endpoint, json.dumps(payload).encode(), headers)
        body = bytearray()
        with self._opener.open(request, timeout=left) as response:
            # Read in pieces: the timeout of a socket is that of one piece, and a slow server sends many.
            while piece := response.read1(65536):
                body += piece
                if time.monotonic() > deadline:
                    raise TimeoutError
                if len(body) > LONGEST_ANSWER:
                    raise ValueError("its answer is too long")
        return bytes(body)

    def _said(self, error: urllib.error.HTTPError) -> str:
        """What the server gives as the reason, in short and without the key."""
        try:
            raw = error.read(20_000).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return ""
        try:
            said = json.loads(raw)
            said = said.get("error", said) if isinstance(said, dict) else said
            said = said.get("message", said) if isinstance(said, dict) else said
        except (ValueError, RecursionError):
            said = "" if "<" in raw else raw
        text = clean(str(said))
        return (text.replace(self._key, "…") if self._key else text)[:160]

    def _sentence(self, trouble: str) -> str:
        return f"The language-model server {self._host} did not answer, since {trouble}: check address, model and key."

    def _late(self) -> str:
        return (
            f"The language-model server {self._host} took longer than {self._timeout:g} seconds: "
            "take a faster model, or wait until it is less busy."
        )


class _Refused(EditWorldError):
    """The server refuses the request with a status that trying again will not change."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host, so it is refused like any other status."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _opener(endpoint: str) -> urllib.request.OpenerDirector:
    """Opens URLs; a server on this machine is never asked through a proxy."""
    near = urlsplit(endpoint).hostname in ("localhost", "127.0.0.1", "::1")
    proxies = [urllib.request.ProxyHandler({})] if near else []
    return urllib.request.build_opener(_NoRedirect, *proxies)


def _endpoint(url: str) -> str:
    """The address to post to.

    >>> _endpoint("http://localhost:8000/"), _endpoint("https://api.example.org/v1")
    ('http://localhost:8000/v1/chat/completions', 'https://api.example.org/v1/chat/completions')
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or " " in url:
        raise BadInputError(
            f"{clean(url)[:80]!r} is not the address of a server: give one such as http://localhost:8000/v1."
        )
    path = parts.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path = f"{path or '/v1'}/chat/completions"
    return parts._replace(path=path, fragment="").geturl()


def _text_of(body: bytes) -> str:
    """The text in the answer of a chat-completions server; an empty one if the model declined to write any.

    Raises:
        ValueError: it is not such an answer.
    """
    try:
        content = json.loads(body)["choices"][0]["message"].get("content")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError("its answer is not that of a chat-completions server") from None
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _asked_pause(error: urllib.error.HTTPError, otherwise: float) -> float:
    """Seconds that a busy server asks to wait."""
    asked = error.headers.get("Retry-After", "") if error.headers else ""
    return min(float(asked), LONGEST_PAUSE) if asked.isascii() and asked.isdigit() else otherwise
