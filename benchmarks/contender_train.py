"""The contender of ``benchmarks train``: what diffusers' InstructPix2Pix example does, in a process of its own.

``examples/instruct_pix2pix/train_instruct_pix2pix.py`` is not in diffusers' package, and there is no network while a
benchmark runs. So this is its loop in our words, on the same classes of diffusers, torch and accelerate and with its
defaults: statement by statement what it computes at each step is computed here, in its order. Every step it encodes
both pictures and the instructions, and the empty text anew for the dropped conditions; reads pictures in the main
process; takes plain ``torch.optim.AdamW``, diffusers' ``EMAModel`` (its option ``--use_ema``), and gradient clipping at
1; fetches the loss twice and logs it to TensorBoard. As with its defaults, arithmetic is in fp32 unless
``--mixed_precision`` says otherwise, and activations are kept.

Left out, in its favour: the library ``datasets`` between the files and the pictures, and its checkpoints. Added: a
stopwatch around the calls.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from benchmarks.measure import peak_gib
from benchmarks.train_models import Stopwatch, make_unet

DROP = 0.05
"""``--conditioning_dropout_prob`` of the example's own command line in its README."""


class Pictures(torch.utils.data.Dataset[dict[str, Any]]):
    """The example's preprocessing: resized to a square without regard to shape, and mirrored by chance."""

    def __init__(self, dataset: Path, resolution: int, tokenizer: Any) -> None:
        from torchvision import transforms

        from editworld_core.datagen.records import read_triplets

        self.dataset, self.resolution, self.tokenizer = dataset, resolution, tokenizer
        self.triplets = list(read_triplets(dataset))
        self.augment = transforms.Compose(
            [transforms.RandomCrop(resolution), transforms.RandomHorizontalFlip()]
        )

    def __len__(self) -> int:
        return len(self.triplets)

    def __getitem__(self, index: int) -> dict[str, Any]:
        triplet = self.triplets[index]
        pair = np.stack([self._picture(name) for name in (triplet.original_image, triplet.target_image)])
        original, edited = self.augment(2 * (torch.tensor(pair) / 255) - 1)
        words = tokens(self.tokenizer, triplet.instruction)[0]
        return {"original": original, "edited": edited, "words": words}

    def _picture(self, name: str) -> Any:
        with Image.open(self.dataset / name) as image:
            square = image.convert("RGB").resize((self.resolution, self.resolution))
        return np.array(square).transpose(2, 0, 1)


