"""Models that balance photos, read from folders or from the hub: one table of architectures.

Owns what a model's config.json means. A model of latents is read together with its VAE.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias, cast, get_args

from lutkit.balancing.adaptive_lut import AdaptiveLut
from lutkit.balancing.color_map import AdaptiveBalancer, Balancer
from lutkit.balancing.fitted_map import require_map_kind
from lutkit.balancing.image_balancers import DirectBalancer, LatentBalancer
from lutkit.balancing.latent_unet import LatentUnet
from lutkit.balancing.pixel_unet import PixelUnet
from lutkit.dataset.latent_index import InputRange
from lutkit.documents import Fields
from lutkit.errors import DatasetError, DocumentError, LutkitError, SourceError
from lutkit.latents.vae import Vae, load_vae
from lutkit.latents.vae_files import find_hub_vae, find_vae
from lutkit.training.model_folder import StoredModel, no_model, other_model, read_model

Network: TypeAlias = AdaptiveLut | LatentUnet | PixelUnet

ADAPTIVE_LUT, LATENT_BALANCER, DIRECT = "adaptive-lut", "latent-balancer", "direct"


def _adaptive_lut(config: Fields) -> AdaptiveLut:
    return AdaptiveLut(config.whole("cube_size"), config.number("threshold"), config.text("pooling"))


def _latent_unet(config: Fields) -> LatentUnet:
    return LatentUnet(config.whole("channels"), _widths(config))


def _pixel_unet(config: Fields) -> PixelUnet:
    return PixelUnet(_widths(config), config.number("dropout"))


# The networks' own arguments stand at the top of config.json, as `from_pretrained` reads them.
_NETWORKS: Mapping[str, Callable[[Fields], Network]] = {
    ADAPTIVE_LUT: _adaptive_lut,
    LATENT_BALANCER: _latent_unet,
    DIRECT: _pixel_unet,
}


def load_model(name: Path | str) -> Network:
    """Read a network from a folder, or from the Hugging Face hub.

    Args:
        name: a folder that `lutkit train` wrote, or `owner/name`.
    Returns:
        The network, ready to predict, on the CPU.
    Raises:
        SourceError: if there is no such folder, it holds no model, or its model is of another kind or broken.
        VaeError: if the hub cannot be reached, or has no such model.
    """
    return _network(read_model(name))


def read_balancer(name: Path | str, vae: Path | str, fit: str) -> Balancer:
    """Read a model that balances photos, with its VAE if it needs one; see `lutkit.load_balancer`."""
    kind = require_map_kind(fit)
    stored = read_model(name)
    network = _network(stored)
    if str(vae) and not isinstance(network, LatentUnet):
        raise LutkitError("--vae with a model that needs no VAE", where=str(name), remedy="leave out --vae")
    if isinstance(network, AdaptiveLut):
        if kind != "lut":
            what = f"--fit {fit} with an adaptive LUT, which predicts its map itself"
            raise LutkitError(what, where=str(name), remedy="leave out --fit")
        return AdaptiveBalancer(network)
    try:
        side, threshold = stored.config.whole("side"), stored.config.number("threshold")
        if isinstance(network, PixelUnet):
            return DirectBalancer(network, side, kind, threshold)
        about = stored.config.part("vae")
        found = _vae_of(about, str(vae), str(name))
        return LatentBalancer(network, found, side, kind, threshold)
    except DocumentError as error:
        raise no_model(stored.config_file, error.what) from None


def architecture_of(config: Fields) -> str:
    """Return the architecture that a model's config.json names.

    Raises:
        DocumentError: if it names none.
    """
    # The mixin's `push_to_hub` writes the network's own arguments, and the adaptive LUT needs no more.
    is_bare = "architecture" not in config.values and "cube_size" in config.values
    return ADAPTIVE_LUT if is_bare else config.text("architecture")


def _network(stored: StoredModel) -> Network:
    try:
        architecture = architecture_of(stored.config)
        if architecture not in _NETWORKS:
            raise other_model(stored.config_file, architecture, _NETWORKS)
        network = _NETWORKS[architecture](stored.config)
    except DocumentError as error:
        raise no_model(stored.config_file, error.what) from None
    except SourceError:
        raise
    except LutkitError as error:
        raise no_model(stored.config_file, error.what) from None
    return stored.into(network)


def _widths(config: Fields) -> tuple[int, ...]:
    widths = config.listed("widths")
    if not all(type(width) is int for width in widths):
        raise DocumentError("widths is not a list of whole numbers")
    return tuple(widths)


def _vae_of(about: Fields, name: str, model: str) -> Vae:
    """Load the VAE that a model's latents were made with, and no other.

    Raises:
        VaeError: if the VAE is missing or cannot be loaded.
        DatasetError: if it is another VAE, or its location is not recorded.
        DocumentError: if the config does not name a VAE.
    """
    known, revision, sha256 = about.text("name"), about.text("revision"), about.text("sha256")
    if not name and not revision:
        what = f"it works on the latents of the VAE {known!r}, whose location is not recorded"
        raise DatasetError(what, where=model, remedy="name that VAE with --vae")
    files = find_vae(name) if name else find_hub_vae(known, revision)
    if files.sha256 != sha256:
        what = (
            f"the VAE {files.name!r} has weights of sha256 {files.sha256[:12]}, but {model} works on latents "
            f"of {known!r}, {sha256[:12]}"
        )
        raise DatasetError(what, remedy=f"name {known!r} with --vae")
    input_range = about.text("input_range")
    if input_range not in get_args(InputRange):
        raise DocumentError(
            f"vae.input_range is {input_range!r}, not one of {', '.join(get_args(InputRange))}"
        )
    return load_vae(files).in_range(cast("InputRange", input_range))
