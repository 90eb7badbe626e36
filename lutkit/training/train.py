"""Train a network with Lightning: the schedule, checkpoints, resuming, logs, and what stops a run.

Owns how a run goes. Must not know any network, or how samples are read.
"""

import json
import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, cast
from zipfile import is_zipfile

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lutkit.dataset.atomic import write_whole
from lutkit.documents import fields_of, read_json, refused_as
from lutkit.engine.cpus import cpu_count
from lutkit.engine.progress import OnProgress, Progress
from lutkit.engine.stopping import Stopped
from lutkit.errors import ArrayError, LutkitError
from lutkit.extras import quiet_loggers
from lutkit.latents.devices import open_device
from lutkit.training.model_folder import CHECKPOINTS
from lutkit.training.processes import heard, process_number, several_processes

# Lightning and torch look for a NumPy that is not there, for workers that are not needed, and the like.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
    from lightning.pytorch.plugins.io import TorchCheckpointIO

_RUN = "run.json"
_WARM_UP = 0.1  # of the run
_FIRST_RATE, _LAST_RATE = 1 / 25, 1e-5  # of the highest learning rate
_SAVE_S = 60.0
_DROPOUT = 2  # a stream of random numbers; `order` has others
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class TrainSettings:
    """How long a network is trained, and how.

    Args:
        steps: the number of batches.
        minutes: the longest time in minutes, over all runs that continue each other; 0 for no limit. The
            schedule is then by time or by steps, whichever ends first.
        validate: validate after this many batches, and at the end.
        learning_rate: the highest learning rate.
        weight_decay: of AdamW, 0 or more.
        seed: the seed of the first weights and of the order of samples, 0..2^63 - 1.
        device: `cpu`, `cuda` or `cuda:1`.
        devices: the number of GPUs or, with `cpu`, of processes. A step takes a batch for each of them.
        precision: a precision of Lightning's Trainer, such as `32-true` or `bf16-mixed`.
        log: `csv` or `tensorboard`.
    Raises:
        LutkitError: if a value is out of range.
    """

    steps: int
    minutes: float
    validate: int
    learning_rate: float
    weight_decay: float
    seed: int
    device: str
    devices: int
    precision: str
    log: str

    def __post_init__(self) -> None:
        for name in ("steps", "validate", "devices"):
            if type(getattr(self, name)) is not int:
                raise LutkitError(f"--{name} is {getattr(self, name)!r}", remedy="give a whole number")
            if getattr(self, name) < 1:
                raise LutkitError(f"--{name} is {getattr(self, name)}", remedy="give at least 1")
        for name in ("minutes", "learning_rate", "weight_decay"):
            if not isinstance(getattr(self, name), int | float):
                option = f"--{name.replace('_', '-')}"
                raise LutkitError(f"{option} is {getattr(self, name)!r}", remedy="give a number")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise LutkitError(f"--seed is {self.seed!r}", remedy="choose from 0 to 2^63 - 1")
        if not 0 <= self.minutes < math.inf:
            raise LutkitError(f"--minutes is {self.minutes}", remedy="give 0 for no limit, or more")
        if not 0 < self.learning_rate <= 1:
            raise LutkitError(f"--learning-rate is {self.learning_rate}", remedy="choose above 0, up to 1")
        if not 0 <= self.weight_decay < 1:
            raise LutkitError(f"--weight-decay is {self.weight_decay}", remedy="choose from 0 to below 1")
        if self.precision not in _PRECISIONS:
            remedy = f"choose from {', '.join(_PRECISIONS)}"
            raise LutkitError(f"--precision is {self.precision!r}", remedy=remedy)
        if self.precision == "16-mixed" and self.device == "cpu":
            raise LutkitError("--precision 16-mixed needs a GPU", remedy="choose 32-true or bf16-mixed")
        if self.devices > 1:
            self._require_devices()
        if self.log not in ("csv", "tensorboard"):
            raise LutkitError(f"--log is {self.log!r}", remedy="choose csv or tensorboard")
        if self.log == "tensorboard" and find_spec("tensorboard") is None:
            remedy = "run `pip install tensorboard`, or give --log csv"
            raise LutkitError("--log tensorboard needs the package tensorboard", remedy=remedy)

    def _require_devices(self) -> None:
        if ":" in self.device:
            what = f"--device {self.device} with --devices {self.devices}"
            raise LutkitError(what, remedy="give --device cuda, or leave it out")
        count, kind = (cpu_count(), "CPU") if self.device == "cpu" else (torch.cuda.device_count(), "GPU")
        if self.devices > count:
            there = f"there is 1 {kind}" if count == 1 else f"there are {count} {kind}s"
            remedy = f"choose from 1 to {count}"
            raise LutkitError(f"--devices is {self.devices}, but {there}", remedy=remedy)

    @property
    def own_device(self) -> str:
        """The device of this process."""
        return f"cuda:{process_number()}" if self.devices > 1 and self.device == "cuda" else self.device

    def that_decide(self) -> dict[str, object]:
        """Return the settings that decide what is learned."""
        return {name: value for name, value in asdict(self).items() if name not in ("log", "device")}


