"""The lines of code that load a dataset, filled in with its folder, shards and suffixes."""

from pathlib import Path

from lutkit.photos.encoding import CODEC_SUFFIX
from lutkit.synthesis.build import SynthPlan
from lutkit.synthesis.plan import shard_count

# Characters in a path that webdataset would read as a range, a scheme, two lists or an escape.
_MEANT_OTHERWISE = frozenset("{}:\\")


def loader_lines(plan: SynthPlan, out: Path) -> str:
    """Return ten lines of PyTorch code that load the split with the most samples."""
    split, count = max(plan.counts.items(), key=lambda item: item[1])
    shards = shard_count(count)
    suffix = CODEC_SUFFIX[plan.manifest.codec]
    if plan.manifest.store == "recipe":
        return f"""\
import lutkit, torch  # pip install torch

pairs = lutkit.pairs({str(out)!r}, split={split!r})  # inputs are replayed from recipes
loader = torch.utils.data.DataLoader(pairs, 32, shuffle=True, num_workers=2)
for input, target, metadata in loader:  # {count:,} samples
    ...  # input, target: (32, {plan.manifest.size_px}, {plan.manifest.size_px}, 3) uint8"""
    urls, imports = _urls(split, shards, out)
    return f"""\
import {imports}, webdataset as wds  # pip install torch webdataset

dataset = (
    wds.WebDataset({urls}, shardshuffle={min(shards, 100)})
    .shuffle(1000).decode("torchrgb").to_tuple("input.{suffix}", "target.{suffix}", "json")
)
loader = torch.utils.data.DataLoader(dataset.batched(32), batch_size=None, num_workers={min(shards, 2)})
for input, target, metadata in loader:  # {count:,} samples
    ...  # input, target: (32, 3, {plan.manifest.size_px}, {plan.manifest.size_px}) float32, 0..1"""


def _urls(split: str, shards: int, out: Path) -> tuple[str, str]:
    """Return Python code that gives webdataset the shards, and the imports that this code needs."""
    # Shards have six digits, but more from a million on. A range would give all of them the same digits.
    if _MEANT_OTHERWISE & set(str(out)) or shards > 1_000_000:
        files = f'pathlib.Path({str(out.absolute())!r}, "shards").glob("{split}-*.tar")'
        return f"sorted(map(str, {files}))", "pathlib, torch"
    name = f"{split}-000000" if shards == 1 else f"{split}-{{000000..{shards - 1:06d}}}"
    return repr(f"{out}/shards/{name}.tar"), "torch"
