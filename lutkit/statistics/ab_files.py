"""`counts.npz` and `weights.npz`: the files that colorization trainers read.

Owns the members of these files and the checks on reading. Nothing is ever unpickled. The same contents give
the same bytes.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lutkit.ab.grid import ab_grid, keep_bins
from lutkit.ab.weights import AbWeights, Normalisation
from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import explain_os_error
from lutkit.documents import fields_of, parse_json
from lutkit.errors import ArrayError, LutkitError, SourceError
from lutkit.measure.color_summary import AB_SIZE
from lutkit.measure.counts import total_of

FineCounts = npt.NDArray[np.int64]

LAB_CONVENTION = "CIE 1976 L*a*b*, D65, sRGB; L 0..100, a and b unscaled; greys are exactly 0, 0"


def write_counts(path: Path, counts: FineCounts) -> None:
    """Write a fine ab histogram, completely or not at all.

    Args:
        path: the file to write; an existing file is replaced.
        counts: (256, 256) int64; cell [i, j] counts the pixels with floor(a) = i - 128, floor(b) = j - 128.
    Raises:
        OSError: from the system.
    """
    _write(path, {"counts": counts, "pixels": np.array(int(counts.sum()), np.int64)})


def read_counts(path: Path) -> FineCounts:
    """Read a file that `write_counts` wrote.

    Returns:
        (256, 256) int64, 0 or above.
    Raises:
        SourceError: if there is no such file, it is a file of another kind, or its counts are inconsistent.
    """
    members = _read(path, ("counts", "pixels"), "a counts file, as `lutkit ab-hist` writes it")
    counts, pixels = members["counts"], members["pixels"]
    sound = counts.shape == (AB_SIZE, AB_SIZE) and counts.dtype == np.int64 and counts.min() >= 0
    try:
        if sound and pixels.shape == () and pixels == total_of(counts):
            return counts
    except ArrayError:
        pass
    raise SourceError(
        "its counts are inconsistent", where=str(path), remedy="count again with `lutkit ab-hist`"
    )


def merged_counts(paths: Sequence[Path]) -> FineCounts:
    """Read several files of counts and add them up.

    Args:
        paths: the files, at least one.
    Returns:
        (256, 256) int64, a new array.
    Raises:
        SourceError: as `read_counts`; or if the sum of all pixels does not fit into 64 bits.
    """
    total = np.zeros((AB_SIZE, AB_SIZE), np.int64)
    pixels = 0
    for path in paths:
        counts = read_counts(path)
        pixels += total_of(counts)
        if pixels >= 1 << 63:
            what = f"brings the sum to {pixels:,} pixels, which does not fit into 64 bits"
            raise SourceError(what, where=str(path), remedy="merge fewer files")
        total += counts
    return total


def write_weights(path: Path, weights: AbWeights) -> None:
    """Write bins, counts, prior, smoothed prior, weights and settings, completely or not at all.

    Raises:
        OSError: from the system.
    """
    meta = {
        "grid": weights.grid.name,
        "sigma": weights.sigma,
        "mix": weights.mix,
        "normalise": weights.normalise,
        "observed": len(weights.grid.bins) != len(ab_grid(weights.grid.name).bins),
        "lab": LAB_CONVENTION,
    }
    members = {
        "bins": weights.grid.bins,
        "counts": weights.counts,
        "prior": weights.prior,
        "smoothed": weights.smoothed,
        "weights": weights.weights,
        "meta": np.array(json.dumps(meta)),
    }
    _write(path, members)


def read_weights(path: Path) -> AbWeights:
    """Read a file that `write_weights` wrote.

    Returns:
        The weights, on the grid that the file names, without the bins that were dropped.
    Raises:
        SourceError: if there is no such file, it is of another kind, or its arrays do not fit together.
    """
    names = ("bins", "counts", "prior", "smoothed", "weights", "meta")
    members = _read(path, names, "a weights file, as `lutkit ab-weights` writes it")
    try:
        meta = fields_of(parse_json(str(members["meta"])))
        whole = ab_grid(meta.text("grid"))
        # True for each bin of the grid that was kept.
        kept = (whole.bins[:, None] == members["bins"]).all(axis=-1).any(axis=1)
        grid = keep_bins(whole, kept)
        if np.array_equal(grid.bins, members["bins"]):
            arrays = (members[name] for name in names[1:-1])
            # Older files lack this member.
            normalise = meta.text("normalise") if "normalise" in meta.values else "smoothed"
            sigma, mix = meta.number("sigma"), meta.number("mix")
            return AbWeights(grid, *arrays, sigma=sigma, mix=mix, normalise=cast("Normalisation", normalise))
    except (ValueError, TypeError, IndexError, LutkitError):
        pass  # all of them mean that this is not such a file
    raise SourceError("its arrays do not fit each other", where=str(path), remedy="write it again")


def write_npy(folder: Path, weights: AbWeights) -> None:
    """Write `pts_in_hull.npy` (Q, 2) and `prior_probs.npy` (Q,), which colorization trainers read.

    Args:
        folder: the folder for the files; it is created if it is missing.
        weights: the weights whose bins and prior to write; the prior in these files is not smoothed.
    Raises:
        OSError: from the system.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bins = weights.grid.bins
    whole = bins.astype(np.int64) if (bins == np.rint(bins)).all() else bins
    for name, array in (("pts_in_hull.npy", whole), ("prior_probs.npy", weights.prior)):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        write_whole(folder / name, buffer.getvalue())


def _write(path: Path, members: dict[str, npt.NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **members)
    write_whole(path, buffer.getvalue())


def _read(path: Path, names: tuple[str, ...], kind: str) -> dict[str, npt.NDArray[Any]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise SourceError("no such file", where=str(path), remedy=f"name {kind}") from None
    except OSError as error:
        what, remedy = explain_os_error(error)
        raise SourceError(what, where=str(path), remedy=remedy) from None
    try:
        file = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(file, np.lib.npyio.NpzFile):
            with file:
                if set(names) <= set(file.files):
                    return {name: file[name] for name in names}
    except Exception:
        pass  # for a damaged archive, zipfile, zlib and numpy's header parser raise all kinds of errors
    raise SourceError(f"not {kind}", where=str(path))