def chosen_device(name: str) -> str:
    """Return the device that a name stands for: `auto` is the first GPU, or the CPU if there is none.

    Raises:
        VaeError: if there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and process_number():
        open_device(f"cuda:{process_number()}")
        return name
    return str(open_device(name))


_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class Trained:
    """The end of a run.

    Args:
        steps: the number of batches, over all runs that continued each other.
        seconds: the time of training, likewise.
        loss: the mean loss of the last batches.
        last: the network's last weights. With validation, the network itself has the best ones.
    """

    steps: int
    seconds: float
    loss: float
    last: Mapping[str, Tensor] = field(repr=False)


class Batches(Protocol):
    """Endless batches: those of the numbers `step`, `step + every`, and so on; a run sets both."""

    step: int
    every: int

    def __iter__(self) -> Iterator[Any]:
        """Yield the batch of `step`, and every `every`-th after it."""
        ...


class Training(LightningModule):
    """A network in training, and its loss on a batch. Subclasses define the loss and the validation error.

    Args:
        network: the network.
        settings: how it is trained.
    """

    def __init__(self, network: nn.Module, settings: TrainSettings) -> None:
        super().__init__()
        self.network, self.settings = network, settings

    def loss(self, batch: Any) -> Tensor:  # noqa: ANN401
        """Return the mean loss of a batch."""
        raise NotImplementedError

    def error(self, batch: Any) -> Tensor:  # noqa: ANN401
        """Return the validation error of each sample of a batch, (B,)."""
        raise NotImplementedError

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:  # noqa: ANN401
        """Return the loss of this process, and the mean loss of all processes.

        Raises:
            LutkitError: if it is not finite, or cannot be computed because the network has diverged.
        """
        try:
            loss = self.loss(batch)
        except ArrayError as error:  # colours far outside 0..1
            what = f"the loss of step {self.global_step} cannot be computed: {error.what}"
            remedy = "give a lower --learning-rate; the last checkpoint is kept"
            raise LutkitError(what, remedy=remedy) from error
        # If one process stopped here, the others would wait for its gradients.
        losses = cast("Tensor", self.all_gather(loss.detach())).flatten()
        if not losses.isfinite().all():
            bad = int(losses.isfinite().long().argmin())
            keys: list[Any] = [batch.keys]
            if len(losses) > 1:
                keys = [()] * len(losses)
                torch.distributed.all_gather_object(keys, batch.keys)
            named = ", ".join(keys[bad][:8]) + (", ..." if len(keys[bad]) > 8 else "")
            raise _agreed_error(
                f"the loss of step {self.global_step} is {float(losses[bad])}, on {named}",
                "check these samples, or give a lower --learning-rate; the last checkpoint is kept",
            )
        self.log("loss", losses.mean())
        return {"loss": loss, "mean": losses.mean()}

    def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Log the mean error of all samples."""
        errors = self.error(batch)
        # Each process measures all samples, because the others would have to wait for process 0. GPUs may
        # differ in the last digits, but processes must agree which weights are the best.
        self.log("validation", errors.mean(), batch_size=len(errors), on_epoch=True, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        settings = self.settings
        return torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )


