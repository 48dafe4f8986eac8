"""Which SAM is on this machine; torch is not needed to know that."""

import os

HUB_IDS = tuple(
    f"facebook/{name}"
    for name in (
        "sam2.1-hiera-small",
        "sam2.1-hiera-base-plus",
        "sam2.1-hiera-large",
        "sam2.1-hiera-tiny",
        "sam-vit-base",
        "sam-vit-large",
        "sam-vit-huge",
    )
)  # what "auto" looks for in the hub's cache, the best bargain first


def find_sam() -> str | None:
    """What "auto" takes: the value of ``EDITWORLD_SAM``, else a SAM that lies in the hub's cache; None if neither.

    Nothing is downloaded for it.
    """
    return os.environ.get("EDITWORLD_SAM") or next((name for name in HUB_IDS if in_cache(name)), None)


def in_cache(hub_id: str) -> bool:
    """Whether the hub's cache holds all that is needed of ``hub_id``."""
    from huggingface_hub import try_to_load_from_cache

    def has(name: str) -> bool:
        return isinstance(try_to_load_from_cache(hub_id, name), str)

    processor = has("preprocessor_config.json") or has("processor_config.json")
    return processor and has("config.json") and has("model.safetensors")