def tokens(tokenizer: Any, text: str) -> torch.Tensor:
    """Token numbers [1, 77]."""
    found: torch.Tensor = tokenizer(
        text,
        max_length=tokenizer.model_max_length,
        padding="max_length",
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return found


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Seconds of a step (median), of its parts (mean), and the peak memory; see ``benchmarks.train``."""
    with tempfile.TemporaryDirectory() as logs:
        return _train(asked, logs)


def _train(asked: dict[str, Any], logs: str) -> dict[str, Any]:
    from accelerate import Accelerator
    from accelerate.utils import ProjectConfiguration
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from diffusers.optimization import get_scheduler
    from diffusers.training_utils import EMAModel
    from tqdm import tqdm
    from transformers import CLIPTextModel, CLIPTokenizer

    torch.set_num_threads(asked["threads"])
    accelerator = Accelerator(
        mixed_precision={"fp32": "no", "bf16": "bf16"}[asked["dtype"]],
        log_with="tensorboard",
        project_config=ProjectConfiguration(project_dir=logs, logging_dir=logs),
        gradient_accumulation_steps=asked["accumulate"],
        cpu=True,
    )
    generator = torch.Generator().manual_seed(0)
    model = asked["model"]
    noise_scheduler = DDPMScheduler.from_pretrained(model, subfolder="scheduler")
    tokenizer = CLIPTokenizer.from_pretrained(model, subfolder="tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(model, subfolder="text_encoder").requires_grad_(False)
    vae = AutoencoderKL.from_pretrained(model, subfolder="vae").requires_grad_(False)
    unet = make_unet(asked["tiny"])
    ema = EMAModel(unet.parameters(), model_cls=UNet2DConditionModel, model_config=unet.config)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)
    loader = torch.utils.data.DataLoader(
        Pictures(Path(asked["dataset"]), asked["size"], tokenizer),
        shuffle=True,
        batch_size=asked["batch"],
        num_workers=0,
        drop_last=True,  # so that every measured step has the same size
    )
    schedule = get_scheduler("constant", optimizer=optimizer, num_warmup_steps=500, num_training_steps=10_000)
    unet, optimizer, loader, schedule = accelerator.prepare(unet, optimizer, loader, schedule)
    weight_dtype = torch.bfloat16 if asked["dtype"] == "bf16" else torch.float32
    text_encoder.to(accelerator.device, dtype=weight_dtype)
    vae.to(accelerator.device, dtype=weight_dtype)
    accelerator.init_trackers("instruct-pix2pix")

    watch = Stopwatch()
    batches = _Endless(loader)
    times, first = [], asked["warm_up"]
    unet.train()
    bar = tqdm(total=first + asked["steps"], desc="Steps", disable=None)
    for step in range(first + asked["steps"]):
        if step == first:
            for owner, method, part in (
                (vae, "encode", "vae"),
                (text_encoder, "forward", "text"),
                (unet, "forward", "forward"),
                (accelerator, "backward", "backward"),
                (accelerator, "clip_grad_norm_", "clip"),
                (optimizer.optimizer, "step", "optimizer"),
                (ema, "step", "ema"),
                (batches, "read", "data"),
            ):
                watch.watch(owner, method, part)
        started = time.perf_counter()
        logged = 0.0
        for _ in range(asked["accumulate"]):
            batch = batches.read()
            with accelerator.accumulate(unet):
                latents = vae.encode(batch["edited"].to(weight_dtype)).latent_dist.sample()
                latents = latents * vae.config.scaling_factor
                noise = torch.randn_like(latents)
                count = latents.shape[0]
                timesteps = torch.randint(0, noise_scheduler.config.num_train_timesteps, (count,)).long()
                noisy = noise_scheduler.add_noise(latents, noise, timesteps)
                context = text_encoder(batch["words"])[0]
                source = vae.encode(batch["original"].to(weight_dtype)).latent_dist.mode()

                chance = torch.rand(count, generator=generator)
                no_text = (chance < 2 * DROP).reshape(count, 1, 1)
                nothing = text_encoder(tokens(tokenizer, ""))[0]
                context = torch.where(no_text, nothing, context)
                no_image = (chance >= DROP).to(source.dtype) * (chance < 3 * DROP).to(source.dtype)
                source = (1 - no_image).reshape(count, 1, 1, 1) * source

                predicted = unet(torch.cat([noisy, source], dim=1), timesteps, context).sample
                loss = F.mse_loss(predicted.float(), noise.float(), reduction="mean")
                logged += accelerator.gather(loss.repeat(asked["batch"])).mean().item() / asked["accumulate"]
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(unet.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                ema.step(unet.parameters())
                bar.update(1)
                accelerator.log({"train_loss": logged}, step=step)
            bar.set_postfix(step_loss=loss.detach().item(), lr=schedule.get_last_lr()[0])
        times.append(time.perf_counter() - started)
    bar.close()
    accelerator.end_training()
    return {
        "seconds": median(times[first:]),
        "parts": watch.per_step(asked["steps"]),
        "peak_gib": peak_gib(),
        "loss": logged,
    }


class _Endless:
    """One epoch after the other."""

    def __init__(self, loader: Any) -> None:
        self._batches = self._run(loader)

    @staticmethod
    def _run(loader: Any) -> Iterator[dict[str, torch.Tensor]]:
        while True:
            yield from loader

    def read(self) -> dict[str, torch.Tensor]:
        """The next batch."""
        return next(self._batches)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
