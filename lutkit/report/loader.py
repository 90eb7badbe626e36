"""The lines of code that load a dataset, filled in with its folder, shards and suffixes."""

from pathlib import Path

from lutkit.io.images import CODEC_SUFFIX
from lutkit.pipeline.plan import shard_count
from lutkit.pipeline.synth import SynthPlan


def loader_lines(plan: SynthPlan, out: Path) -> str:
    """Ten lines of PyTorch that load the split with the most samples."""
    split, count = max(plan.counts.items(), key=lambda item: item[1])
    shards = shard_count(count)
    name = f"{split}-000000" if shards == 1 else f"{split}-{{000000..{shards - 1:06d}}}"
    suffix = CODEC_SUFFIX[plan.manifest.codec]
    if plan.manifest.store == "recipe":
        return f"""\
import lutkit

for input, target, metadata in lutkit.pairs({str(out)!r}, split={split!r}):
    ...  # two (H, W, 3) uint8 arrays; the input is replayed from the recipe"""
    return f"""\
import torch, webdataset as wds  # pip install torch webdataset

dataset = (
    wds.WebDataset({f"{out}/shards/{name}.tar"!r}, shardshuffle={min(shards, 100)})
    .shuffle(1000).decode("torchrgb").to_tuple("input.{suffix}", "target.{suffix}", "json")
)
loader = torch.utils.data.DataLoader(dataset.batched(32), batch_size=None, num_workers={min(shards, 2)})
for input, target, metadata in loader:  # {count:,} samples
    ...  # input, target: (32, 3, {plan.manifest.size_px}, {plan.manifest.size_px}) float32, 0..1"""