def train(
    module: Training,
    batches: Batches,
    validation: Sequence[Any],
    out: Path,
    about: Mapping[str, object],
    on_progress: OnProgress,
) -> Trained:
    """Train a network, or continue a run that was stopped.

    With several devices, this program is started again for each but the first. The processes train together
    on different batches and share their gradients, so their weights are always equal.

    `out/checkpoints` holds `last.ckpt` and, with validation, `best.ckpt`; `out/logs` holds the losses. At the
    end the network has the weights with the smallest validation error, or without validation the last ones.

    Args:
        module: the network and its losses; changed in place.
        batches: endless batches; a run that continues begins with the first batch that was not trained on.
        validation: all batches for validation; empty for none.
        out: an existing folder.
        about: what determines the result, as texts and numbers. A run continues only if all are equal.
        on_progress: called with the number of steps; losses come as notes.
    Raises:
        LutkitError: if the run in `out` was begun with other settings, its checkpoint cannot be read, or a
            loss, an error or a weight is not finite; or if another process has stopped.
        SystemExit: in all processes but the first, if there are several: only the first one goes on.
    """
    settings, rank, on_progress = module.settings, process_number(), heard(on_progress)
    folder = out / CHECKPOINTS
    last, best = folder / "last.ckpt", folder / "best.ckpt"
    _require_same_run(folder, about)
    begun = _checkpoint(last) if last.is_file() else None
    earlier = int(begun["global_step"]) if begun else 0
    batches.step, batches.every = earlier * settings.devices + rank, settings.devices
    watch = _Watch(settings, folder, on_progress, validates=bool(validation))
    kept = best if validation else last
    if begun and kept.is_file():
        (state,) = begun["callbacks"].values()
        watch.load_state_dict(state)
        by_time = watch.earlier_s / (60 * settings.minutes) if settings.minutes else 0.0
        # The time of a run is over at any step: one more would change the weights.
        if max(earlier / settings.steps, by_time) >= 1:
            module.load_state_dict(begun["state_dict"])
            ended_with = _weights_of(module)
            module.load_state_dict(_checkpoint(kept)["state_dict"])
            return Trained(earlier, watch.earlier_s, watch.loss, ended_with)
    with several_processes(settings.devices), _quietly():
        trainer = Trainer(
            accelerator="cuda" if settings.device.startswith("cuda") else "cpu",
            devices=[int(settings.device.partition(":")[2])] if ":" in settings.device else settings.devices,
            strategy="ddp" if settings.devices > 1 else "auto",
            precision=cast("Any", settings.precision),
            max_steps=settings.steps,
            max_epochs=-1,
            val_check_interval=settings.validate if validation else None,
            check_val_every_n_epoch=None,
            limit_val_batches=None if validation else 0,
            num_sanity_val_steps=0,
            gradient_clip_val=1.0,
            log_every_n_steps=10,
            logger=_logger(out, settings.log),
            callbacks=[watch],
            plugins=[_WholeFiles(), LightningEnvironment()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        with _stopped_between_steps(watch), torch.random.fork_rng(), _lost_processes():
            trainer.fit(
                module,
                batches,
                DataLoader(cast("Any", validation), batch_size=None) if validation else None,
                ckpt_path=last if begun else None,
                weights_only=True,
            )
    ended_with = _weights_of(module)
    if validation:
        module.load_state_dict(_checkpoint(best)["state_dict"])
    return Trained(trainer.global_step, watch.seconds, watch.loss, ended_with)


def _weights_of(module: Training) -> dict[str, Tensor]:
    return {name: values.detach().cpu().clone() for name, values in module.network.state_dict().items()}


def _checkpoint(path: Path) -> dict[str, Any]:
    # A checkpoint is a zip file, whose list of contents comes last: a torn one has none.
    if not is_zipfile(path):
        remedy = "delete it to begin again"
        raise LutkitError("the checkpoint cannot be read", where=str(path), remedy=remedy)
    return cast("dict[str, Any]", torch.load(path, map_location="cpu", weights_only=True))


class _WholeFiles(TorchCheckpointIO):
    """Writes checkpoints completely or not at all, and to disk before their names."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ANN401
        buffer = BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), buffer.getvalue())


def one_cycle(progress: float) -> float:
    """Return the learning rate as a share of the highest, after a share `progress` of the run.

    It rises along half a cosine for a tenth of the run, and falls along another for the rest.

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large learning
        rates", 2019, in the form of torch's OneCycleLR.
    """
    if progress < _WARM_UP:
        low, high, part = _FIRST_RATE, 1.0, progress / _WARM_UP
    else:
        low, high, part = 1.0, _LAST_RATE, min((progress - _WARM_UP) / (1 - _WARM_UP), 1.0)
    return low + (high - low) * (1 - math.cos(math.pi * part)) / 2


class _Watch(Callback):
    """Sets the learning rate, saves checkpoints, reports, and ends a run that is stopped or out of time."""

    def __init__(
        self, settings: TrainSettings, folder: Path, on_progress: OnProgress, *, validates: bool
    ) -> None:
        self.settings, self.folder, self.on_progress, self.validates = (
            settings,
            folder,
            on_progress,
            validates,
        )
        self.earlier_s = self.loss = 0.0
        self.best = math.inf
        self.began = self.saved = time.monotonic()
        self.signal = 0  # that asks for a stop
        self.agreed_s = 0.0  # `seconds` of the slowest clock: the processes must take the same decisions

    @property
    def seconds(self) -> float:
        return self.earlier_s + time.monotonic() - self.began

    def ask_to_stop(self, number: int, _frame: FrameType | None) -> None:
        if self.signal:
            raise Stopped(number)  # not KeyboardInterrupt, of which Lightning makes an exit of the process
        self.signal = number

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning's own handler would send to the other processes in the middle of a step: all would hang.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.ask_to_stop)
        self.began, self.agreed_s = time.monotonic(), self.earlier_s
        again = (f"Continuing at step {trainer.global_step:,}.",) if trainer.global_step else ()
        self.on_progress(Progress("steps", trainer.global_step, self.settings.steps, again))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        # Checkpoints do not hold torch's random state. By step, dropout is the same after a stop.
        place = trainer.global_step * trainer.world_size + trainer.global_rank
        by_step = np.random.SeedSequence(self.settings.seed, spawn_key=(_DROPOUT, place))
        torch.manual_seed(int(by_step.generate_state(1)[0]))
        rate = self.settings.learning_rate * one_cycle(self._progress(trainer))
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: object,
        batch_idx: int,
    ) -> None:
        loss, step = float(outputs["mean"]), trainer.global_step
        (self.agreed_s,) = _largest(trainer, self.seconds)
        self.loss = loss if step <= 1 else self.loss + (loss - self.loss) / min(step, 50)
        is_last = self._progress(trainer) >= 1
        is_measured = is_last or step % self.settings.validate == 0
        note = (f"step {step:,}: loss {self.loss:.2f}",) if is_measured and not self.validates else ()
        self.on_progress(Progress("steps", step, self.settings.steps, note))
        if is_last:
            trainer.should_stop = True  # after a validation
        if not (is_measured and self.validates):  # else after the validation, which belongs to this step
            self._end_step(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        error = float(trainer.callback_metrics["validation"])
        if not math.isfinite(error):
            remedy = "give a lower --learning-rate; the last checkpoint is kept"
            raise _agreed_error(f"the validation error of step {trainer.global_step} is {error}", remedy)
        note = f"step {trainer.global_step:,}: loss {self.loss:.2f}, validation {error:.2f}"
        if error < self.best:
            self.best = error
            self._save(trainer, "best.ckpt")
        self.on_progress(Progress("steps", trainer.global_step, self.settings.steps, (note,)))
        self._end_step(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer, "last.ckpt")

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "loss": self.loss, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.earlier_s, self.loss, self.best = (state_dict[name] for name in ("seconds", "loss", "best"))

    def _progress(self, trainer: Trainer) -> float:
        by_time = self.agreed_s / (60 * self.settings.minutes) if self.settings.minutes else 0.0
        return max(trainer.global_step / self.settings.steps, by_time)

    def _end_step(self, trainer: Trainer) -> None:
        is_due = trainer.global_step % self.settings.validate == 0 or time.monotonic() - self.saved > _SAVE_S
        stop, due = _largest(trainer, self.signal, is_due)
        if due or stop:
            self._save(trainer, "last.ckpt")
        if stop:
            raise Stopped(int(stop))

    def _save(self, trainer: Trainer, name: str) -> None:
        weights = [weight for weight in trainer.lightning_module.parameters() if not weight.isfinite().all()]
        if weights:
            remedy = "give a lower --learning-rate; the last checkpoint is kept"
            raise _agreed_error(f"weights are not finite after step {trainer.global_step}", remedy)
        trainer.save_checkpoint(self.folder / name)
        self.saved = time.monotonic()


def _largest(trainer: Trainer, *values: float) -> list[float]:
    """Return the largest of each value over all processes."""
    if trainer.world_size == 1:
        return list(values)
    found = torch.tensor(values, dtype=torch.float64, device=trainer.strategy.root_device)
    return cast("list[float]", trainer.strategy.reduce(found, reduce_op="max").tolist())


def _agreed_error(what: str, remedy: str) -> BaseException:
    """Return an error that occurs in all processes at once: process 0 reports it for all."""
    return SystemExit() if process_number() else LutkitError(what, remedy=remedy)


@contextmanager
def _lost_processes() -> Generator[None]:
    """Turn the error of a process that waits for another one, which has died, into an error of one line."""
    try:
        yield
    except RuntimeError as error:
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            raise
        if isinstance(error, torch.distributed.DistError) or "gloo" in str(error):
            # The error of gloo or NCCL only says that a connection has ended.
            what = "the process of another device has stopped"
            remedy = "if it says why, mend that; then run the same command again: it continues"
            raise LutkitError(what, remedy=remedy) from error
        raise


def _require_same_run(folder: Path, about: Mapping[str, object]) -> None:
    """Require that the run begun in `folder` is the same, or begin one."""
    path = folder / _RUN
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(about, indent=2) + "\n").encode())
        return
    with refused_as(LutkitError, where=str(path), remedy="delete this folder to begin again"):
        begun = fields_of(read_json(path)).values
    other = [name for name in about if begun.get(name) != about[name]]
    if other:
        named = ", ".join(
            f"{name} {_short(begun.get(name))}, not {_short(about[name])}" for name in other[:3]
        )
        remedy = "give the same options to continue it, or another -o"
        raise LutkitError(f"begun with {named}", where=str(folder.parent), remedy=remedy)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 20 else f"{text[:13]}...{text[-1]}"


def _logger(out: Path, kind: str) -> Logger:
    if kind == "tensorboard":
        return TensorBoardLogger(out, name="logs")
    return CSVLogger(out, name="logs")


@contextmanager
def _stopped_between_steps(watch: _Watch) -> Generator[None]:
    """On Ctrl-C or SIGTERM, end the step, save a checkpoint, and raise KeyboardInterrupt or `Stopped`.

    In the middle of a step, weights and counters do not belong together. A second signal does not wait.
    """

    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, watch.ask_to_stop) for number in _SIGNALS} if is_main else {}
    try:
        yield
    except Stopped as stopped:
        if process_number():
            raise SystemExit from None
        if stopped.signal_number == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quietly() -> Generator[None]:
    """Silence Lightning's information about the machine and about itself."""
    with (
        quiet_loggers("lightning.pytorch", "lightning.fabric", below=logging.ERROR),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", module=r"lightning\.")
        warnings.filterwarnings("ignore", module=r"torch\.")
        yield
