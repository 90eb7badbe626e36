"""A model as a folder: weights, config.json and a model card; written whole, and read back.

Owns the names of the files and the meaning of config.json. Must not know how a model is trained or applied.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save  # pyright: ignore[reportUnknownVariableType]

from lutkit.balancing.adaptive_lut import AdaptiveLut
from lutkit.dataset.atomic import write_whole
from lutkit.documents import Fields, fields_of, read_json
from lutkit.errors import DocumentError, LutkitError, SourceError
from lutkit.latents.vae_files import fetch

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
CHECKPOINTS = "checkpoints"
ADAPTIVE_LUT = "adaptive-lut"

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_REMEDY = "name the folder that `lutkit train` wrote, or a model on the hub, `owner/name`"


def save_model(model: AdaptiveLut, folder: Path, about: Mapping[str, object], card: str) -> None:
    """Write a model: first the card and the weights, and config.json last, each file whole or not at all.

    Args:
        model: the network.
        folder: an existing folder; files of an earlier model are replaced.
        about: what config.json says beside the architecture: JSON values.
        card: the model card, Markdown.
    """
    config = {"architecture": ADAPTIVE_LUT, "cube_size": model.cube_size, **about}
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    (folder / CONFIG).unlink(missing_ok=True)
    write_whole(folder / CARD, card.encode())
    write_whole(folder / WEIGHTS, save(weights, {"format": "pt"}))
    write_whole(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def finished_run(folder: Path, about: Mapping[str, object]) -> dict[str, Any] | None:
    """Return the result that `save_model` wrote for a training with these settings, or None if it did not."""
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        return None
    try:
        config = fields_of(read_json(folder / CONFIG))
        is_same = config.part("training").values == about
        return dict(config.part("result").values) if is_same else None
    except DocumentError:
        return None


def load_model(name: Path | str) -> AdaptiveLut:
    """Read a model from a folder, or from the Hugging Face hub.

    Args:
        name: a folder that `lutkit train` wrote, or `owner/name`.
    Returns:
        The network, ready to predict, on the CPU.
    Raises:
        SourceError: if there is no such folder, it holds no model, or its model is of another kind or broken.
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
        config = fields_of(read_json(files[CONFIG]))
        model = _network_of(config)
        model.load_state_dict(load_file(files[WEIGHTS]))
        return model.eval()
    except DocumentError as error:
        raise SourceError(f"not a model: {error.what}", where=str(files[CONFIG]), remedy=_REMEDY) from None
    except (SafetensorError, RuntimeError, OSError) as error:
        lines = [line.strip() for line in str(error).strip().splitlines()]
        line = lines[1] if lines[0].endswith(":") and len(lines) > 1 else lines[0]
        raise SourceError(
            f"the weights cannot be read: {line}", where=str(files[WEIGHTS]), remedy="train it again"
        ) from None


def _is_hub_name(name: str) -> bool:
    """Return whether a name may be on the hub: a missing file in a folder that is here is none."""
    return (
        bool(_HUB_NAME.fullmatch(name))
        and not Path(name).parent.exists()
        and Path(name).suffix != ".safetensors"
    )


def _network_of(config: Fields) -> AdaptiveLut:
    # The mixin's `push_to_hub` writes the network's own parameters only.
    architecture = config.text("architecture") if "architecture" in config.values else ADAPTIVE_LUT
    if architecture != ADAPTIVE_LUT:
        raise DocumentError(f"the architecture is {architecture!r}, not {ADAPTIVE_LUT!r}")
    try:
        return AdaptiveLut(config.whole("cube_size"))
    except LutkitError as error:
        raise DocumentError(error.what) from None
