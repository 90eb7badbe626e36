"""The dataset folder: whether it is one of ours, who may write into it, and which files it holds.

`shards/` holds tars and `records/` a JSON for each shard. `sources.tsv` and `manifest.toml` are written when
a run starts and never change. `rejects.jsonl`, `README.md` and, last, `dataset.json` are written at its end.
No file except `.lock` names a time or a host, and only `manifest.toml` says where photos and LUTs are. Must
not know what samples consist of.
"""

import errno
import json
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from lutkit.dataset.atomic import clear_temporaries, is_temporary, write_whole
from lutkit.dataset.lock import LOCK_NAME, locked, require_unlocked
from lutkit.dataset.os_errors import explain_os_error
from lutkit.dataset.records import Record, Reject
from lutkit.errors import DatasetError

MANIFEST_NAME = "manifest.toml"
SOURCES_NAME = "sources.tsv"
REJECTS_NAME = "rejects.jsonl"

_BEGINNINGS = {"records", "shards", SOURCES_NAME, MANIFEST_NAME}
_SHOWN = 3


@contextmanager
def claim(folder: Path) -> Generator[None]:
    """Hold `folder` as a dataset folder of ours, without another writer, inside the block.

    The folder is created if it is missing, with `shards/` and `records/`. Temporary files of a killed run are
    removed. An OSError in the block, such as a full disk, becomes an error of one line. If the block fails
    before it has written a file, the created folders are removed again.

    Args:
        folder: a dataset folder, or one that is empty or missing.
    Raises:
        DatasetError: if the folder holds something else, another process writes into it, or the system
            reports an error: the disk is full, or a folder is not writable.
    """
    require_claimable(folder)
    with plain_errors(folder):
        parts = (folder / "records", folder / "shards")
        new = [path for path in (*parts, folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                for part in parts:
                    part.mkdir(exist_ok=True)
                    clear_temporaries(part)
                clear_temporaries(folder)
                yield
        except BaseException:
            # If a single file is left, the folder belongs to a run, which the next run can continue.
            if all(path.is_dir() for path in folder.rglob("*")):
                _remove_empty(new)
            raise


def require_claimable(folder: Path) -> None:
    """Make the checks of `claim`, and write nothing.

    Raises:
        DatasetError: if the folder holds something else or cannot be written, or another process writes into
            it.
    """
    with plain_errors(folder):
        require_ours(folder)
        for path in (folder, folder / "records", folder / "shards"):
            nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
            if not nearest.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))
        require_unlocked(folder)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def require_ours(folder: Path) -> None:
    """Raise DatasetError unless `folder` is missing, empty, or a dataset folder, unfinished or finished.

    Raises:
        DatasetError: if it is not a folder, or holds something else; the message names what is there.
        OSError: from the system.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DatasetError("not a folder", where=str(folder), remedy="name an empty or new folder")
    names = {entry.name for entry in folder.iterdir() if not is_temporary(entry.name)} - {LOCK_NAME}
    ours = {"records", MANIFEST_NAME} <= names
    begun = "records" in names and names <= _BEGINNINGS and is_bare(folder)
    if names and not ours and not begun:
        shown = ", ".join(sorted(names)[:_SHOWN]) + (" and more" if len(names) > _SHOWN else "")
        raise DatasetError(
            f"is not a dataset of lutkit, and holds {shown}",
            where=str(folder),
            remedy="name an empty or new folder",
        )


def is_bare(folder: Path) -> bool:
    """Return whether nothing has been built in `folder` yet: neither a shard nor a record.

    Raises:
        OSError: from the system.
    """
    return not any(_holds(folder / part) for part in ("records", "shards"))


def freeze(path: Path, text: str, remedy: str) -> None:
    """Write a list of sources to `path`, where it never changes: later runs must have the same list.

    Args:
        path: the path, for instance of `sources.tsv`.
        text: this run's list: lines that end with a newline, each with a source's name before its first tab.
        remedy: the remedy if the two lists differ.
    Raises:
        DatasetError: as `require_frozen`.
        OSError: from the system.
    """
    if path.exists():
        require_frozen(path, text, remedy)
    else:
        write_whole(path, text.encode())


def require_frozen(path: Path, text: str, remedy: str) -> None:
    """Raise DatasetError unless the existing file `path` holds the list `text`; see `freeze`.

    Raises:
        DatasetError: if the lists differ; the message counts the different sources and names some.
        OSError: from the system.
    """
    then = path.read_bytes().decode(errors="replace")
    if then != text:
        what = f"other sources than before: {_changes(_lines_by_name(then), _lines_by_name(text))}"
        raise DatasetError(what, where=str(path), remedy=remedy)


def write_rejects(folder: Path, records: Iterable[Record], more: Iterable[Reject] = ()) -> tuple[Reject, ...]:
    """Write `rejects.jsonl`: every source that a shard could not use, and why, one line for each source.

    If there are no rejects, there is no file.

    Args:
        folder: the dataset folder.
        records: the records of all shards; a source that several shards rejected counts once, with its first
            reason.
        more: rejects from before there were shards.
    Returns:
        The written rejects, sorted by the path's bytes.
    Raises:
        OSError: from the system.
    """
    reasons: dict[str, str] = {}
    met = [reject for record in records for reject in record.rejects]
    for reject in sorted([*met, *more], key=_reject_order):
        reasons.setdefault(reject.path, reject.reason)
    path = folder / REJECTS_NAME
    if reasons:
        lines = [json.dumps({"path": p, "reason": r}, ensure_ascii=False) for p, r in reasons.items()]
        write_whole(path, "".join(f"{line}\n" for line in lines).encode(errors="surrogatepass"))
    else:
        path.unlink(missing_ok=True)
    return tuple(Reject(p, r) for p, r in reasons.items())


def _lines_by_name(text: str) -> dict[str, str]:
    return {line.partition("\t")[0]: line for line in text.splitlines()}


def _changes(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    kinds = {
        "added": [name for name in now if name not in then],
        "removed": [name for name in then if name not in now],
        "changed": [name for name in then if name in now and now[name] != then[name]],
    }
    return ", ".join(f"{len(names)} {kind}{_first_of(names)}" for kind, names in kinds.items())


def _first_of(names: list[str]) -> str:
    return f" ({names[0]}{', ...' if len(names) > 1 else ''})" if names else ""


def _reject_order(reject: Reject) -> tuple[bytes, str]:
    return reject.path.encode(errors="surrogateescape"), reject.reason


def _holds(folder: Path) -> bool:
    return folder.exists() and (
        not folder.is_dir() or any(not is_temporary(entry.name) for entry in folder.iterdir())
    )


@contextmanager
def plain_errors(folder: Path) -> Generator[None]:
    """Turn an OSError inside the block into a DatasetError that names the file, or else the folder."""
    try:
        yield
    except BrokenPipeError:
        # The reader of stdout has closed the pipe, which is no error of the folder.
        raise
    except OSError as error:
        what, remedy = explain_os_error(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            kept = len(list(folder.glob("records/*.json")))
            raise DatasetError(what, where=str(folder), remedy=f"{remedy}; {kept} shards are kept") from error
        raise DatasetError(what, where=str(error.filename or folder), remedy=remedy) from error
