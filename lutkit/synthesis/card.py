"""The text of the dataset card of pairs: how the dataset was made, and the meaning of each field."""

from lutkit.dataset.card import Card
from lutkit.photos.encoding import CODEC_SUFFIX
from lutkit.synthesis.manifest import Manifest
from lutkit.synthesis.pair import FIELD_MEANINGS, PAIR_KINDS

_JPEG = """
Labels are judged before the images are encoded. JPEG loses a little more, so some `recoverable` pairs come
back at less than 35 dB from the stored files. PNG and WebP are lossless and do not have this loss.
"""


def pair_card(manifest: Manifest, photos: int) -> Card:
    """Return the card of a dataset of pairs.

    Args:
        manifest: the manifest of the dataset.
        photos: the number of listed photos.
    """
    total = sum(share for _, share in manifest.kinds)
    kinds = [
        f"- *{kind}* ({share / total:.0%}): {PAIR_KINDS[kind]}" for kind, share in manifest.kinds if share > 0
    ]
    low, high = manifest.damage.severity
    damages = any(share > 0 and kind != "enhance" for kind, share in manifest.kinds)
    square = f"{manifest.size_px} x {manifest.size_px} px"
    damage = manifest.damage
    lossy = (
        "labels are whatever the draw gives"
        if damage.labels == "any"
        else f"{damage.lossy:.0%} were requested `lossy`"
    )
    about = f"""\
Pairs of images for training networks that fix colour: {square}, made by lutkit from {photos:,} photographs.

{chr(10).join(kinds)}

Damage is random. Its severity is {low:g} to {high:g}: the mean delta E 2000 over a palette of natural
colours; recorded values may be at most 0.05 outside this range. Of the damaged pairs,
{manifest.damage.mixed_light:.0%} have mixed light, and {lossy}.
Every sample records its recipe, from which lutkit computes the damage again.
"""
    if damages and manifest.codec == "jpeg":
        about += _JPEG
    return Card("Pairs of damaged and correct photographs", about, _fields(manifest))


def _fields(manifest: Manifest) -> dict[str, str]:
    suffix = CODEC_SUFFIX[manifest.codec]
    fields = {
        f"input.{suffix}": "the damaged image, sRGB",
        f"target.{suffix}": "the correct image, sRGB",
        **{f"json: {name}": meaning for name, meaning in FIELD_MEANINGS.items()},
    }
    if dict(manifest.kinds).get("enhance"):
        for name in ("label", "severity"):
            fields[f"json: {name}"] += "; for an *enhance* pair, that of the look"
    if manifest.store == "recipe":
        del fields[f"input.{suffix}"]
        fields["json: recipe"] += "; the input is not stored: `lutkit.pairs(...)` computes it from the recipe"
    return fields
