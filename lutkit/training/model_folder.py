"""A model as a folder: weights, config.json and a model card; written whole, and read back.

Owns the names of the files and what every config.json holds. Must not know any network: the rooms that train
networks build them from a config.
"""

import json
import re
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.lock import LOCK_NAME, locked
from lutkit.documents import Fields, fields_of, read_json
from lutkit.errors import DocumentError, LutkitError, SourceError
from lutkit.latents.vae_files import fetch
from lutkit.training.processes import process_number

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
CHECKPOINTS = "checkpoints"

_Network = TypeVar("_Network", bound=nn.Module)
_Result = TypeVar("_Result")

# Which command applies the models of an architecture. The names alone: rooms that know networks build them.
_APPLIED_BY = {
    "adaptive-lut": "balance",
    "latent-balancer": "balance",
    "direct": "balance",
    "colorizer": "colorize",
}

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_REMEDY = "name the folder that `lutkit train` wrote, or a model on the hub, `owner/name`"


@contextmanager
def model_folder(out: Path) -> Generator[None]:
    """Make and lock the folder of a model while it is trained; with several processes, process 0 does.

    Raises:
        LutkitError: if it is a file, holds something else, or another process trains there.
    """
    if process_number():
        yield
        return
    if out.exists() and not out.is_dir():
        raise LutkitError("not a folder", where=str(out), remedy="name a folder")
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        if not (out / CHECKPOINTS).is_dir() and any(path.name != LOCK_NAME for path in out.iterdir()):
            raise LutkitError("holds something else", where=str(out), remedy="name a new folder")
        yield


def save_model(network: nn.Module, folder: Path, config: Mapping[str, object], card: str) -> None:
    """Write a model: first the card and the weights, and config.json last, each file whole or not at all.

    Args:
        network: the network.
        folder: an existing folder; files of an earlier model are replaced.
        config: the `architecture`, what the network is built from, and what else is known: JSON values.
        card: the model card, Markdown.
    """
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    (folder / CONFIG).unlink(missing_ok=True)
    write_whole(folder / CARD, card.encode())
    write_whole(folder / WEIGHTS, save(weights, {"format": "pt"}))
    write_whole(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def finished_run(folder: Path, about: Mapping[str, object], result: Callable[..., _Result]) -> _Result | None:
    """Return the result that `save_model` wrote for a training with these settings, or None if it did not.

    Args:
        folder: the folder of the model.
        about: the settings.
        result: makes a result of the folder, as `model`, and of the fields in config.json.
    """
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        return None
    try:
        config = fields_of(read_json(folder / CONFIG))
        is_same = config.part("training").values == about
        return result(model=folder, **config.part("result").values) if is_same else None
    except (DocumentError, TypeError):  # a TypeError: another version of lutkit wrote other fields
        return None


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model as read from its files.

    Args:
        config: the content of config.json.
        weights: the tensors of model.safetensors, by name.
        config_file: the path of config.json.
        weights_file: the path of model.safetensors.
    """

    config: Fields
    weights: Mapping[str, Tensor]
    config_file: Path
    weights_file: Path

    def into(self, network: _Network) -> _Network:
        """Return the network with these weights, in evaluation mode.

        Raises:
            SourceError: if the weights are those of another network.
        """
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise _unreadable(self.weights_file, error) from None
        return network.eval()


def read_model(name: Path | str) -> StoredModel:
    """Read the files of a model from a folder, or from the Hugging Face hub.

    Args:
        name: a folder that `lutkit train` wrote, or `owner/name`.
    Raises:
        SourceError: if there is no such folder, it holds no model, or its files are broken.
        VaeError: if the hub cannot be reached, or has no such model.
    """
    folder = Path(name)
    if folder.is_dir():
        files = {file: folder / file for file in (CONFIG, WEIGHTS)}
        missing = [file for file, path in files.items() if not path.is_file()]
    elif not folder.exists() and _is_hub_name(str(name)):
        fetched = {file: fetch(str(name), file, "") for file in (CONFIG, WEIGHTS)}
        files = {file: path for file, path in fetched.items() if path is not None}
        missing = [file for file, path in fetched.items() if path is None]
    elif folder.exists():
        raise SourceError("a file, not the folder of a model", where=str(name), remedy=_REMEDY)
    else:
        raise SourceError("no such folder", where=str(name), remedy=_REMEDY)
    if missing and (folder / CHECKPOINTS).is_dir():
        remedy = "run the same `lutkit train` again"
        raise SourceError("the training is not finished", where=str(name), remedy=remedy)
    if missing:
        raise SourceError(f"no model here: {' and '.join(missing)} missing", where=str(name), remedy=_REMEDY)
    try:
        config, weights = fields_of(read_json(files[CONFIG])), load_file(files[WEIGHTS])
    except DocumentError as error:
        raise no_model(files[CONFIG], error.what) from None
    except (SafetensorError, OSError) as error:
        raise _unreadable(files[WEIGHTS], error) from None
    return StoredModel(config, weights, files[CONFIG], files[WEIGHTS])


def no_model(config_file: Path, why: str) -> SourceError:
    """Return the error for a config.json that is not a model's."""
    return SourceError(f"not a model: {why}", where=str(config_file), remedy=_REMEDY)


def other_model(config_file: Path, architecture: str, known: Collection[str]) -> SourceError:
    """Return the error for a model whose architecture is none of the known ones: which command applies it."""
    if architecture in _APPLIED_BY:
        what = f"a model of another kind, {architecture!r}"
        remedy = f"give it to `lutkit {_APPLIED_BY[architecture]}`"
        return SourceError(what, where=str(config_file), remedy=remedy)
    return no_model(config_file, f"the architecture is {architecture!r}, not one of {', '.join(known)}")


def _unreadable(path: Path, error: Exception) -> SourceError:
    lines = [line.strip() for line in str(error).strip().splitlines()]
    line = lines[1] if lines[0].endswith(":") and len(lines) > 1 else lines[0]
    return SourceError(f"the weights cannot be read: {line}", where=str(path), remedy="train it again")


def _is_hub_name(name: str) -> bool:
    """Return whether a name may be on the hub: a missing file in a folder that is here is none."""
    return (
        bool(_HUB_NAME.fullmatch(name))
        and not Path(name).parent.exists()
        and Path(name).suffix != ".safetensors"
    )
