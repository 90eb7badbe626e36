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


def scene(seed, height=160, width=160):
    """Shapes of random colours and shadings with a fine texture: not a photo, but with as much detail."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    found = np.ones((height, width, 1)) * rng.uniform(40, 210, 3)
    found += rng.uniform(-0.3, 0.3, 3) * x[..., None] + rng.uniform(-0.3, 0.3, 3) * y[..., None]
    for _ in range(40):
        middle, radii = rng.uniform(0, (height, width)), rng.uniform(6, 40, 2)
        place = (np.array([y, x]) - middle[:, None, None]) / radii[:, None, None]
        inside = (np.abs(place).max(axis=0) if rng.random() < 0.5 else np.hypot(*place)) < 1
        found[inside] = rng.uniform(20, 230, 3) + 12 * place[0][inside][:, None]
    texture = scipy.ndimage.gaussian_filter(rng.normal(0, 14, (height, width)), 0.8)
    return codes(found + texture[..., None])


def blurred(image, sigma):
    return codes(scipy.ndimage.gaussian_filter(image.astype(np.float64), (sigma, sigma, 0)))


def grey(image):
    return np.repeat(codes(image @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)


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
    """Simulate light of another colour: linear light times a gain for each channel."""
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


def striped(image, channel, period, size, down=False):
    """Every other stripe lighter, its neighbours darker: columns, or rows."""
    length = image.shape[0 if down else 1]
    wave = size * np.sign(np.sin(2 * np.pi * (np.arange(length) + 0.5) / period))
    found = image.astype(np.float64)
    found[..., channel] += wave[:, None] if down else wave
    return codes(found)


def speckled(image, share, seed=1):
    found = image.copy()
    found[np.random.default_rng(seed).random(image.shape[:2]) < share] = (0, 0, 0)
    return found


def gains(image, red, green, blue):
    return codes(image * np.array([red, green, blue]))


def edited_saturation(image, factor):
    """Change saturation towards luma, like image editors."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(factor))


def turned(image, degrees):
    """Turn all hues, at equal lightness and chroma."""
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
    """Scale down, and back up to the original size."""
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
