"""The training loop, one for every model: on one processor or GPU, on many, on several machines, through accelerate.

What is trained is a ``Task``; how it is spread is accelerate's business (``accelerate launch -m training.train …``).
A step's batch is a function of the step's number, so a resumed run sees what the unbroken one would have seen.
"""

import json
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from editworld_core.errors import BadInputError, EditWorldError
from training import checkpoints
from training.ema import Ema
from training.task import Recipe, Task, this_process

if TYPE_CHECKING:
    from accelerate import Accelerator

    from training.watch import Log

logger = logging.getLogger(__name__)


def start_accelerator(recipe: Recipe) -> "Accelerator":
    """The accelerator of this process, on whatever ``accelerate launch`` or the machine offers.

    Raises:
        BadInputError: the batch cannot be shared out, or the device does not know the number format.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType

    state = this_process()
    if state.device.type == "cpu":
        _keep_freed_memory()
    if recipe.precision == "fp16" and state.device.type == "cpu":
        raise BadInputError("A processor does not train in fp16: set precision to bf16, fp32 or auto.")
    at_once = state.num_processes * (recipe.micro_batch_size or 1)
    if recipe.batch_size % at_once:
        raise BadInputError(
            f"A batch of {recipe.batch_size} cannot be shared out to {state.num_processes} processes by "
            f"{recipe.micro_batch_size or 1}: make optimizer.batch_size a multiple of {at_once}."
        )
    share = recipe.batch_size // at_once if recipe.micro_batch_size else 1
    AcceleratorState._reset_state()  # a run before this one in the process may have had another precision
    accelerator = Accelerator(mixed_precision="no" if recipe.precision == "fp32" else recipe.precision)
    accelerator.gradient_accumulation_steps = share
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        plugin = accelerator.state.deepspeed_plugin
        if plugin.zero_stage == 3 and recipe.ema_decay:
            raise BadInputError(
                "ZeRO stage 3 hides the weights from the average: set ema_decay to 0, or use stage 2."
            )
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = (
            recipe.batch_size // share // state.num_processes
        )
        plugin.deepspeed_config["gradient_accumulation_steps"] = share
    return accelerator


def _keep_freed_memory() -> None:
    """Let glibc keep large freed blocks for the next step instead of giving them back: it costs a tenth
    to a fifth of a step on a processor to fetch and clear them anew."""
    import ctypes

    trim_threshold, mmap_max, never = -1, -4, 2**31 - 1
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have none
        mallopt(trim_threshold, never)
        mallopt(mmap_max, 0)


class Trainer:
    """A task on its way: what a checkpoint holds, and the step that moves it on."""

    def __init__(self, task: Task, folder: Path, accelerator: "Accelerator") -> None:
        self.task, self.recipe, self.folder, self.accelerator = task, task.recipe, folder, accelerator
        self.step = 0
        task.model.to(accelerator.device)
        self.model, *self.optimizers = accelerator.prepare(task.model, *task.optimizers())
        self.weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.ema = Ema(self.weights, task.recipe.ema_decay)
        self._seen: list[dict[str, Tensor]] = []
        self._exported = -1
        accelerator.register_save_state_pre_hook(self._leave_out_frozen)
        accelerator.register_load_state_pre_hook(self._load_trained)

    def train_step(self) -> None:
        """One step of the optimizers and of the average."""
        rate = self.recipe.learning_rate(self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        parts: list[dict[str, Tensor]] = []
        norm = torch.zeros(())
        accelerator = self.accelerator
        # The autocasts inside it share the weights that they cast, which they would cast anew for each batch.
        with torch.autocast(accelerator.device.type, enabled=False):
            for batch in self.task.micro_batches(
                self.step, accelerator.process_index, accelerator.num_processes
            ):
                with accelerator.accumulate(self.model):
                    with accelerator.autocast():
                        losses = self.task.losses(self.model, batch)
                    accelerator.backward(losses["loss"])
                    if accelerator.sync_gradients:
                        norm = accelerator.clip_grad_norm_(self.weights, self.recipe.gradient_clip)
                        for optimizer in self.optimizers:
                            optimizer.step()
                        # not the optimizers' gradients: Muon's hold views of the weights
                        self.model.zero_grad(set_to_none=True)
                parts.append({name: value.detach() for name, value in losses.items()})
        self.step += 1
        self.ema.update(self.step)
        means = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        if hasattr(norm, "full_tensor"):  # FSDP's is shared out
            norm = norm.full_tensor()
        self._seen.append(means | {"gradient_norm": torch.as_tensor(norm).detach().float()})

    def check(self) -> Tensor:
        """All losses since the last ``means``, averaged over the processes: [steps, names].

        Raises:
            EditWorldError: a loss was not finite. The weights are spoiled then, and must not be saved.
        """
        rows = [
            torch.stack([value.to(self.accelerator.device) for value in seen.values()]) for seen in self._seen
        ]
        table: Tensor = self.accelerator.reduce(torch.stack(rows), "mean").cpu()
        loss = table[:, list(self._seen[0]).index("loss")]
        bad = (~torch.isfinite(loss)).nonzero()
        if len(bad):
            first = int(bad[0])
            raise EditWorldError(
                f"The loss is {loss[first].item()} at step {self.step - len(rows) + first}: lower the learning rate "
                "and resume from the last checkpoint, which is good."
            )
        return table

    def means(self) -> dict[str, float]:
        """The means of the losses since it was last called; raises like ``check``."""
        means = dict(zip(self._seen[0], self.check().mean(0).tolist(), strict=True))
        self._seen = []
        return means

    def save(self) -> None:
        """Write a checkpoint, and what the task exports. A kill at any moment leaves the last good checkpoint."""
        if self._seen:
            self.check()
        try:
            if self.step not in checkpoints.steps_of(self.folder):
                self._save_checkpoint()
            self.export()
        except (OSError, RuntimeError, SafetensorError) as error:
            raise EditWorldError(
                f"What was trained up to step {self.step} cannot be saved in {self.folder} ({_short(error)}): free "
                "space there and resume; the checkpoint before is good."
            ) from error

    def _save_checkpoint(self) -> None:
        accelerator = self.accelerator
        part = checkpoints.path_of(self.folder, self.step).with_name(f".step-{self.step:08d}.part")
        if accelerator.is_main_process:
            checkpoints.begin(self.folder, self.step)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(part))
        if accelerator.is_main_process or self._is_sharded():
            self.ema.save(part / f"ema-{accelerator.process_index}.safetensors")
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (part / "run.json").write_text(json.dumps({"step": self.step}) + "\n", encoding="utf-8")
            checkpoints.finish(part)
            checkpoints.prune(self.folder, self.recipe.keep, self.recipe.keep_every)
        accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Take up the run where its last checkpoint left it.

        Raises:
            BadInputError: the checkpoint is of another model, of another number of processes, or damaged.
        """
        steps = checkpoints.steps_of(self.folder)
        if not steps:
            self.task.restore_old(self.folder, self)
            return
        path = checkpoints.path_of(self.folder, steps[-1])
        process = self.accelerator.process_index if self._is_sharded() else 0
        try:
            self.accelerator.load_state(str(path))
            self.ema.load(path / f"ema-{process}.safetensors")
            self.step = int(json.loads((path / "run.json").read_text(encoding="utf-8"))["step"])
            self.accelerator.step = 0  # of its accumulation, which other processes may share out otherwise
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            raise BadInputError(
                f"The checkpoint {path} does not fit this configuration or is damaged ({type(error).__name__}): "
                "resume with the run's own configuration, or remove the folder to go on from the checkpoint before."
            ) from error

    def export(self) -> None:
        """Let the task write the averaged model, unless it has."""
        if self._exported == self.step:
            return
        with self.ema.applied():
            weights = self.accelerator.get_state_dict(self.model)
            if self.accelerator.is_main_process:
                self.task.export(weights, self.step, self.folder)
        self._exported = self.step
        self.accelerator.wait_for_everyone()

    def validate(self) -> dict[str, float]:
        """The task's scores of the averaged model, which is exported before."""
        if self._seen:
            self.check()
        self.export()
        with self.ema.applied():
            self.task.model.eval()
            scores = self.task.validate(self.step, self.folder, self.accelerator)
            self.task.model.train()
        return scores

    def agree(self, *wishes: bool) -> list[bool]:
        """For each of ``wishes``, whether any process has it."""
        if self.accelerator.num_processes == 1:
            return list(wishes)
        flags = torch.tensor(wishes, dtype=torch.float32, device=self.accelerator.device)
        return [bool(flag > 0) for flag in self.accelerator.reduce(flags, "sum")]

    def _is_sharded(self) -> bool:
        from accelerate.utils import DistributedType

        return self.accelerator.distributed_type == DistributedType.FSDP

    def _leave_out_frozen(self, models: list[Any], states: list[dict[str, Tensor]], _: str) -> None:
        """Checkpoints of a LoRA need not hold its base."""
        if self.recipe.keep_frozen:
            return
        frozen = {name for name, weight in self.task.model.named_parameters() if not weight.requires_grad}
        for state in states:
            for name in frozen & state.keys():
                del state[name]

    def _load_trained(self, models: list[Any], path: str) -> None:
        from safetensors.torch import load_file

        if all(weight.requires_grad for weight in self.task.model.parameters()) or self._is_sharded():
            return  # accelerate does it
        self.accelerator.unwrap_model(models.pop()).load_state_dict(
            load_file(Path(path) / "model.safetensors"), strict=False
        )


