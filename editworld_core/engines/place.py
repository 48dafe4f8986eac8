"""Where an engine computes: device, number format, and what is kept out of the device's memory."""

import os
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch

from editworld_core.engines.protocol import EngineInfo
from editworld_core.errors import BadInputError, EngineUnavailableError

Offload = Literal["none", "model", "sequential"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Place:
    """Where and how an engine computes.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` …
        dtype: number format of the weights and the arithmetic.
        offload: ``none`` keeps everything on the device; ``model`` only the part that works, the rest waits in main
            memory; ``sequential`` only the layer that works, which is slow and fits nearly anywhere.
        compile: compile the denoiser; the first edit takes a minute longer, the others are faster on a GPU.
    """

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    offload: Offload = "none"
    compile: bool = False

    def settle(self, pipeline: Any) -> None:
        """Bring a diffusers ``pipeline`` here.

        Raises:
            EngineUnavailableError: the device has too little memory for it.
        """
        try:
            if self.device != "cpu" and self.offload == "model":
                pipeline.enable_model_cpu_offload(device=self.device)
            elif self.device != "cpu" and self.offload == "sequential":
                pipeline.enable_sequential_cpu_offload(device=self.device)
            else:
                pipeline.to(self.device)
        except torch.OutOfMemoryError as error:
            raise EngineUnavailableError(
                f"The weights do not fit into the memory of {self.device}: take the offload preset 'model' or "
                "'sequential', or the device 'cpu'."
            ) from error


def best_place(
    device: str | None = None, dtype: str | None = None, offload: str | None = None, *, compile: bool = False
) -> Place:
    """The place for this machine; what is None is taken from the environment, else chosen by what is there.

    A GPU before the processor; bf16 on GPUs that have it and fp16 on others; bf16 on processors that multiply it
    themselves, where it is nearly twice as fast, and fp32 on others, where it would be slower; fp32 on Apple's.

    Args:
        device: a torch device; ``EDITWORLD_DEVICE``.
        dtype: ``fp32``, ``bf16`` or ``fp16``; ``EDITWORLD_DTYPE``.
        offload: ``none``, ``model`` or ``sequential``; ``EDITWORLD_OFFLOAD``.

    Raises:
        BadInputError: one of them is not known, or the device is not there.
    """
    device = device or os.environ.get("EDITWORLD_DEVICE") or _best_device()
    dtype = dtype or os.environ.get("EDITWORLD_DTYPE")
    offload = offload or os.environ.get("EDITWORLD_OFFLOAD") or "none"
    if dtype and dtype not in DTYPES:
        raise BadInputError(f"There is no number format {dtype!r}; choose {', '.join(DTYPES)}.")
    if offload not in get_args(Offload):
        raise BadInputError(f"There is no offload preset {offload!r}; choose {', '.join(get_args(Offload))}.")
    _check_device(device)
    return Place(device, DTYPES[dtype] if dtype else _best_dtype(device), cast(Offload, offload), compile)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BadInputError(
            f"There is no device {device!r} here; choose cpu, or leave it open for the best there is."
        ) from error


def _best_dtype(device: str) -> torch.dtype:
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device == "cpu" and multiplies_bf16():
        return torch.bfloat16
    return torch.float32


def multiplies_bf16() -> bool:
    """Whether this processor has instructions for bf16; without them it is several times slower than fp32."""
    return bool(
        torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )


def free_memory_gib(device: str) -> float | None:
    """Free memory of ``device``, GiB; None where it cannot be known."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0] / 2**30
    import psutil

    return float(psutil.virtual_memory().available / 2**30)


def check_memory(info: EngineInfo, place: Place, kind: str) -> None:
    """Refuse before anything is loaded what ``info`` says cannot fit; ``kind``: "engine", "inpainter".

    Raises:
        EngineUnavailableError: less memory is free than it needs.
    """
    spared = place.offload if place.device != "cpu" else "none"
    by_preset = {"model": info.memory_model_gib, "sequential": info.memory_sequential_gib}
    need = by_preset.get(spared) or info.memory_gib
    if place.dtype == torch.float32 and info.weights != "in this package":
        need *= 2  # what is stated is for half precision
    free = free_memory_gib(place.device)
    if free is not None and need > free:
        can_spare = place.device != "cpu" and place.offload != "sequential"
        presets = "take the offload preset 'model' or 'sequential', or " if can_spare else ""
        raise EngineUnavailableError(
            f"The {kind} {info.id} needs about {need:.0f} GiB of memory and {free:.0f} GiB are free: close other "
            f"programs, or {presets}choose a smaller {kind}."
        )
