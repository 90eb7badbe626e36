"""The generators of damage that `contest.py` and `coverage.py` compare: lutkit's presets and its peers.

A generator is a function `(images, rng) -> damaged images`. Images are (n, height, width, 3), sRGB-encoded,
uint8 or float32 (0..1), with a separate draw for each image; the result has the shape and dtype of the input.
`find_generator` knows them by name. `PATH.py:NAME` is such a function in a file of your own.
"""

import dataclasses
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

import lutkit

Images = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Values = npt.NDArray[np.float32]
Generator = Callable[[Images, np.random.Generator], Images]

PRESETS = ("default", "camera", "film", "stage", "edits")
PEERS = ("augmenter", "mappings", "jitter")

NEIGHBOURS = 25
NEIGHBOUR_SIGMA = 0.25
HISTOGRAM_BINS = 60
HISTOGRAM_EDGE = 3.2
HISTOGRAM_PIXELS = 450 * 450


@dataclass(frozen=True)
class Measured:
    """The data that the peers need: the camera mappings, and the augmenter's parameters.

    Args:
        mappings: (scenes, 10, 9, 3) float32: rgb' = phi(rgb) M, sRGB-encoded; see `map_colours`.
        encoder_weights: (10800, 55) float32, from the histogram to the features.
        encoder_bias: (10800,) float32, subtracted from the histogram first.
        features: (scenes, 55) float32 of the scenes of `mappings`, in their order.
    """

    mappings: Values
    encoder_weights: Values
    encoder_bias: Values
    features: Values

    def __post_init__(self) -> None:
        if self.mappings.shape[2:] != (9, 3) or len(self.mappings) != len(self.features):
            raise ValueError(f"mappings {self.mappings.shape} do not match features {self.features.shape}")


def read_measured(shared: Path) -> Measured:
    """Read the peers' parameters from the folder of shared data."""
    augmenter = shared / "peers" / "wb_augmenter"
    return Measured(
        np.load(shared / "reference" / "camera_mappings_even.npy"),
        np.load(augmenter / "encoder_weights.npy"),
        np.load(augmenter / "encoder_bias.npy"),
        np.load(augmenter / "features_even.npy"),
    )


def find_generator(name: str, measured: Measured, *, local: bool = True) -> Generator:
    """Return the generator of that name.

    Args:
        name: a name in `PRESETS` or `PEERS`, or `PATH.py:NAME`.
        measured: the data of the peers.
        local: False leaves out lutkit's damage in a part of the image.
    Raises:
        ValueError: if there is no such generator, or this lutkit does not have the preset.
    """
    if ".py:" in name:
        path, _, function = name.rpartition(":")
        spec = importlib.util.spec_from_file_location(Path(path).stem, path)
        if spec is None or spec.loader is None:
            raise ValueError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, function)
    if name in PRESETS:
        return preset_generator(name, local=local)
    if name == "augmenter":
        return lambda images, rng: augment(images, rng, measured)
    if name == "mappings":
        return lambda images, rng: map_at_random(images, rng, measured.mappings)
    if name == "jitter":
        return jitter
    raise ValueError(f"unknown generator {name!r}; known are {', '.join(PRESETS + PEERS)}, PATH.py:NAME")


def has_preset(name: str) -> bool:
    """Return whether this lutkit has the preset; before there were presets, `default` was the only one."""
    return name == "default" or hasattr(lutkit, "preset")


def preset_generator(name: str, *, local: bool = True) -> Generator:
    """Return lutkit's own draws, with any label; the looks that ship are its library of LUTs.

    `lutkit synth NAME` draws again until a preset's labels are met, for all presets except `camera`.
    """
    if not has_preset(name):
        raise ValueError(f"this lutkit has no preset {name!r}")
    settings = lutkit.preset(name) if hasattr(lutkit, "preset") else lutkit.DamageSettings()
    if not local:
        settings = dataclasses.replace(settings, mixed_light=0.0)
    return lutkit_generator(settings)


def lutkit_generator(settings: "lutkit.DamageSettings") -> Generator:
    """Return draws of lutkit with settings of your own."""
    needed = dict(settings.families).get("library_lut", 0) > 0
    library: Mapping[str, object] = lutkit.lut_library() if needed else MappingProxyType({})

    def generate(images: Images, rng: np.random.Generator) -> Images:
        seed = int(rng.integers(2**31))
        damaged = np.empty_like(images)
        for index, image in enumerate(images):
            recipe = lutkit.sample_recipe(seed, index, settings=settings, library=library)
            damaged[index] = lutkit.damage(image, recipe, library, threads=1)
        return damaged

    return generate


def nothing(images: Images, rng: np.random.Generator) -> Images:
    """Return images without any damage."""
    return images.copy()


def map_at_random(images: Images, rng: np.random.Generator, mappings: Values) -> Images:
    """Apply the measured camera mappings, with random scene and rendering."""
    scenes, renderings = mappings.shape[:2]
    damaged = np.empty_like(images)
    for index, image in enumerate(images):
        mapping = mappings[rng.integers(scenes), rng.integers(renderings)]
        damaged[index] = like(map_colours(as_floats(image), mapping), image)
    return damaged


