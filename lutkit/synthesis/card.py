"""The text of the dataset card of pairs: how the dataset was made, and the meaning of each field."""

from lutkit.dataset.card import Card
from lutkit.photos.encoding import CODEC_SUFFIX
from lutkit.synthesis.manifest import Manifest
from lutkit.synthesis.pair import FIELD_MEANINGS, PAIR_KINDS

_JPEG = """
Labels are judged before encoding. JPEG loses a little on top, so that some `recoverable` pairs come back at
less than 35 dB from what is stored; a dataset of PNG or WebP has none of this.
"""


def pair_card(manifest: Manifest, photos: int) -> Card:
    """Return the card of a dataset of pairs.

    Args:
        manifest: the manifest of the dataset.
        photos: the number of listed photographs.
    """
    total = sum(share for _, share in manifest.kinds)
    kinds = [
        f"- *{kind}* ({share / total:.0%}): {PAIR_KINDS[kind]}" for kind, share in manifest.kinds if share > 0
    ]
    low, high = manifest.damage.severity
    damages = any(share > 0 and kind != "enhance" for kind, share in manifest.kinds)
    square = f"{manifest.size_px} x {manifest.size_px} px"
    damage = manifest.damage
    past_undoing = (
        "its label as it comes" if damage.labels == "any" else f"{damage.lossy:.0%} of it wanted past undoing"
    )
    about = f"""\
Pairs of photographs, {square}, drawn from {photos:,} photographs by lutkit for training networks that fix
colour:

{chr(10).join(kinds)}

Damage is drawn at random to a severity of {low:g} to {high:g} (delta E 2000, mean over a palette of natural
colours; what is recorded may pass these ends by at most 0.05), {past_undoing}
and {manifest.damage.mixed_light:.0%} under mixed light. Every sample records its recipe, from
which `lutkit` replays the damage.
"""
    if damages and manifest.codec == "jpeg":
        about += _JPEG
    return Card("Pairs of damaged and sound photographs", about, _fields(manifest))


def _fields(manifest: Manifest) -> dict[str, str]:
    suffix = CODEC_SUFFIX[manifest.codec]
    fields = {
        f"input.{suffix}": "the picture to be fixed, sRGB",
        f"target.{suffix}": "what it should look like, sRGB",
        **{f"json: {name}": meaning for name, meaning in FIELD_MEANINGS.items()},
    }
    if dict(manifest.kinds).get("enhance"):
        for name in ("label", "severity"):
            fields[f"json: {name}"] += "; of an *enhance* pair, said of the look"
    if manifest.store == "recipe":
        del fields[f"input.{suffix}"]
        fields["json: recipe"] += "; the input is not stored: `lutkit.pairs(...)` replays it from this"
    return fields
