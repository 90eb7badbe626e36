"""The dataset card, `README.md`: what Hugging Face `datasets` reads to find the splits, and people too.

Owns the card's layout. Must not know what samples are made of: that is text which it is given.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lutkit.errors import DatasetError
from lutkit.io.atomic import write_whole
from lutkit.pipeline.index import DatasetIndex

CARD_NAME = "README.md"

_LOADING = """\
With Hugging Face `datasets`:

```python
from datasets import load_dataset

dataset = load_dataset("path/to/this/folder", split="{split}")
```

With `webdataset`, as a stream, from the folder that holds this file; here of the first {shards} of the split:

```python
import webdataset

samples = webdataset.WebDataset("shards/{urls}.tar", shardshuffle=False).decode("pil")
```
"""

_ORIGIN = """\
`manifest.toml` holds every setting, `sources.tsv` the sources, and `dataset.json` the size and sha256 of
each shard. `rejects.jsonl`, where there is one, names the sources that could not be used, and why.
"""


@dataclass(frozen=True)
class Card:
    """What a card says beyond counts.

    Args:
        title: one line.
        about: what the dataset is and how it was made; Markdown.
        fields: what each member or field of a sample holds, by its name, each in a line.
    Raises:
        DatasetError: a title or a field of more than one line.
    """

    title: str
    about: str
    fields: Mapping[str, str]

    def __post_init__(self) -> None:
        for line in (self.title, *self.fields, *self.fields.values()):
            if not line or len(line.splitlines()) != 1:
                raise DatasetError(f"a card's titles and fields are one line each, not {line!r}")


def write_card(folder: Path, card: Card, index: DatasetIndex) -> None:
    """Write `README.md`, whole or not at all; see `format_card`.

    Raises:
        OSError: from the system.
    """
    write_whole(folder / CARD_NAME, format_card(card, index).encode())


def format_card(card: Card, index: DatasetIndex) -> str:
    """The dataset card: YAML that names the shards of each split, then Markdown for people.

    The YAML is what makes `datasets.load_dataset(FOLDER)` work: without it that call takes
    `dataset.json` for the data.

    Args:
        card: the text.
        index: the shards to count, of every split that has any.
    Returns:
        Markdown that depends on nothing else: no date, no path of this machine.
    """
    splits = index.splits()
    counts = [f"| {name} | {shards:,} | {samples:,} |" for name, (shards, samples) in splits.items()]
    table = ["| split | shards | samples |", "|---|---:|---:|", *counts]
    fields = ["| field | holds |", "|---|---|", *(f"| `{k}` | {_cell(v)} |" for k, v in card.fields.items())]
    seed = f"Seed {index.seed}; {', '.join(f'{name} {number}' for name, number in index.libraries.items())}."
    return "\n".join(
        [
            *_front_matter(card, index),
            f"# {card.title}\n",
            f"{card.about.strip()}\n",
            *table,
            "\n## A sample\n",
            *fields,
            "\n## Loading\n",
            _loading(splits),
            "## Making it again\n",
            _ORIGIN,
            f"{seed}\n",
        ]
    )


def _front_matter(card: Card, index: DatasetIndex) -> list[str]:
    splits = list(index.splits())
    files = [line for name in splits for line in (f"  - split: {name}", f"    path: shards/{name}-*.tar")]
    # A JSON string is a YAML string, whatever it holds.
    lines = [f"pretty_name: {json.dumps(card.title)}", "tags:", "- webdataset"]
    if files:
        lines += ["configs:", f"- config_name: {_content_name(index)}", "  data_files:", *files]
    return ["---", *lines, "---\n"]


def _content_name(index: DatasetIndex) -> str:
    """A name that changes with the shards: `datasets` caches by folder name and configuration alone.

    Under one name for all, a dataset that grew, or another one in a folder of that name, would be answered
    from the cache with the old samples.
    """
    digest = hashlib.sha256("".join(file.sha256 for file in index.shards.values()).encode())
    return f"shards-{digest.hexdigest()[:12]}"


def _loading(splits: Mapping[str, tuple[int, int]]) -> str:
    name, (shards, _) = next(iter(splits.items()), ("train", (1, 0)))
    return _LOADING.format(
        split=name,
        shards="shard" if shards == 1 else f"{shards} shards",
        urls=f"{name}-000000" if shards == 1 else f"{name}-{{000000..{shards - 1:06d}}}",
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
