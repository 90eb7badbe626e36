"""Compile the loops of `synth` in two processes at once, if they are not stored on disk yet.

numba compiles one loop after the other in a process. So two processes each run a part of the work, only to
compile the loops in it: one judges LUTs and draws recipes, the other makes a few small pairs.
"""

from contextlib import closing

import numpy as np

from lutkit.color.picture_difference import mean_delta_e_2000_of_codes
from lutkit.compiled import is_lacking, tell_of_compiling
from lutkit.distort.sampling import require_reachable
from lutkit.engine.engine import Engine
from lutkit.lut import kernels
from lutkit.lut.model import Lut1D, Lut3D
from lutkit.lut.quality import judge_lut
from lutkit.lutfiles.library import library_folder, luts_by_sha256, read_library
from lutkit.photos.photo_list import read_bytes
from lutkit.photos.sources import list_photos
from lutkit.synthesis.manifest import Manifest
from lutkit.synthesis.sample import Libraries, make_pair, prepare_target

_SMALL = Manifest(size_px=96)  # of the photos that ship
_PAIRS = 6


def compile_ahead(engine: Engine) -> None:
    """Compile the loops that most pairs need, unless they are stored; other loops are compiled later.

    Args:
        engine: an engine of two workers, which compile.
    """
    if not is_lacking(kernels.chain):
        return
    tell_of_compiling()
    with closing(engine.run(_run_loops, _SMALL, ("judge", "pair"))) as parts:
        for _ in parts:
            pass


def _run_loops(manifest: Manifest, part: str) -> None:
    if part == "judge":
        # This process runs the loops that both parts need first, and the other process runs them last. So
        # they are seldom compiled twice.
        codes = np.zeros((1, 3), np.uint8)
        mean_delta_e_2000_of_codes(codes, codes)
        for lut in (Lut3D.identity(5), Lut1D.identity(5)):
            judge_lut(lut)
        files = read_library(library_folder(manifest.damage_luts))
        require_reachable(manifest.seed, manifest.damage, luts_by_sha256(files))
        return
    photos = list_photos(manifest.images.source)
    ref = photos.photos[0]
    target = prepare_target(read_bytes(photos.root, ref), ref.path, manifest, 0)
    for i in range(_PAIRS):
        make_pair(target, manifest, Libraries({}, ()), split="train", i=i)