def _short(error: Exception) -> str:
    words = " ".join(str(error).split())
    return words if len(words) < 160 else f"{words[:160]}…"


def train(
    trainer: Trainer, log: "Log | None", max_minutes: float | None, progress: Callable[[int, int], None]
) -> None:
    """Train until the recipe's last step, ``max_minutes``, or a signal to stop, and save.

    Args:
        log: of the main process; None in all others.

    Raises:
        EditWorldError: the loss is not finite; the last good checkpoint stays.
    """
    recipe = trainer.recipe
    limit = math.inf if max_minutes is None else max_minutes
    started = saved = logged = time.monotonic()
    with _stopping() as stopped:
        while trainer.step < recipe.steps:
            _step(trainer)
            step, row = trainer.step, {}
            last = step == recipe.steps
            if step % recipe.log_steps == 0:
                now = time.monotonic()
                row = trainer.means() | {"learning_rate": recipe.learning_rate(step - 1)}
                row["seconds_per_step"], logged = (now - logged) / recipe.log_steps, now
                progress(step, recipe.steps)
            paused = time.monotonic()
            if step % recipe.validate_steps == 0 or last:
                row |= trainer.validate()
            if row and log is not None:
                log.write(step, row)
            stop, due = trainer.agree(
                stopped.is_set() or time.monotonic() - started > 60 * limit,
                time.monotonic() - saved > 60 * recipe.checkpoint_minutes,
            )
            if stop:
                logger.info("stopped at step %d", step)
                break
            if (due or step % recipe.checkpoint_steps == 0) and not last:
                trainer.save()
                saved = time.monotonic()
            logged += time.monotonic() - paused
    trainer.save()


def _step(trainer: Trainer) -> None:
    try:
        trainer.train_step()
    except torch.OutOfMemoryError as error:
        raise EditWorldError(
            "The memory is too small for a step: lower optimizer.micro_batch_size or set model.gradient_checkpointing "
            "to true, and resume."
        ) from error


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a request to end sets, so that a step is never cut in two; a second Ctrl-C cuts it."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(each) for each in signals]

    def stop(*_: Any) -> None:
        event.set()
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)

    for each in signals:
        signal.signal(each, stop)
    try:
        yield event
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)
