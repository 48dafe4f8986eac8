"""Weights from elsewhere: what goes wrong while they are loaded, in one sentence each."""

import json
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from editworld_core.errors import EditWorldError, EngineUnavailableError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_id(name: str) -> bool:
    """Whether ``name`` has the form ``owner/name`` of the hub, and no file or folder of that name is here."""
    return bool(HUB_ID.fullmatch(name)) and not Path(name).expanduser().exists()


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Turn what goes wrong while the weights called ``name`` are loaded into a sentence for the user.

    Raises:
        EngineUnavailableError: no network, a licence gate, a missing or damaged file, too little memory.
    """
    try:
        yield
    except EditWorldError:
        raise
    except Exception as error:
        sentence = _sentence(name, error)
        if sentence is None:
            raise
        raise EngineUnavailableError(sentence) from error


def _sentence(name: str, error: BaseException) -> str | None:
    from huggingface_hub import errors as hub
    from safetensors import SafetensorError
    from torch import OutOfMemoryError

    causes = list(_chain(error))

    def caused_by(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if caused_by(OutOfMemoryError, MemoryError) or "allocate memory" in str(error):
        return (
            f"There is not enough memory for {name}: close other programs, take an offload preset, "
            "or a smaller model."
        )
    if caused_by(hub.GatedRepoError):
        return (
            f"The weights of {name} are behind a licence: accept it on the page of {name} at the hub, "
            "then log in with 'hf auth login'."
        )
    if caused_by(hub.RepositoryNotFoundError, hub.RevisionNotFoundError):
        return f"The hub has no {name}, or it is private: check the spelling, or log in with 'hf auth login'."
    if caused_by(SafetensorError, hub.SafetensorsParsingError, pickle.UnpicklingError, EOFError):
        return f"A file of {name} is damaged, or is no file of weights: get it again from where it came."
    if _misses_network(causes):
        return (
            f"The weights of {name} are not on this machine and the hub cannot be reached: "
            "connect to the network, or give a folder that holds them."
        )
    if caused_by(json.JSONDecodeError, UnicodeDecodeError):
        return f"A file of {name} is damaged: get it again from where it came."
    if isinstance(error, OSError | ValueError | RuntimeError | KeyError | TypeError | AttributeError):
        return f"{name} cannot be loaded ({_short(error)}): get it again from where it came."
    return None


def _misses_network(causes: list[BaseException]) -> bool:
    from huggingface_hub import errors as hub

    names = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    offline = any(
        isinstance(cause, hub.OfflineModeIsEnabled | hub.LocalEntryNotFoundError) for cause in causes
    )
    return offline or bool(
        names & {"ConnectError", "ConnectTimeout", "ReadTimeout", "gaierror", "NetworkError"}
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _short(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:160]}{'…' if len(words) > 160 else ''}"


def read_index(name: str) -> dict[str, Any]:
    """The ``model_index.json`` of a folder, or of a hub id, which then is downloaded or found in the cache.

    Raises:
        EngineUnavailableError: there is none, or it is not JSON.
    """
    folder = Path(name).expanduser()
    if folder.is_dir() or not is_hub_id(name):
        path = folder / "model_index.json"
        if not path.is_file():
            raise EngineUnavailableError(
                f"{name} is not an engine folder, since it has no readable model_index.json: name one that has."
            )
    else:
        path = _download_index(name)
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise EngineUnavailableError(
            f"{name} is not an engine folder, since it has no readable model_index.json: name one that has."
        ) from error
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise EngineUnavailableError(
            f"The model_index.json of {name} names no class: get it again from where it came."
        )
    return index


def _download_index(hub_id: str) -> Path:
    from huggingface_hub import constants, get_session, hf_hub_download, hf_hub_url

    with loading(hub_id):
        if not is_cached(hub_id) and not constants.HF_HUB_OFFLINE:
            # Without a network this fails at once; the download would try for half a minute.
            get_session().head(hf_hub_url(hub_id, "model_index.json"), timeout=10)
        return Path(hf_hub_download(hub_id, "model_index.json"))


def is_cached(hub_id: str) -> bool:
    """Whether the hub's cache on this machine holds ``hub_id``; nothing is asked of the network."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(hub_id, "model_index.json"), str)
