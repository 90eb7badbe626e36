"""`lutkit encode-latents` compared with the usual loop, with Stable Diffusion's VAE architecture at 256 px.

`latent_rows(PHOTOS)` returns the rows of the table; run as a script, it prints them. The weights are random,
which costs the same as trained weights. The usual loop decodes a batch, encodes it, copies it back and saves
it before the next batch: in float32 on a CPU, in fp16 with batch 8 on a GPU. lutkit is measured as a whole
command, from tars to shards, after a first shard, on which dtype and conventions are tried once for each
dataset. The two take turns; quote the ratios. On a GPU, the share of its measured dense bf16 rate is computed
with 271 GFLOP for each image.
"""

import argparse
import io
import itertools
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image

from lutkit.dataset.tars import Sample, read_samples, write_shard
from lutkit.errors import ImageError
from lutkit.latents.encode import EncodedFolder, EncodeSettings, encode_source
from lutkit.latents.pipeline import EncodeListener
from lutkit.latents.sources import open_source
from lutkit.latents.vae_files import find_vae
from lutkit.photos.decoding import center_square
from lutkit.photos.encoding import encode_image

SIZE_PX = 256
GFLOP_AN_IMAGE = 271
TURNS = 3
# For a CPU and a GPU: images in each turn, how many of them the usual loop encodes, its batch and its dtype.
CPU = (64, 16, 8, torch.float32)
GPU = (10_000, 2_000, 8, torch.float16)


def latent_rows(photos: Path) -> list[dict[str, object]]:
    """Return rows of name and measurements."""
    on_gpu = torch.cuda.is_available()
    count, usual_count, batch, dtype = GPU if on_gpu else CPU
    device = "cuda" if on_gpu else "cpu"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_vae(folder / "vae")
        write_tars(photos, folder / "in", count)
        model = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=dtype, low_cpu_mem_usage=False)
        model.eval().to(device)
        settings = EncodeSettings(device=device)
        (folder / "first").mkdir()
        (folder / "in/first.tar").rename(folder / "first/first.tar")
        begun = encode(folder / "first", folder, settings)
        (folder / "first/first.tar").rename(folder / "in/first.tar")
        usual, ours, results = [], [], []
        for turn in range(TURNS):
            shutil.copytree(folder / "out", folder / f"out-{turn}")
            start = time.perf_counter()
            usual_loop(model, folder / "in", batch, usual_count)
            usual.append((time.perf_counter() - start) / usual_count)
            results.append(encode(folder / "in", folder, settings, f"out-{turn}"))
            ours.append(results[-1].stats.seconds / count)
        rows = [speed_row(usual, ours, results)]
        rows += [{"name": f"trial of {row['dtype']}", **row} for row in begun.index.encoding.trials]
        if on_gpu:
            rows[0]["share of dense bf16"] = round(GFLOP_AN_IMAGE / 1e3 / min(ours) / dense_tflops(), 3)
    return rows


def speed_row(usual: list, ours: list, results: list[EncodedFolder]) -> dict[str, object]:
    """Return the whole run compared with the loop, and the run's share outside the encoder."""
    shares = [1 - result.stats.busy_s / result.stats.seconds for result in results]
    ratio = statistics.median(theirs / mine for mine, theirs in zip(ours, usual, strict=True))
    return {
        "name": f"{SIZE_PX} px, {results[0].index.encoding.dtype}",
        "images_s": round(1 / min(ours), 3),
        "usual_images_s": round(1 / min(usual), 3),
        "ratio": round(ratio, 2),
        "asked": 3.0 if torch.cuda.is_available() else 2.5,
        "outside the encoder": round(min(shares), 3),
        "batch": results[-1].stats.batch,
    }


def usual_loop(model: AutoencoderKL, tars: Path, batch: int, count: int) -> None:
    """Decode, encode, `.cpu()`, save beside the folder of tars, without any overlap; read `count` images."""
    places = sorted(tars.glob("0*.tar"))
    samples = itertools.islice((sample for tar in places for sample in read_samples(tar)), count)
    place, dtype = next(model.parameters()).device, model.dtype
    while part := list(itertools.islice(samples, batch)):
        images = np.stack([np.asarray(Image.open(io.BytesIO(dict(s.members)["jpg"]))) for s in part])
        values = torch.from_numpy(images).permute(0, 3, 1, 2).to(place).to(dtype) / 127.5 - 1
        with torch.no_grad():
            found = model.encode(values).latent_dist
        for sample, moments in zip(part, found.parameters.cpu(), strict=True):
            np.save(tars.parent / f"{sample.key}.npy", moments.float().numpy())


def encode(tars: Path, folder: Path, settings: EncodeSettings, out: str = "out") -> EncodedFolder:
    """Run the command's own function, without its output."""
    source, files = open_source(str(tars), ("jpg",)), find_vae(str(folder / "vae"))
    quiet = EncodeListener(lambda *_: None, lambda _: None, lambda _: None, lambda _: None)
    return encode_source(source, files, settings, folder / out, quiet)


def save_vae(folder: Path) -> None:
    """Save a VAE with Stable Diffusion's architecture and random weights."""
    torch.manual_seed(0)
    blocks = (128, 256, 512, 512)
    AutoencoderKL(
        block_out_channels=blocks,
        down_block_types=("DownEncoderBlock2D",) * len(blocks),
        up_block_types=("UpDecoderBlock2D",) * len(blocks),
        layers_per_block=2,
        sample_size=SIZE_PX,
    ).save_pretrained(folder)


def write_tars(photos: Path, folder: Path, count: int) -> None:
    """Write squares of photos, all different: photos that are used again are cut at other positions."""
    folder.mkdir()
    squares = []
    for path in sorted(photos.iterdir())[:count]:
        try:
            squares.append(center_square(path.read_bytes(), SIZE_PX))
        except ImageError:
            continue
    samples = [
        Sample(f"{i:06d}", (("jpg", encode_image(np.roll(squares[i % len(squares)], i, 1), "jpeg", 95)),))
        for i in range(count + 2)
    ]
    write_shard(folder / "first.tar", samples[count:])
    for start in range(0, count, 1000):
        write_shard(folder / f"{start // 1000:05d}.tar", samples[start : min(start + 1000, count)])


def dense_tflops() -> float:
    """Return the GPU's rate in a large product of bf16 matrices."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        a @ b
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end))
    return 2 * 8192**3 / (best / 1e3) / 1e12


def main() -> None:
    """Print the rows for the folder of photos in the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="a folder of photos")
    for row in latent_rows(parser.parse_args().photos):
        print("  ".join(f"{name} {value}" for name, value in row.items() if value is not None))


if __name__ == "__main__":
    main()
