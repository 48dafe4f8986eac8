"""Sending what was trained to the Hugging Face hub."""

from pathlib import Path

from editworld_core.errors import EditWorldError


def push_model(folder: Path, repository: str) -> str:
    """Upload a trained engine or LoRA with its card, private if the repository is new; the address of what was sent.

    Raises:
        EditWorldError: the hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub

    api = HfApi()
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="Trained with EditWorld",
            ignore_patterns=["part"],
        )
    except hub.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        raise EditWorldError(
            f"The run is complete, but the hub refuses to take {repository} (status {status}): check its name, your "
            f"rights and the login, and send {folder} with 'hf upload'."
        ) from error
    except Exception as error:  # every transport of the hub's client has network errors of its own
        raise EditWorldError(
            f"The run is complete, but {repository} cannot be sent to the hub ({type(error).__name__}): check the "
            f"network, and send {folder} with 'hf upload'."
        ) from error
    return str(commit.commit_url)
