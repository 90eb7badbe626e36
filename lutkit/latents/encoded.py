"""The results of `encode_latents` and `decode_latents`. Imports no torch, so that help loads quickly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from lutkit.dataset.json_values import Json
from lutkit.dataset.records import Reject
from lutkit.results import ASIDE, CommandResult

if TYPE_CHECKING:
    from lutkit.latents.decode import Decoding
    from lutkit.latents.encode import EncodedFolder


@dataclass(frozen=True)
class EncodedBy:
    """The VAE of latents: its name, its revision on the hub (or ""), and the sha256 of its weights."""

    name: str
    revision: str
    sha256: str


@dataclass(frozen=True)
class EncodeResult(CommandResult):
    """A finished folder of latents.

    Args:
        folder: the folder.
        samples: the number of samples with latents.
        shards: the number of shards.
        built: how many of the shards this run encoded.
        bytes: the size of all shards.
        fields: the images of each sample that were encoded.
        mirrored: whether the mirrored images were encoded, too.
        vae: the VAE.
        dtype: the dtype that the VAE computed in.
        store_dtype: the dtype of the stored latents.
        input_range: the range of sRGB values that the VAE got.
        device: the device.
        latent_shape: the shape of the stored arrays, (2C, h, w).
        trials: the result of each dtype that was tried.
        psnr: the mean PSNR in dB of the images that were decoded for a check; None if there are none.
        delta_e_2000: the mean CIEDE2000 of the same images.
        decoded: how many images were decoded for a check.
        decoded_not_finite: how many of these decoded to NaN or infinity.
        pictures: how many images this run encoded.
        seconds: the duration of the run.
        encoder_share: the share of that time in which the device encoded.
        batch: how many images went at once.
        missing: the number of samples without latents.
        rejects: these samples, each with its reason.
        encoded: the complete result; not in the dictionary.
        rank: the number of this process among those that share the work; not in the dictionary.
    """

    folder: Path
    samples: int
    shards: int
    built: int
    bytes: int
    fields: tuple[str, ...]
    mirrored: bool
    vae: EncodedBy
    dtype: str
    store_dtype: str
    input_range: str
    device: str
    latent_shape: tuple[int, ...]
    trials: tuple[Mapping[str, Json], ...]
    psnr: float | None
    delta_e_2000: float | None
    decoded: int
    decoded_not_finite: int
    pictures: int
    seconds: float
    encoder_share: float
    batch: int
    missing: int
    rejects: tuple[Reject, ...]
    encoded: "EncodedFolder" = field(repr=False, metadata=ASIDE)
    rank: int = field(repr=False, metadata=ASIDE, default=0)


def encode_result(encoded: "EncodedFolder", rank: int = 0) -> EncodeResult:
    """Return the result for an encoded folder."""
    index, stats, quality = encoded.index, encoded.stats, mean_quality(encoded)
    return EncodeResult(
        folder=encoded.folder,
        samples=sum(record.file.samples for record in encoded.records),
        shards=len(encoded.records),
        built=0 if stats is None else len(stats.records),
        bytes=sum(record.file.bytes for record in encoded.records),
        fields=tuple(index.fields),
        mirrored=index.mirrored,
        vae=EncodedBy(index.vae.name, index.vae.revision, index.vae.sha256),
        dtype=index.encoding.dtype,
        store_dtype=index.encoding.store_dtype,
        input_range=index.encoding.input_range,
        device=index.encoding.device,
        latent_shape=tuple(index.encoding.latent_shape),
        trials=tuple(index.encoding.trials),
        psnr=quality[0] if quality else None,
        delta_e_2000=quality[1] if quality else None,
        decoded=summed(encoded, "decoded"),
        decoded_not_finite=summed(encoded, "decoded_not_finite"),
        pictures=0 if stats is None else stats.images,
        seconds=0.0 if stats is None else round(stats.seconds, 3),
        encoder_share=0.0 if stats is None else round(stats.busy_s / stats.seconds, 4),
        batch=0 if stats is None else stats.batch,
        missing=encoded.missing,
        rejects=encoded.rejects,
        encoded=encoded,
        rank=rank,
    )


def mean_quality(encoded: "EncodedFolder") -> tuple[float, float] | None:
    """Return the mean PSNR and delta E 2000 over the shards, or None if nothing was decoded."""
    found = [
        (psnr, difference)
        for record in encoded.records
        if isinstance(psnr := record.summary.get("psnr"), float | int)
        and isinstance(difference := record.summary.get("delta_e_2000"), float | int)
        and record.summary.get("decoded")
    ]
    if not found:
        return None
    return fmean(psnr for psnr, _ in found), fmean(difference for _, difference in found)


def summed(encoded: "EncodedFolder", name: str) -> int:
    """Return the sum of a value over the shards' records."""
    counts = (record.summary.get(name, 0) for record in encoded.records)
    return sum(count for count in counts if isinstance(count, int))


@dataclass(frozen=True)
class MeasuredDecoding:
    """How close a decoding is to the encoded image: PSNR in dB, and CIEDE2000; None if it is not finite."""

    key: str
    field: str
    psnr: float | None
    delta_e_2000: float | None


@dataclass(frozen=True)
class DecodeResult(CommandResult):
    """Some decoded latents.

    Args:
        file: the sheet that shows them; None if none was requested.
        folder: the folder of their pictures; None if a sheet was requested, or nothing.
        decoded: how many latents were decoded.
        not_finite: how many of these decoded to NaN or infinity.
        measured: the decodings whose encoded image was found.
        decodings: the decoded images, unless they are in a folder; not in the dictionary.
        title: what was decoded, in words; not in the dictionary.
    """

    file: Path | None
    folder: Path | None
    decoded: int
    not_finite: int
    measured: tuple[MeasuredDecoding, ...]
    decodings: tuple["Decoding", ...] = field(repr=False, metadata=ASIDE)
    title: str = field(repr=False, metadata=ASIDE)


def decode_result(decodings: Sequence["Decoding"], file: Path | None, title: str) -> DecodeResult:
    """Return the result for some decodings.

    Args:
        decodings: the pictures.
        file: the picture that shows them, or None.
        title: what was decoded, in words.
    """
    return DecodeResult(
        file=file,
        folder=None,
        decoded=len(decodings),
        not_finite=sum(not one.finite for one in decodings),
        measured=tuple(
            MeasuredDecoding(
                one.key,
                one.field,
                one.fidelity.psnr if one.fidelity else None,
                one.fidelity.delta_e_2000 if one.fidelity else None,
            )
            for one in decodings
            if one.photo is not None
        ),
        decodings=tuple(decodings),
        title=title,
    )
