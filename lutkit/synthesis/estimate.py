"""An estimate of a run: gigabytes, minutes, and the families of damage by severity."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lutkit.dataset.records import Reject
from lutkit.distort.draws import Range
from lutkit.distort.sampling import draw_wanted, draws
from lutkit.errors import ImageError
from lutkit.photos.encoding import encode_image
from lutkit.photos.photo_list import none_usable, read_bytes
from lutkit.synthesis.build import SynthPlan
from lutkit.synthesis.plan import photo_candidates, sample_number
from lutkit.synthesis.sample import make_pair, prepare_target
from lutkit.synthesis.shard import counted

_PROBES = 48
_WARM_UP = 8
_DRAWS = 600
BANDS = 4

# For each member, a tar adds a header of 512 bytes, and padding that is 256 bytes on average.
_TAR_BYTES = 3 * 768


@dataclass(frozen=True)
class SeverityBand:
    """A part of the severity range: for each family, the share of draws that contain it, largest first."""

    severity: Range
    families: Mapping[str, float]


@dataclass(frozen=True)
class Estimate:
    """The result of a few trial samples.

    Args:
        sample_bytes: the mean size of a sample in its shard.
        sample_s: the mean time of a sample on one worker, in seconds.
        enlarged: the share of samples with a photo smaller than the square.
        totals: the counts of the samples, with the same names as in a shard's record.
        samples: the number of samples.
        bands: the four quarters of the severity range; empty if nothing is damaged.
    """

    sample_bytes: float
    sample_s: float
    enlarged: float
    totals: Mapping[str, int]
    samples: int
    bands: tuple[SeverityBand, ...]


def estimate(plan: SynthPlan) -> Estimate:
    """Make a few dozen samples without keeping them, and count the families in several hundred draws.

    Raises:
        SourceError: if no photo of the first split can be used.
    """
    split = next(iter(plan.counts))
    failed: dict[int, Reject] = {}
    sizes: list[int] = []
    totals: Counter[str] = Counter()
    spent = 0.0
    for i in range(min(_PROBES + _WARM_UP, max(plan.counts[split], 1) + _WARM_UP)):
        start = time.perf_counter()
        size, counts = _trial(plan, split, i, failed)
        if i >= _WARM_UP:
            sizes.append(size)
            totals.update(counts)
            spent += time.perf_counter() - start
    count = len(sizes)
    enlarged = totals["note enlarged"] / count
    return Estimate(sum(sizes) / count + _TAR_BYTES, spent / count, enlarged, totals, count, _bands(plan))


def _trial(plan: SynthPlan, split: str, i: int, failed: dict[int, Reject]) -> tuple[int, list[str]]:
    manifest, number = plan.manifest, sample_number(split, i)
    target = None
    for photo in photo_candidates(manifest.seed, split, i, plan.members[split]):
        ref = plan.photos.photos[photo]
        if photo in failed:
            continue
        try:
            target = prepare_target(read_bytes(plan.photos.root, ref), ref.path, manifest, number)
            break
        except ImageError as error:
            failed[photo] = Reject(ref.path, error.what)
    if target is None:
        raise none_usable(plan.photos.root, failed.values())
    pair, recipe = make_pair(target, manifest, plan.libraries, split=split, i=i)
    pictures = (pair.input, pair.target) if manifest.store == "pixels" else (pair.target,)
    size = sum(len(encode_image(pixels, manifest.codec, manifest.quality)) for pixels in pictures)
    return size + len(pair.metadata.to_json()), list(counted(pair.metadata, recipe))


def _bands(plan: SynthPlan) -> tuple[SeverityBand, ...]:
    manifest = plan.manifest
    if not any(share > 0 and kind != "enhance" for kind, share in manifest.kinds):
        return ()
    low, high = manifest.damage.severity
    width = (high - low) / BANDS
    counts = [Counter[str]() for _ in range(BANDS)]
    drawn = [0] * BANDS
    for i in range(_DRAWS):
        wanted = draw_wanted(manifest.seed, i, manifest.damage)
        band = min(int((wanted.severity - low) / width), BANDS - 1) if width else 0
        draw = next(draws(manifest.seed, i, wanted, manifest.damage, plan.libraries.damage))
        drawn[band] += 1
        counts[band].update({family.name for family in draw.recipe.families})
    return tuple(
        SeverityBand(
            (low + number * width, low + (number + 1) * width),
            {name: times / drawn[number] for name, times in count.most_common()},
        )
        for number, count in enumerate(counts)
        if count
    )
