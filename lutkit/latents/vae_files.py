"""The files of a VAE: find them on disk or download them from the hub, and check them.

Owns where weights and config are. Reads only safetensors files, which cannot run code. Loads no torch.
"""

import os
import re
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lutkit.dataset.digests import sha256_of
from lutkit.dataset.json_values import Json
from lutkit.dataset.latent_index import VaeIdentity
from lutkit.dataset.os_errors import explain_os_error
from lutkit.documents import Fields, fields_of, parse_json, read_json, refused_as
from lutkit.errors import DatasetError, DocumentError, VaeError
from lutkit.latents.vae_classes import class_of, numbers_of, require_known_class

# Download of one file from the Hugging Face hub, or an error of one line; it never hangs.


_PATIENCE_S = 15.0
_TIMEOUT_S = 8.0


def fetch(repository: str, file: str, revision: str) -> Path | None:
    """Return the path of a file in huggingface_hub's cache, and download the file if it is not there yet.

    Args:
        repository: `owner/name`.
        file: its path in the repository.
        revision: a branch, tag or commit; empty for the newest. A file that an earlier run downloaded under
            the same name is used as it is.
    Returns:
        The path, whose last folders are `snapshots/COMMIT/` and the folders of `file`; None if the repository
        has no such file.
    Raises:
        VaeError: if the hub cannot be reached and the file was not downloaded before; if there is no such
            repository or revision, or it requires a login.
    """
    from huggingface_hub import hf_hub_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    here = fetched(repository, file, revision)
    if here is not None:
        return here
    known = revision or "main"
    _require_reachable(repository, file, known)
    try:
        return Path(hf_hub_download(repository, file, revision=known, etag_timeout=_TIMEOUT_S))
    except LocalEntryNotFoundError as error:
        raise _unreachable(repository, file, known, str(error.__cause__ or error)) from None
    except EntryNotFoundError:
        return None
    except Exception as error:
        # The hub's library raises its own errors, its HTTP client's and the system's.
        raise _refused(repository, file, known, error) from None


def fetched(repository: str, file: str, revision: str) -> Path | None:
    """Return what `fetch` returns if that needs no network, or else None."""
    from huggingface_hub import hf_hub_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, revision=revision or "main", local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _require_reachable(repository: str, file: str, revision: str) -> None:
    """Send one short request first, because the library itself retries an unreachable hub many times."""
    from huggingface_hub import (
        get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]
        hf_hub_url,
    )
    from huggingface_hub.errors import HfHubHTTPError

    failures: list[Exception] = []

    def ask() -> None:
        try:
            if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
                raise OSError("HF_HUB_OFFLINE is set")
            get_hf_file_metadata(hf_hub_url(repository, file, revision=revision), timeout=_TIMEOUT_S)
        except HfHubHTTPError:
            pass  # the hub answers; the real request handles the error
        except Exception as error:
            failures.append(error)

    # A DNS lookup has no time limit of its own.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE_S)
    if asking.is_alive():
        raise _unreachable(repository, file, revision, f"no answer in {_PATIENCE_S:.0f} s")
    if failures:
        raise _unreachable(repository, file, revision, str(failures[0]))


def _unreachable(repository: str, file: str, revision: str, reason: str) -> VaeError:
    at = "" if revision == "main" else f" --revision {revision}"
    return VaeError(
        f"no such folder here, and the hub cannot be reached ({_first_line(reason)}); needed: {file}"
        f" of {repository} at revision {revision}",
        where=repository,
        remedy=f"run `hf download {repository}{at}` with a network, or copy its folder here and name"
        " that folder",
    )


def _refused(repository: str, file: str, revision: str, error: Exception) -> VaeError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        what, remedy = "requires a login", "run `hf auth login` with an account that may read it"
    elif isinstance(error, RevisionNotFoundError):
        what, remedy = f"has no revision {revision}", "correct --revision"
    elif isinstance(error, RepositoryNotFoundError):
        what, remedy = "not on the hub, or private", "correct the name, or run `hf auth login`"
    else:
        what = f"{file} cannot be downloaded: {_first_line(str(error))}"
        remedy = "run the same command again, or name a folder"
    return VaeError(what, where=repository, remedy=remedy)


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[0].rstrip(".")


CONFIG_NAME = "config.json"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"

_SPLIT_NAME = f"{WEIGHTS_NAME}.index.json"  # diffusers writes it next to weights in several files
_PART = "vae"  # the folder of the VAE in the folder of a whole pipeline
_PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_REVISION = re.compile(r"(?:[\w-][\w./-]*)?", re.ASCII)
_NAME_CONFIG = "name the VAE's config.json"
_MOST_CONFIG_BYTES = 1 << 20
_MOST_HEADER_BYTES = 1 << 26
# How safetensors names dtypes; numpy has no bfloat16.
_FLOATS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}
_HALVES = ("F16", "BF16")
_AS_SAFETENSORS = "pickled weights can run code and are not read: convert them to .safetensors"


