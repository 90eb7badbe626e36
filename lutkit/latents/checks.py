"""Check whether latents decode to the encoded images, and whether another convention decodes better.

Owns PSNR and the comparison of input ranges and channel orders.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import codes_to_lab
from lutkit.dataset.latent_index import InputRange
from lutkit.latents.batches import stacked
from lutkit.latents.vae import Vae, decodable
from lutkit.photos.decoding import Pixels

Conventions: TypeAlias = dict[str, float | None]

# A warning needs another convention that is better by this much in every image and that decodes at least
# this well itself.
_BETTER_DB = 1.0
_DECODES_DB = 20.0
# In a wrong range, dark or flat images turn into other flat images, which may decode better. Colours near
# grey look alike in both channel orders. Each is therefore judged only on images that show a difference:
# by the standard deviation of codes, and by the root mean square of red minus blue, both on a 0..1 scale.
_LEAST_CONTRAST, _LEAST_COLOR = 0.1, 0.04
_OTHER_RANGE: dict[InputRange, InputRange] = {"-1,1": "0,1", "0,1": "-1,1"}


@dataclass(frozen=True)
class Fidelity:
    """How close a decoding is to its image: PSNR in dB, and the mean delta E 2000 of its pixels."""

    psnr: float
    delta_e_2000: float


def fidelity(image: Pixels, decoded: npt.NDArray[np.float32]) -> Fidelity | None:
    """Compare an image with its decoding; return None if the decoding is not finite everywhere.

    Args:
        image: (H, W, 3) uint8 sRGB.
        decoded: (3, H, W) sRGB, 0..1; rounded to codes for delta E.
    """
    if not np.isfinite(decoded).all():
        return None
    decoded = decoded.transpose(1, 2, 0)
    codes = np.rint(decoded * 255).astype(np.uint8)
    difference = delta_e_2000(codes_to_lab(image.reshape(-1, 3)), codes_to_lab(codes.reshape(-1, 3)))
    return Fidelity(_psnr(image, decoded), float(difference.mean()))


@dataclass(frozen=True)
class ConventionTrial:
    """How well some images decode in each convention.

    Args:
        psnrs: the PSNR of each image in dB, by convention (such as `RGB -1,1`), the current convention first.
            NaN if an image decodes to values that are not finite, even in float32.
        colored: whether the images have enough colour to tell RGB from BGR.
    """

    psnrs: Mapping[str, tuple[float, ...]]
    colored: bool

    def means(self) -> Conventions:
        """Return the mean PSNR of each convention, or None if an image has no PSNR."""
        means = {name: float(np.mean(values)) for name, values in self.psnrs.items()}
        return {name: mean if np.isfinite(mean) else None for name, mean in means.items()}


def telling_images(images: Sequence[Pixels], most: int) -> list[Pixels]:
    """Return up to `most` images with enough contrast to tell the input ranges apart, coloured images first.

    Args:
        images: (H, W, 3) uint8.
        most: 1 or above.
    """
    telling = [image for image in images if image.std() >= 255 * _LEAST_CONTRAST]
    return sorted(telling, key=lambda image: not _is_colored(image))[:most]


def _is_colored(image: Pixels) -> bool:
    apart = image[..., 0].astype(np.float64) - image[..., 2]
    return float(np.sqrt((apart * apart).mean())) >= 255 * _LEAST_COLOR


def try_conventions(vae: Vae, images: Sequence[Pixels], in_float32: Callable[[], Vae]) -> ConventionTrial:
    """Measure the PSNR of decodings in both input ranges, as RGB and as BGR.

    Args:
        vae: the VAE in its current range.
        images: (H, W, 3) uint8, at least one, as `telling_images` returns them.
        in_float32: returns the VAE in float32, for values that overflow.
    """
    found: dict[str, tuple[float, ...]] = {}
    for input_range in (vae.input_range, _OTHER_RANGE[vae.input_range]):
        for order, step in (("RGB", 1), ("BGR", -1)):
            psnrs: list[float] = []
            for image in (image[..., ::step] for image in images):
                decoded = _there_and_back(vae.in_range(input_range), image)
                if not np.isfinite(decoded).all():
                    decoded = _there_and_back(in_float32().in_range(input_range), image)
                psnrs.append(_psnr(image, decoded) if np.isfinite(decoded).all() else np.nan)
            found[f"{order} {input_range}"] = tuple(psnrs)
    return ConventionTrial(found, all(_is_colored(image) for image in images))


def convention_warning(trial: ConventionTrial) -> str:
    """Return a warning if every image decodes better in another convention or none decodes well, or ''."""
    means = trial.means()
    used, psnr = next(iter(means.items()))
    judged = {name: value for name, value in means.items() if trial.colored or name[:3] == used[:3]}
    numbers = {name: value for name, value in judged.items() if value is not None}
    best = max(numbers, key=lambda name: numbers[name], default="")
    shown = "values that are not finite" if psnr is None else f"{psnr:.1f} dB"
    if best and numbers[best] >= _DECODES_DB:
        # A decoding that is not finite counts as the worst.
        apart = np.subtract(trial.psnrs[best], np.nan_to_num(trial.psnrs[used], nan=0.0))
        if apart.min() >= _BETTER_DB:
            count = len(apart)
            sure = "in one image" if count == 1 else f"in each of {count} images"
            return (
                f"WARNING: these images decode better as {best} ({numbers[best]:.1f} dB) than as {used}"
                f" ({shown}), by {apart.min():.1f} dB or more {sure}: {_advice(used, best)}"
            )
    if psnr is None or psnr < _DECODES_DB:
        return (
            f"WARNING: these images decode to {shown}, but a good VAE reaches 25 dB or more: check that the"
            " weights and the config are those of a trained VAE"
        )
    return ""


def _advice(used: str, best: str) -> str:
    order, _, input_range = best.partition(" ")
    parts: list[str] = []
    if not used.endswith(input_range):
        parts.append(f"try --input-range={input_range} into another folder")
    if order == "BGR":
        parts.append("check whether red and blue were swapped when the images were written")
    return "; ".join(parts)


def _there_and_back(vae: Vae, image: Pixels) -> npt.NDArray[np.float32]:
    moments = vae.encode(stacked([image]))
    decoded = vae.decode(decodable(moments, vae.identity))[0].cpu().numpy()
    return cast("npt.NDArray[np.float32]", decoded).transpose(1, 2, 0)


def _psnr(image: Pixels, decoded: npt.NDArray[np.float32]) -> float:
    error = decoded.astype(np.float64) - image / 255
    return float(-10 * np.log10(max(float(np.square(error).mean()), 1e-10)))