def map_colours(rgb: Values, mapping: Values) -> Values:
    """Map colours (..., 3), sRGB-encoded 0..1, by a quadratic mapping (9, 3); the result is clipped.

    phi = (R, G, B, R^2, G^2, B^2, RG, RB, GB), the order of the measured mappings.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    phi = (red, green, blue, red**2, green**2, blue**2, red * green, red * blue, green * blue)
    return np.clip(np.stack(phi, -1) @ mapping, 0, 1)


def augment(
    images: Images,
    rng: np.random.Generator,
    measured: Measured,
    known: Mapping[bytes, Values] = MappingProxyType({}),
) -> Images:
    """Apply the white-balance augmenter: one of ten renderings that similar scenes have, at random.

    `known` holds the renderings of images that were analysed in full size before, by the images' bytes.

    Source: Afifi and Brown, "What else can fool deep learning? Addressing color constancy errors on deep
        neural network performance", ICCV 2019. Here each neighbour has its own scene's mappings, where the
        published Python port uses those of the scene before.
    """
    damaged = np.empty_like(images)
    known = dict(known)
    for index, image in enumerate(images):
        floats = as_floats(image)
        key = image.tobytes()
        if key not in known:
            known[key] = renderings_of(floats, measured)
        damaged[index] = like(map_colours(floats, known[key][rng.integers(len(known[key]))]), image)
    return damaged


def renderings_of(image: Values, measured: Measured) -> Values:
    """Return the mappings (10, 9, 3) that the augmenter gives an image (height, width, 3), 0..1."""
    features = (colour_histogram(image) - measured.encoder_bias) @ measured.encoder_weights
    distances = ((measured.features - features) ** 2).sum(1)
    nearest = np.argsort(distances, kind="stable")[:NEIGHBOURS]
    # The nearest distance is subtracted: weights are scaled anyway, and this keeps them from all becoming 0.
    weights = np.exp(-(distances[nearest] - distances[nearest[0]]) / (2 * NEIGHBOUR_SIGMA**2))
    shares = (weights / weights.sum()).astype(np.float32)
    return np.tensordot(shares, measured.mappings[nearest], 1)


def colour_histogram(image: Values) -> Values:
    """Return the augmenter's log-chroma histogram (10800,): planes of red, green, blue, each by rows."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    if len(pixels) > HISTOGRAM_PIXELS:
        pixels = pixels[:: -(-len(pixels) // HISTOGRAM_PIXELS)]
    pixels = pixels[(pixels > 0).all(1)]
    lengths = np.sqrt((pixels**2).sum(1))
    logs = np.log(pixels)
    half = HISTOGRAM_EDGE / HISTOGRAM_BINS
    span = (-HISTOGRAM_EDGE - half, HISTOGRAM_EDGE - half)
    planes: list[npt.NDArray[np.float64]] = []
    for channel, (first, second) in enumerate(((1, 2), (0, 2), (0, 1))):
        u, v = logs[:, channel] - logs[:, second], logs[:, channel] - logs[:, first]
        plane = np.histogram2d(u, v, HISTOGRAM_BINS, (span, span), weights=lengths)[0]
        planes.append(np.sqrt(plane / max(plane.sum(), 1e-12)))
    return np.concatenate([plane.ravel() for plane in planes]).astype(np.float32)


def jitter(images: Images, rng: np.random.Generator) -> Images:
    """Apply ColorJitter, RandomGamma and RGBShift with Albumentations' documented defaults, each at 50%.

    ColorJitter in random order: brightness, contrast and saturation times 0.8..1.2, the hue turned by up to
    half the circle; gamma 0.8..1.2; each channel shifted by up to 20 of 255.
    """
    damaged = np.empty_like(images)
    for index, image in enumerate(images):
        rgb = as_floats(image)
        if rng.random() < 0.5:
            factors = rng.uniform(0.8, 1.2, 3)
            turn = rng.uniform(-0.5, 0.5)
            for step in rng.permutation(4):
                if step == 0:
                    rgb = rgb * factors[0]
                elif step == 1:
                    mean = luma(rgb).mean()
                    rgb = mean + (rgb - mean) * factors[1]
                elif step == 2:
                    grey = luma(rgb)[..., None]
                    rgb = grey + (rgb - grey) * factors[2]
                else:
                    rgb = turn_hue(rgb, turn)
                rgb = np.clip(rgb, 0, 1)
        if rng.random() < 0.5:
            rgb = rgb ** rng.uniform(0.8, 1.2)
        if rng.random() < 0.5:
            rgb = rgb + rng.uniform(-20, 20, 3) / 255
        damaged[index] = like(np.clip(rgb, 0, 1), image)
    return damaged


def luma(rgb: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return Rec. 601 luma, the grey of Pillow and OpenCV, and therefore of jitter."""
    return 0.299 * rgb[..., 0] + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2]


def turn_hue(rgb: npt.NDArray[np.floating], turn: float) -> npt.NDArray[np.floating]:
    """Turn the hue of HSV by a share of the circle, without changing saturation and value."""
    value, least = rgb.max(-1), rgb.min(-1)
    chroma = value - least
    safe = np.where(chroma > 0, chroma, 1)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    sixth = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sixth = np.where(chroma > 0, sixth, 0) + 6 * turn
    # Each channel is one function of the hue: Foley et al., Computer Graphics, HSV to RGB without cases.
    channels = [(offset + sixth) % 6 for offset in (5, 3, 1)]
    return np.stack([value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1) for k in channels], -1)


def as_floats(image: Images) -> Values:
    """Return values 0..1 as float32, for any dtype."""
    return image.astype(np.float32) / 255 if image.dtype == np.uint8 else image.astype(np.float32)


def like(rgb: npt.NDArray[np.floating], image: Images) -> Images:
    """Return values 0..1 in the dtype of `image`; codes are rounded."""
    return np.rint(rgb * 255).astype(np.uint8) if image.dtype == np.uint8 else rgb.astype(np.float32)