@dataclass(frozen=True)
class VaeFiles:
    """The files that a VAE is loaded from.

    Args:
        name: a hub name, or the last part of a path.
        revision: the hub's commit; empty for local files.
        config: the content of its `config.json`.
        weights: the path of its .safetensors file.
        sha256: the sha256 of that file, in hex.
    """

    name: str
    revision: str
    config: Mapping[str, Json]
    weights: Path
    sha256: str

    def identity(self) -> VaeIdentity:
        """Return what a dataset records about the VAE.

        Raises:
            VaeError: if a value in the config is not valid.
        """
        try:
            found = numbers_of(self.config, self._statistics)
            return VaeIdentity(
                name=self.name,
                revision=self.revision,
                sha256=self.sha256,
                config=self.config,
                scaling_factor=found.scaling_factor,
                shift_factor=found.shift_factor,
                latent_channels=found.latent_channels,
                latents_mean=found.latents_mean,
                latents_std=found.latents_std,
                patch=class_of(self.config).patch,
            )
        except (DocumentError, DatasetError) as error:
            remedy = "use the config.json saved with the weights"
            raise VaeError(f"an invalid config: {error.what}", where=self.name, remedy=remedy) from None

    def has_half_weights(self) -> bool:
        """Return whether the file holds weights of 16 bits only: bfloat16 or float16.

        Raises:
            VaeError: if the file cannot be read.
        """
        with self._opened() as (_, header, _):
            entries = [name for name in header.values if name != "__metadata__"]
            kinds = {header.part(name).text("dtype") for name in entries}
        return bool(kinds & set(_HALVES)) and not kinds & (set(_FLOATS) - set(_HALVES))

    def _statistics(self, name: str) -> tuple[float, ...]:
        """Return the numbers of a weight with one dimension, without torch."""
        with self._opened() as (file, header, start_of_weights):
            weight = header.part(name)
            kind, place = weight.text("dtype"), weight.listed("data_offsets")
            if kind not in _FLOATS or not all(type(at) is int and at >= 0 for at in place[:2]):
                raise DocumentError(f"{name} is not a list of floats")
            start, end = place
            if end - start > _MOST_CONFIG_BYTES:
                raise DocumentError(f"{name} has {end - start} bytes")
            file.seek(start_of_weights + start)
            stored = np.frombuffer(file.read(end - start), _FLOATS[kind])
        # bfloat16 is the upper half of a float32.
        values = (stored.astype("<u4") << 16).view("<f4") if kind == "BF16" else stored
        return tuple(float(value) for value in values)

    @contextmanager
    def _opened(self) -> Generator[tuple[BinaryIO, Fields, int]]:
        """Open the weights; yield the file, its header, and the place where the weights begin."""
        try:
            with self.weights.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length > _MOST_HEADER_BYTES:
                    raise DocumentError(f"a header of {length} bytes")
                header = fields_of(parse_json(file.read(length), most_bytes=_MOST_HEADER_BYTES))
                yield file, header, 8 + length
        except (DocumentError, ValueError) as error:
            what = f"cannot be read as safetensors: {getattr(error, 'what', error)}"
            raise VaeError(what, where=str(self.weights), remedy="download the file again") from None
        except OSError as error:
            what, remedy = explain_os_error(error)
            raise VaeError(what, where=str(self.weights), remedy=remedy) from None


def find_vae(name: str, *, revision: str = "", config: Path | None = None) -> VaeFiles:
    """Find the files of a VAE.

    Args:
        name: a folder that diffusers saved (of a VAE, or of a pipeline that holds one in `vae/`); a lone
            .safetensors file; or the name of either kind of folder on the hub, `owner/name`.
        revision: the branch, tag or commit of a hub name; empty for the newest.
        config: the `config.json` of a lone .safetensors file.
    Raises:
        VaeError: if nothing has that name, files are missing, weights are pickled, the config is of another
            class, or the hub cannot be reached.
    """
    path = Path(name)
    if path.suffix.lower() in _PICKLED:
        raise VaeError(f"{path.suffix} weights cannot be used", where=name, remedy=_AS_SAFETENSORS)
    lone = path.suffix.lower() == ".safetensors"
    if config is not None and not lone:
        raise VaeError(
            "--vae-config with a folder or hub name", remedy="use it only with a lone .safetensors"
        )
    if revision and (lone or path.is_dir()):
        raise VaeError("local files have no revisions", where=name, remedy="leave out --revision")
    if lone:
        return _lone(path, config)
    if path.is_dir():
        return _folder(path)
    # A missing folder beside folders that are here is a mistake, not a name on the hub.
    if not _HUB_NAME.fullmatch(name) or path.parent.is_dir():
        remedy = "name a folder, a .safetensors with --vae-config, or a hub name, `owner/name`"
        raise VaeError("no such folder", where=name, remedy=remedy)
    return find_hub_vae(name, revision)


