"""Natural photographs, and damage to them of a known kind and size, made without lutkit."""

import io
import warnings

import numpy as np
import scipy.ndimage
import skimage.color
import skimage.data
from PIL import Image, ImageEnhance


def photo(name):
    """A sample photo, 320 px square or less."""
    image = getattr(skimage.data, name)()[..., :3]
    return np.ascontiguousarray(image[:320, 40:360])


def codes(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def desaturated(image, factor):
    """Towards the grey of equal CIELAB lightness."""
    lab = skimage.color.rgb2lab(image)
    lab[..., 1:] *= factor
    return codes(255 * skimage.color.lab2rgb(lab))


def cast(image, a, b):
    lab = skimage.color.rgb2lab(image)
    lab[..., 1:] += (a, b)
    return codes(255 * skimage.color.lab2rgb(lab))


def under_light(image, red, green, blue):
    """As under light of another colour: linear light times a gain a channel."""
    linear = np.where(image <= 10, image / 255 / 12.92, ((image / 255 + 0.055) / 1.055) ** 2.4)
    linear = linear * (red, green, blue)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return codes(255 * encoded)


def shifted(image, channel, right, down):
    moved = image.astype(np.float64)
    moved[..., channel] = scipy.ndimage.shift(moved[..., channel], (down, right), order=3, mode="nearest")
    return codes(moved)


def noisy(image, channel, sigma, seed=0):
    found = image.astype(np.float64)
    found[..., channel] += np.random.default_rng(seed).normal(0, sigma, image.shape[:2])
    return codes(found)


def speckled(image, share, seed=1):
    found = image.copy()
    found[np.random.default_rng(seed).random(image.shape[:2]) < share] = (0, 0, 0)
    return found


def gains(image, red, green, blue):
    return codes(image * np.array([red, green, blue]))


def edited_saturation(image, factor):
    """As image editors do it: towards luma."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(factor))


def turned(image, degrees):
    """All hues turned, at equal lightness and chroma."""
    lab = skimage.color.rgb2lab(image)
    plane = (lab[..., 1] + 1j * lab[..., 2]) * np.exp(1j * np.radians(degrees))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of colours beyond sRGB
        return codes(255 * skimage.color.lab2rgb(np.dstack([lab[..., 0], plane.real, plane.imag])))


def gamma(image, power):
    return codes(255 * (image / 255) ** power)


def crushed(image, limit):
    return np.where(image < limit, 0, image).astype(np.uint8)


def resized(image, factor):
    """Smaller, and back to its size."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize(
        (round(width * factor), round(height * factor)), Image.Resampling.LANCZOS
    )
    return np.asarray(small.resize((width, height), Image.Resampling.LANCZOS))


def clipped(image, channel):
    found = image.astype(np.float64)
    found[..., channel] = np.where(found[..., channel] > 200, 255, found[..., channel])
    return codes(found)


def jpeg(image, quality, subsampling):
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(data))
