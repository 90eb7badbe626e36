"""What the card of a folder of latents says: which VAE made them and how, and what each field holds."""

from lutkit.dataset.card import Card
from lutkit.dataset.latent_index import LatentIndex


def latent_card(index: LatentIndex) -> Card:
    """The card of a folder of latents.

    Args:
        index: what `dataset.json` says.
    """
    vae, encoding = index.vae, index.encoding
    channels, rows, columns = encoding.latent_shape
    at = f" at revision {vae.revision}" if vae.revision else ""
    about = f"""\
Posteriors of the VAE `{vae.name}`{at}, whose weights have the sha256 `{vae.sha256}`, encoded by lutkit in
{encoding.dtype} from sRGB as {encoding.input_range}, and stored as {encoding.store_dtype}. Samples keep the
keys of the pictures they were made from; those that failed are absent.

An array is the posterior's mean over its first {channels // 2} channels and its log-variance over the rest,
unscaled: a latent is (sample - {vae.shift_factor:g}) * {vae.scaling_factor:g} where a model wants it so.
"""
    what = f"{encoding.store_dtype}, ({channels}, {rows}, {columns}): mean and log-variance of"
    fields = {f"{name}.npy": f"{what} the {name}" for name in index.fields}
    return Card("VAE posteriors", about, {**fields, "json": "as the source has it, where it has one"})
