"""Sending an export to the Hugging Face hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from editworld_core.engines.hub import HUB_ID
from editworld_core.errors import BadInputError, EditWorldError


def check_push(repository: str) -> None:
    """Refuse before the work what would fail after it.

    Raises:
        BadInputError: ``repository`` is not ``owner/name``.
        EditWorldError: nobody is logged in, the token is refused, or the hub cannot be reached.
    """
    if not HUB_ID.fullmatch(repository):
        raise BadInputError(f"{repository!r} is no repository of the hub; write it as owner/name.")
    from huggingface_hub import HfApi, constants, get_token

    if get_token() is None:
        raise EditWorldError(
            f"Nobody is logged in at the hub, so {repository} cannot be written; log in with 'hf auth login'."
        )
    if constants.HF_HUB_OFFLINE:
        raise EditWorldError(
            f"HF_HUB_OFFLINE is set, so {repository} cannot be written; unset it, or leave out --push."
        )
    with _pushing(repository):
        HfApi().whoami()


def push(folder: Path, repository: str) -> str:
    """Upload a finished export as a data set, private if it is new; the address of what was sent.

    Raises:
        EditWorldError: the hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with _pushing(repository):
        api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            repo_type="dataset",
            commit_message="Export of EditWorld",
        )
    return str(commit.commit_url)


@contextmanager
def _pushing(repository: str) -> Iterator[None]:
    from huggingface_hub import errors as hub

    try:
        yield
    except hub.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        raise EditWorldError(
            f"The hub refuses to take {repository} (status {status}): check its name, your rights, "
            "and the login with 'hf auth login'."
        ) from error
    except Exception as error:  # every transport of the hub's client has network errors of its own
        raise EditWorldError(
            f"{repository} cannot be sent to the hub ({type(error).__name__}): check the network, and run the "
            "command again."
        ) from error
