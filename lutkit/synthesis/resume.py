"""What a run must find as it was in a folder that an earlier run began: an error says what is not.

Owns those comparisons. Writes nothing.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from lutkit.dataset.folder import MANIFEST_NAME, SOURCES_NAME
from lutkit.dataset.records import outgrown, read_record
from lutkit.dataset.versions import require_same_libraries
from lutkit.errors import DatasetError
from lutkit.synthesis.manifest import Manifest, read_manifest, read_recorded

_OTHER_FOLDER = "or write into another folder"


def require_same_run(
    folder: Path,
    manifest: Manifest,
    recorded: Mapping[str, Mapping[str, str]],
    planned: Mapping[str, int],
) -> None:
    """Raise DatasetError unless a run of `manifest` may go on in `folder`; one that is new always may.

    Args:
        folder: the dataset folder.
        manifest: what is asked now.
        recorded: library versions, and the sha256 of LUT files, as they are now.
        planned: the number of samples asked of each shard, by name.
    Raises:
        DatasetError: another manifest, other LUT files, libraries or CPU; a smaller n; the list of sources
            is lost; or files that belong to no run of this dataset.
    """
    path = folder / MANIFEST_NAME
    then = read_manifest(path) if path.exists() else None
    if then is not None:
        _require_same_settings(folder, then, manifest, recorded)
        if not (folder / SOURCES_NAME).exists():
            where = str(folder / SOURCES_NAME)
            raise DatasetError("missing", where=where, remedy=f"restore it, {_OTHER_FOLDER}")
    if outgrown(folder, planned):
        _refuse_to_shrink(folder, then.n if then else 0, manifest.n)


def _require_same_settings(
    folder: Path, then: Manifest, now: Manifest, recorded: Mapping[str, Mapping[str, str]]
) -> None:
    before = read_recorded(folder / MANIFEST_NAME)
    require_same_libraries(before.get("libraries", {}), recorded["libraries"], str(folder))
    differing = manifest_differences(then, now)
    for name in ("looks", "damage_luts"):
        if before.get(name, {}) != recorded[name]:
            differing.append(f"the LUT files of {name}")
    if differing:
        raise DatasetError(
            f"begun with another manifest: {'; '.join(differing)}",
            where=str(folder),
            remedy=f"ask for the same, {_OTHER_FOLDER}",
        )


def _refuse_to_shrink(folder: Path, begun: int, asked: int) -> None:
    records = [read_record(folder, path.stem) for path in folder.glob("records/*.json")]
    held = sum(record.planned for record in records if record)
    begun = max(begun, held)
    what = f"holds {held} pairs" if held == begun else f"begun for {begun} pairs, of which it holds {held}"
    raise DatasetError(
        f"{what}, and {asked} are asked",
        where=str(folder),
        remedy=f"ask for at least {begun}, {_OTHER_FOLDER}",
    )


def manifest_differences(then: Manifest, now: Manifest) -> list[str]:
    """What differs between two manifests and decides bytes: not n, nor where photographs and LUTs lie.

    Photographs and LUTs are compared by what they are, not by their folders' names.
    """
    differing: list[str] = []
    for part in dataclasses.fields(Manifest):
        old, new = getattr(then, part.name), getattr(now, part.name)
        if part.name in ("n", "damage_luts") or old == new:
            continue
        if not dataclasses.is_dataclass(old):
            differing.append(f"{part.name} was {old!r}, is {new!r}")
            continue
        for inner in dataclasses.fields(old):
            before, after = getattr(old, inner.name), getattr(new, inner.name)
            if inner.name not in ("source", "path") and before != after:
                differing.append(f"{part.name}.{inner.name} was {before!r}, is {after!r}")
    return differing