def _lone(path: Path, config: Path | None) -> VaeFiles:
    if not path.is_file():
        raise VaeError("no such file", where=str(path), remedy="correct the name")
    if config is None:
        remedy = "add --vae-config FILE, the config.json that belongs to it"
        raise VaeError("a lone .safetensors file needs a config", where=str(path), remedy=remedy)
    return VaeFiles(path.name, "", _read_config(config), path, _sha256_of(path))


def _folder(folder: Path) -> VaeFiles:
    home = folder
    if not (folder / CONFIG_NAME).is_file():
        home = folder / _PART
    if not (home / CONFIG_NAME).is_file():
        remedy = "name a folder that diffusers saved, or a .safetensors with --vae-config"
        raise VaeError("no config.json here", where=str(folder), remedy=remedy)
    weights = _weights_in(home)
    name = folder.resolve().name or "vae"
    return VaeFiles(name, "", _read_config(home / CONFIG_NAME), weights, _sha256_of(weights))


def _weights_in(folder: Path) -> Path:
    if (folder / WEIGHTS_NAME).is_file():
        return folder / WEIGHTS_NAME
    if (folder / _SPLIT_NAME).is_file():
        what = f"the weights are in several files, listed in {_SPLIT_NAME}"
        remedy = "save them as one file: save_pretrained with max_shard_size='100GB'"
        raise VaeError(what, where=str(folder), remedy=remedy)
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.name for path in found)
        remedy = "name one of them, with --vae-config"
        raise VaeError(f"several files of weights: {names}", where=str(folder), remedy=remedy)
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _PICKLED)
    if pickled:
        raise VaeError(f"only {pickled[0]} here", where=str(folder), remedy=_AS_SAFETENSORS)
    remedy = f"add {WEIGHTS_NAME}"
    raise VaeError("no weights here", where=str(folder), remedy=remedy)


def find_hub_vae(name: str, revision: str) -> VaeFiles:
    """Find the files of a VAE on the hub or in the cache of an earlier run, never in a local folder.

    Args:
        name: `owner/name`.
        revision: a branch, tag or commit; empty for the newest.
    Raises:
        VaeError: as `find_vae`.
    """
    # Both come from the index of any folder of latents, and become paths in the hub's cache.
    if not _HUB_NAME.fullmatch(name) or not _REVISION.fullmatch(revision) or ".." in f"{name}/{revision}":
        what = f"{name!r} at revision {revision!r} is no valid hub name and revision"
        raise VaeError(what, remedy="name the VAE with --vae")
    # Look for both configs in the cache first: only the hub can tell that a pipeline has no config of its
    # own.
    looked = ((look, part) for look in (fetched, fetch) for part in ("", f"{_PART}/"))
    found = (
        (part, config) for look, part in looked if (config := look(name, f"{part}{CONFIG_NAME}", revision))
    )
    folder, config = next(found, ("", None))
    if config is None:
        remedy = "name a repository that diffusers saved a VAE to"
        raise VaeError(f"neither {CONFIG_NAME} nor {_PART}/{CONFIG_NAME} there", where=name, remedy=remedy)
    commit = config.parts[-2 - folder.count("/")]
    read = _read_config(config)
    weights = fetch(name, f"{folder}{WEIGHTS_NAME}", commit)
    if weights is None:
        raise VaeError(f"no {folder}{WEIGHTS_NAME} there", where=name, remedy=_AS_SAFETENSORS)
    return VaeFiles(name, commit, read, weights, _sha256_of(weights))


def _sha256_of(weights: Path) -> str:
    try:
        return sha256_of(weights)
    except OSError as error:
        what, remedy = explain_os_error(error)
        raise VaeError(what, where=str(weights), remedy=remedy) from None


def _read_config(path: Path) -> Mapping[str, Json]:
    try:
        with refused_as(VaeError, where=str(path), remedy=_NAME_CONFIG, what="not a VAE's config"):
            config = fields_of(read_json(path, most_bytes=_MOST_CONFIG_BYTES)).values
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise VaeError(what, where=str(path), remedy=_NAME_CONFIG) from None
    require_known_class(config, str(path))
    # diffusers writes there where the config was loaded from, which can be a path of some machine.
    return {name: value for name, value in config.items() if name != "_name_or_path"}
