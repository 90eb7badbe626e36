"""The dataset card, `README.md`: for people, and for Hugging Face `datasets`, which finds the splits in it.

Owns the card's layout. Must not know what samples consist of; the caller passes that as text.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.index import DatasetIndex
from lutkit.dataset.latent_index import LatentIndex
from lutkit.dataset.shard_list import split_named
from lutkit.dataset.tars import ShardFile
from lutkit.errors import DatasetError

CARD_NAME = "README.md"

_LOADING = """\
With Hugging Face `datasets`:

```python
from datasets import load_dataset

dataset = load_dataset("path/to/this/folder", split="{split}")
```

With `webdataset`, as a stream, from the folder that holds this file; here of {shards} of the split:

```python
import webdataset

samples = webdataset.WebDataset("shards/{urls}.tar", shardshuffle=False).decode({decode})
```
"""

_ORIGIN = """\
`manifest.toml` holds every setting, `sources.tsv`{listed} the sources, and `dataset.json` the size and
sha256 of each shard. `rejects.jsonl`, where there is one, names the sources that could not be used, and why.
"""


@dataclass(frozen=True)
class Card:
    """The text of a card, without the counts.

    Args:
        title: one line.
        about: what the dataset is and how it was made; Markdown.
        fields: for each member or field of a sample, by its name, one line about its content.
    Raises:
        DatasetError: if a title or a field has more than one line.
    """

    title: str
    about: str
    fields: Mapping[str, str]

    def __post_init__(self) -> None:
        for line in (self.title, *self.fields, *self.fields.values()):
            if not line or len(line.splitlines()) != 1:
                raise DatasetError(f"a card's titles and fields must be one line each, not {line!r}")


def write_card(folder: Path, card: Card, index: DatasetIndex | LatentIndex) -> None:
    """Write `README.md` completely or not at all; see `format_card`.

    Raises:
        OSError: from the system.
    """
    write_whole(folder / CARD_NAME, format_card(card, index).encode())


def format_card(card: Card, index: DatasetIndex | LatentIndex) -> str:
    """Return the dataset card: YAML that names the shards of each split, then Markdown for people.

    The YAML makes `datasets.load_dataset(FOLDER)` work; without it that call would read `dataset.json` as
    data. Latents of tars whose names give no split form one split, `data`.

    Args:
        card: the text.
        index: the shards to count, of every split that has any.
    Returns:
        Markdown that depends on nothing else: it has no date and no path of this machine.
    """
    splits, is_latents = _splits(index.shards), isinstance(index, LatentIndex)
    counts = [
        f"| {name} | {len(files):,} | {sum(file.samples for file in files.values()):,} |"
        for name, files in splits.items()
    ]
    table = ["| split | shards | samples |", "|---|---:|---:|", *counts]
    fields = ["| field | holds |", "|---|---|", *(f"| `{k}` | {_cell(v)} |" for k, v in card.fields.items())]
    versions = f"{', '.join(f'{name} {number}' for name, number in index.libraries.items())}."
    return "\n".join(
        [
            *_front_matter(card, index.shards, splits),
            f"# {card.title}\n",
            f"{card.about.strip()}\n",
            *table,
            "\n## A sample\n",
            *fields,
            "\n## Loading\n",
            _loading(splits, "" if is_latents else '"pil"'),
            "## Making it again\n",
            _ORIGIN.format(listed=", where there is one," if is_latents else ""),
            f"Made with {versions}\n"
            if isinstance(index, LatentIndex)
            else f"Seed {index.seed}; {versions}\n",
        ]
    )


def _splits(shards: Mapping[str, ShardFile]) -> dict[str, dict[str, ShardFile]]:
    splits: dict[str, dict[str, ShardFile]] = {}
    for shard, file in shards.items():
        splits.setdefault(split_named(shard), {})[shard] = file
    return splits


def _front_matter(
    card: Card, shards: Mapping[str, ShardFile], splits: Mapping[str, Mapping[str, ShardFile]]
) -> list[str]:
    files = [line for name, own in splits.items() for line in _data_files(name, own, shards)]
    # Any JSON string is a valid YAML string.
    lines = [f"pretty_name: {json.dumps(card.title)}", "tags:", "- webdataset"]
    if files:
        lines += ["configs:", f"- config_name: {_content_name(shards)}", "  data_files:", *files]
    return ["---", *lines, "---\n"]


def _data_files(split: str, own: Mapping[str, ShardFile], shards: Mapping[str, ShardFile]) -> list[str]:
    """Return a pattern if it matches only these shards; `datasets` fails on a shard without samples."""
    full = [name for name, file in own.items() if file.samples]
    matched = [name for name in shards if name.startswith(f"{split}-")]
    if full == matched:
        return [f"  - split: {split}", f"    path: shards/{split}-*.tar"]
    paths = [f"    - {json.dumps(f'shards/{name}.tar')}" for name in full]
    return [f"  - split: {split}", "    path:", *paths] if paths else []


def _content_name(shards: Mapping[str, ShardFile]) -> str:
    """Return a name that changes with the shards, because `datasets` caches by folder name and configuration.

    With a constant name, a dataset that has grown, or another dataset in a folder of the same name, would be
    loaded from the cache with the old samples.
    """
    digest = hashlib.sha256("".join(file.sha256 for file in shards.values()).encode())
    return f"shards-{digest.hexdigest()[:12]}"


def _loading(splits: Mapping[str, Mapping[str, ShardFile]], decode: str) -> str:
    name, own = next(iter(splits.items()), ("train", ()))
    names, last = list(own) or ["train-000000"], len(own) - 1
    if last > 0 and names == [f"{name}-{i:06d}" for i in range(last + 1)]:
        shards, urls = f"the first {last + 1} shards", f"{name}-{{000000..{last:06d}}}"
    else:
        shards, urls = "the first shard", names[0]
    return _LOADING.format(split=name, shards=shards, urls=urls, decode=decode)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
