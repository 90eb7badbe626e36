"""One sample: from a photo's bytes to an (input, target) pair with its metadata.

Everything here is a pure function of the bytes, the manifest, the LUT libraries and the sample's number.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lutkit.color.difference import mean_delta_e_2000
from lutkit.color.lab import codes_to_lab
from lutkit.color.palette import PALETTE_SRGB, palette_lab
from lutkit.color.picture_difference import mean_delta_e_2000_of_codes
from lutkit.color.srgb import FloatArray
from lutkit.distort.bake import BakedLayer, apply_layers, bake
from lutkit.distort.draws import Rng, Stream, generator, rounded, uniform
from lutkit.distort.labels import damage_comes_back, judged_pixels, label_by_clipping
from lutkit.distort.recipe import Recipe
from lutkit.distort.sampling import Draw, draw_wanted, draws
from lutkit.errors import ImageError, ManifestError
from lutkit.lut.algebra import blend
from lutkit.lut.apply import map_pixels
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut
from lutkit.lut.quality import Label, clipped_share, comes_back, judge_lut
from lutkit.lutfiles.library import LutFile
from lutkit.photos.decoding import Photo, Pixels, decoded_box, join_notes, read_photo
from lutkit.photos.resize import center_box, is_enlarged, resize_crop
from lutkit.synthesis.manifest import ALL_LABELS, Images, Looks, Manifest
from lutkit.synthesis.pair import AppliedLook, Pair, SampleMetadata, SourcePhoto
from lutkit.synthesis.plan import sample_key, sample_number

CropBox: TypeAlias = tuple[int, int, int, int]  # x, y, width, height

# How many recipes of the wanted severity are tried to get the wanted label; then the last recipe is used.
LABEL_ATTEMPTS = 16

# How many looks and strengths are tried to get the wanted severity. If one in a hundred has it, the chance
# that all of these tries fail is 2e-9.
LOOK_ATTEMPTS = 2000

# At how many strengths each look is judged before a run starts.
_LOOK_STRENGTHS = 12

# A photo is grey if at least 99% of its pixels have less than this chroma (CIELAB). So little colour is
# invisible, and grey images have about that much after JPEG compression.
GREY_CHROMA = 3.0
GREY_SHARE = 0.99

# Cast, grey and clipping are measured on at most this many pixels, evenly spread over the photo.
_MEASURED_PX = 65_536

# Random crops keep at least this share of the short side.
MIN_CROP_SHARE = 0.6


@dataclass(frozen=True)
class Libraries:
    """The LUT files that a dataset draws from: `damage` by sha256, and `looks` in order of path."""

    damage: Mapping[str, Lut]
    looks: tuple[LutFile, ...]


@dataclass(frozen=True)
class Target:
    """A photo, cropped and resized: `pixels` (size, size, 3), and the metadata of its source.

    `colors` (n, 3), 0..1, are those of its pixels on which labels are judged.
    """

    pixels: Pixels
    source: SourcePhoto
    crop: CropBox
    colors: FloatArray


def prepare_target(
    data: bytes, path: str, manifest: Manifest, number: int, reserve: Callable[[int], None] | None = None
) -> Target:
    """Decode a photo and cut the sample's square out of it.

    Args:
        data: the file's bytes.
        path: the path that the sample records as `source.path`.
        manifest: the size, the crop, and which photos are left out.
        number: the sample's number, which seeds a random crop.
        reserve: called before decoding, with an estimate of the bytes that decoding takes.
    Raises:
        ImageError: if the photo cannot be used, or the manifest leaves it out.
    """
    # A random crop is only a part of the photo, and this part needs enough pixels.
    share = 1.0 if manifest.crop == "center" else MIN_CROP_SHARE
    photo = read_photo(
        data,
        at_least_px=math.ceil(manifest.size_px / share),
        smallest_px=-(-manifest.size_px // 2),
        reserve=reserve,
    )
    _require_fit(photo, manifest.images)
    if manifest.crop == "center":
        box = center_box(photo.width, photo.height)
    else:
        box = _random_box(generator(manifest.seed, Stream.CROP, number), photo.width, photo.height)
    pixels = resize_crop(photo.pixels, decoded_box(photo, box), manifest.size_px)
    notes = join_notes(photo.notes, "enlarged" if is_enlarged(box, manifest.size_px) else "")
    source = SourcePhoto(path, hashlib.sha256(data).hexdigest(), photo.width, photo.height, notes)
    return Target(pixels, source, box, judged_pixels(pixels) / 255.0)


def make_pair(
    target: Target, manifest: Manifest, libraries: Libraries, *, split: str, i: int
) -> tuple[Pair, Recipe]:
    """Draw the kind of pair, damage and look for a photo; apply and measure them.

    Args:
        target: the prepared photo.
        manifest: seed, kinds of pair, damage and looks.
        libraries: the LUT files to draw from.
        split: the sample's split.
        i: the number of the sample in the split; the same number gives the same draws.
    Returns:
        The pair, and the recipe of its damage; the recipe of an *enhance* pair is empty.
    """
    number = sample_number(split, i)
    kind = _draw_kind(manifest, number)
    damaged = graded = target.pixels
    recipe, look = Recipe(), AppliedLook()
    severity: float = 0.0
    label: Label = "recoverable"
    if kind != "distort":
        look, severity, label, graded = _draw_look(target, manifest, libraries, number)
    if kind != "enhance":
        drawn = _draw_damage(target, manifest, libraries, number)
        recipe, severity, label, damaged = drawn.recipe, drawn.severity, drawn.label, drawn.damaged
    before = target.pixels if kind != "distort+enhance" else graded
    after = damaged if kind != "enhance" else graded
    metadata = SampleMetadata(
        key=sample_key(split, i),
        split=split,
        kind=kind,
        label=label,
        severity=severity,
        delta_e_2000=rounded(mean_delta_e_2000_of_codes(before, after)),
        clipped=rounded(clipped_share(before, after)),
        source=target.source,
        crop=target.crop,
        recipe=recipe.to_json() if recipe.families else "",
        look=look,
    )
    return Pair(damaged, graded, metadata), recipe


def _draw_kind(manifest: Manifest, number: int) -> str:
    kinds = [(kind, share) for kind, share in manifest.kinds if share > 0]
    if len(kinds) == 1:
        return kinds[0][0]
    rng = generator(manifest.seed, Stream.PAIR_KIND, number)
    at = rng.random() * sum(share for _, share in kinds)
    for kind, share in kinds:
        at -= share
        if at < 0:
            return kind
    return kinds[-1][0]


@dataclass(frozen=True)
class _Damaged:
    """A recipe with its severity, the damaged image that it gives, and the label of that damage."""

    recipe: Recipe
    severity: float
    label: Label
    damaged: Pixels


def _draw_damage(target: Target, manifest: Manifest, libraries: Libraries, number: int) -> _Damaged:
    wanted = draw_wanted(manifest.seed, number, manifest.damage)
    draw: Draw | None = None
    layers: tuple[BakedLayer, ...] = ()
    label: Label = "lossy"
    damaged: Pixels | None = None
    for tried, draw in enumerate(draws(manifest.seed, number, wanted, manifest.damage, libraries.damage), 1):
        layers = bake(draw.recipe, libraries.damage)
        label, damaged = "lossy", None
        # Damage that cannot be undone is lossy, whatever it clips. So the pixels are not needed to know it.
        if damage_comes_back(target.colors, draw.recipe, layers):
            damaged = apply_layers(target.pixels, layers, threads=1)
            label = label_by_clipping(target.pixels, damaged)
        if manifest.damage.labels == "any" or label == wanted.label or tried == LABEL_ATTEMPTS:
            break
    assert draw is not None  # draws() raises an error if it cannot draw anything
    if damaged is None:
        damaged = apply_layers(target.pixels, layers, threads=1)
    return _Damaged(draw.recipe, draw.severity, label, damaged)


def _draw_look(
    target: Target, manifest: Manifest, libraries: Libraries, number: int
) -> tuple[AppliedLook, float, Label, Pixels]:
    """Draw a look of the wanted severity and label; return them and the graded image."""
    wanted = manifest.looks
    found: tuple[AppliedLook, float, Label, Pixels] | None = None
    labelled = 0
    for attempt in range(LOOK_ATTEMPTS):
        rng = generator(manifest.seed, Stream.LOOK, number, attempt)
        file = libraries.looks[int(rng.integers(len(libraries.looks)))]
        strength = uniform(rng, wanted.strength)
        blended = blend(file.lut, strength)
        severity = rounded(_look_severity(blended))
        if not wanted.severity[0] <= severity <= wanted.severity[1]:
            continue
        graded = map_pixels(target.pixels, file.lut, strength=strength, threads=1)
        comes = comes_back(target.colors, [[(blended, None)]])
        label: Label = label_by_clipping(target.pixels, graded) if comes else "lossy"
        found = AppliedLook(file.path, file.sha256, strength), severity, label, graded
        labelled += 1
        if label in wanted.labels or labelled == LABEL_ATTEMPTS:
            break
    if found is None:
        low, high = wanted.severity
        what = f"none of {LOOK_ATTEMPTS} draws of a look has a severity of {low:g} to {high:g}"
        raise ManifestError(what, where="[looks]", remedy="widen severity or strength")
    return found


def _look_severity(lut: Lut) -> float:
    values, _ = value_and_jacobian(lut, PALETTE_SRGB)
    return mean_delta_e_2000(palette_lab(), values, linear=False)


def usable_looks(looks: tuple[LutFile, ...], wanted: Looks) -> tuple[LutFile, ...]:
    """Return the looks that have a wanted severity and label at some strength, judged on the palette.

    Args:
        looks: the library.
        wanted: strengths, severity and labels. The range of strengths is divided into a dozen equal parts,
            and the middle of each part is tried.
    Returns:
        The looks that fit, in the order of the library; all looks if `wanted` leaves out none.
    Raises:
        ManifestError: if no look fits; the message gives the range of their severities.
    """
    if wanted.takes_all:
        return looks
    (least, most), (low, high) = wanted.strength, wanted.severity
    strengths = [least + (most - least) * (i + 0.5) / _LOOK_STRENGTHS for i in range(_LOOK_STRENGTHS)]
    kept: list[LutFile] = []
    reached: list[float] = []
    for file in looks:
        blended = [blend(file.lut, strength) for strength in strengths]
        severities = [_look_severity(lut) for lut in blended]
        reached += severities
        fits = (
            low <= s <= high and judge_lut(lut).label in wanted.labels
            for s, lut in zip(severities, blended, strict=True)
        )
        if any(fits):
            kept.append(file)
    if not kept:
        labels = "" if wanted.labels == ALL_LABELS else f"{wanted.labels[0]} and "
        raise ManifestError(
            f"none of {len(looks)} looks is {labels}of a severity of {low:g} to {high:g}; "
            f"they come to {min(reached):.1f} to {max(reached):.1f}",
            where="[looks]",
            remedy="widen severity, labels or strength, or name other looks",
        )
    return tuple(kept)


def _require_fit(photo: Photo, wanted: Images) -> None:
    """Raise ImageError if the photo must be left out; photos of one kind all get the same reason."""
    if min(photo.width, photo.height) < wanted.min_side_px:
        raise ImageError("shorter side under min_side_px")
    measures_clipping, measures_color = wanted.max_clipped < 1, wanted.max_cast > 0 or wanted.grey == "skip"
    if not (measures_clipping or measures_color):
        return
    height, width = photo.pixels.shape[:2]
    step = max(math.ceil(math.sqrt(height * width / _MEASURED_PX)), 1)
    codes = np.ascontiguousarray(photo.pixels[step // 2 :: step, step // 2 :: step]).reshape(-1, 3)
    if measures_clipping:
        shares = (float((codes == end).any(axis=1).mean()) for end in (0, 255))
        if max(shares) > wanted.max_clipped:
            raise ImageError("more clipped than max_clipped")
    if measures_color:
        lab = codes_to_lab(codes)
        if wanted.grey == "skip":
            colorless = lab[:, 1] ** 2 + lab[:, 2] ** 2 < GREY_CHROMA**2
            if float(colorless.mean()) >= GREY_SHARE:
                raise ImageError("grey")
        if wanted.max_cast > 0 and math.hypot(lab[:, 1].mean(), lab[:, 2].mean()) > wanted.max_cast:
            raise ImageError("cast beyond max_cast")


def _random_box(rng: Rng, width: int, height: int) -> CropBox:
    short = min(width, height)
    side = max(round(short * (MIN_CROP_SHARE + (1 - MIN_CROP_SHARE) * rng.random())), 1)
    return int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1)), side, side
