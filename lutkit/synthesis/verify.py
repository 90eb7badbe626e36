"""`verify`: find and name every fault of a dataset folder of pairs.

Reads every byte: the folder, its shards, and the members, images and JSON of every sample.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from lutkit.dataset.atomic import is_temporary
from lutkit.dataset.card import CARD_NAME
from lutkit.dataset.folder import MANIFEST_NAME, SOURCES_NAME
from lutkit.dataset.index import DatasetIndex, read_dataset_json
from lutkit.dataset.lock import LOCK_NAME, holder_of
from lutkit.dataset.records import is_intact, read_record, shard_path, split_of
from lutkit.dataset.shard_list import INDEX_NAME
from lutkit.dataset.tars import Sample, read_samples
from lutkit.distort.recipe import Recipe
from lutkit.engine.engine import Engine, local_engine
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.errors import DatasetError, LutkitError
from lutkit.photos.decoding import decode_image
from lutkit.photos.encoding import CODEC_SUFFIX
from lutkit.results import ASIDE, CommandResult
from lutkit.synthesis.manifest import Manifest, read_manifest
from lutkit.synthesis.pair import SampleMetadata, SourcePhoto
from lutkit.synthesis.plan import SHARD_SAMPLES, sample_key


def sample_problems(sample: Sample, manifest: Manifest) -> tuple[list[str], SourcePhoto | None]:
    """Return everything that is wrong with a sample, and its photo.

    Args:
        sample: the members of the sample, from its shard.
        manifest: the manifest of the dataset.
    Returns:
        The problems, each in a few words; and the sample's photo, or None if its JSON is not valid.
    """
    suffix = CODEC_SUFFIX[manifest.codec]
    expected = [f"input.{suffix}", f"target.{suffix}", "json"]
    if manifest.store == "recipe":
        del expected[0]
    found = [name for name, _ in sample.members]
    if found != expected:
        return [f"its members are {', '.join(found)}, not {', '.join(expected)}"], None
    problems: list[str] = []
    for name, content in sample.members[:-1]:
        problems += [f"{name}: {problem}" for problem in _image_problems(content, manifest)]
    try:
        metadata = SampleMetadata.from_json(sample.members[-1][1])
        if metadata.kind != "enhance":
            Recipe.from_json(metadata.recipe)
    except LutkitError as error:
        return [*problems, f"json: {error}"], None
    if metadata.key != sample.key or metadata.split != sample.key.rpartition("-")[0]:
        problems.append("json: another key or split")
    return problems, metadata.source


def _image_problems(content: bytes, manifest: Manifest) -> list[str]:
    try:
        pixels = decode_image(content)
    except LutkitError as error:
        return [f"does not decode: {error.what}"]
    square = (manifest.size_px, manifest.size_px, 3)
    return [] if pixels.shape == square else [f"has shape {pixels.shape}, not {square}"]


AGAIN = "run the same `lutkit synth` again"
# If the checksum is right, the fault was written with the shard. synth would count such a shard as done, so
# it must be deleted first.
DELETE = f"delete the shard and {AGAIN}"
RESTORE = "restore it: without it nothing can be added to the dataset"
_ANEW = "keep one of the two and build the dataset anew, in another folder"
_COPIES = "remove one of the copies from the photos and build into another folder"

_NEEDED = (
    (CARD_NAME, "missing: Hugging Face `datasets` finds no splits without it", AGAIN),
    (SOURCES_NAME, "missing: it lists the photos that samples are drawn from", RESTORE),
)


@dataclass(frozen=True)
class Fault:
    """A fault: what is wrong, where (a shard, a sample or a file of the folder), and how to fix it."""

    where: str
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class VerifyResult(CommandResult):
    """The faults of a dataset.

    Args:
        samples: the number of samples that were read.
        faults: the faults, sorted by place; empty for a sound dataset.
        folder: the dataset; not in the dictionary.
    """

    samples: int
    faults: tuple[Fault, ...]
    folder: Path = field(repr=False, metadata=ASIDE)

    @property
    def sound(self) -> bool:
        """True if there is no fault."""
        return not self.faults


@dataclass(frozen=True)
class Checked:
    """The result for one shard: samples, faults, and the first sample of each source (sha256, path)."""

    shard: str
    samples: int
    faults: tuple[Fault, ...]
    sources: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class _Job:
    folder: Path
    manifest: Manifest
    index: DatasetIndex


def verify(
    folder: Path | str, *, workers: int | None = None, on_progress: OnProgress | None = None
) -> VerifyResult:
    """Check every byte of a dataset, as `lutkit verify` does: checksums, tars, keys, images, fields, splits.

    Args:
        folder: a dataset folder that `lutkit synth` wrote.
        workers: the number of processes; None means one for each CPU.
        on_progress: called with the number of checked shards.
    Returns:
        All faults that were found.
    Raises:
        DatasetError: if it is not a dataset folder.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=4, size=32, workers=1)
    >>> lutkit.verify("pairs", workers=1)
    VerifyResult(samples=4, faults=())
    """
    samples = shards = 0
    report = on_progress or unheard
    total = len(_index_of(Path(folder)).shards)
    report(Progress("shards", 0, total))

    def on_shard(checked: Checked) -> None:
        nonlocal samples, shards
        samples, shards = samples + checked.samples, shards + 1
        report(Progress("shards", shards, total))

    faults = check_dataset(Path(folder), local_engine(workers), on_shard)
    return VerifyResult(samples, faults, Path(folder))


def check_dataset(folder: Path, engine: Engine, on_shard: Callable[[Checked], None]) -> tuple[Fault, ...]:
    """Check a dataset folder: index, records, checksums, tars, keys, images, fields, splits.

    Args:
        folder: a dataset folder that `lutkit synth` wrote.
        engine: the engine that checks the shards.
        on_shard: called after each shard.
    Returns:
        All faults that were found, sorted by place; empty for a sound dataset.
    Raises:
        DatasetError: if it is not a dataset folder.
    """
    index = _index_of(folder)
    job = _Job(folder, read_manifest(folder / MANIFEST_NAME), index)
    faults = _folder_faults(job)
    checked: list[Checked] = []
    with closing(engine.run(check_shard, job, tuple(index.shards))) as results:
        for result in results:
            on_shard(result)
            checked.append(result)
    checked.sort(key=lambda item: item.shard)
    for result in checked:
        faults += result.faults
    return (*faults, *_source_faults(checked))


def _index_of(folder: Path) -> DatasetIndex:
    index = read_dataset_json(folder)
    if index is None:
        raise DatasetError("no dataset.json here", where=str(folder), remedy="name a dataset folder")
    return index


def check_shard(job: _Job, shard: str) -> Checked:
    """Check every byte of one shard."""
    where = _place(shard)
    expected = job.index.shards[shard]
    if not shard_path(job.folder, shard).exists():
        return Checked(shard, 0, (Fault(where, "missing", AGAIN),), {})
    record = read_record(job.folder, shard)
    faults: list[Fault] = []
    if record is None:
        faults.append(Fault(where, f"its record records/{shard}.json is missing or damaged", AGAIN))
    elif record.file != expected:
        faults.append(Fault(where, "its record and dataset.json disagree", AGAIN))
    elif not is_intact(job.folder, record):
        what = "its bytes are not those that were written: size or sha256 differ"
        faults.append(Fault(where, what, AGAIN))
    remedy = AGAIN if faults else DELETE
    count, problems, sources = _check_samples(job, shard)
    faults += [Fault(place, what, remedy) for place, what in problems]
    if count != expected.samples:
        what = f"holds {count} samples, dataset.json says {expected.samples}"
        faults.append(Fault(where, what, remedy))
    return Checked(shard, count, tuple(faults), sources)


def _check_samples(job: _Job, shard: str) -> tuple[int, list[tuple[str, str]], dict[tuple[str, str], str]]:
    problems: list[tuple[str, str]] = []
    misplaced: list[tuple[str, str]] = []
    sources: dict[tuple[str, str], str] = {}
    start = int(shard.rpartition("-")[2]) * SHARD_SAMPLES
    count = 0
    try:
        for count, sample in enumerate(read_samples(shard_path(job.folder, shard)), 1):
            where = f"{_place(shard)}, sample {sample.key}"
            key = sample_key(split_of(shard), start + count - 1)
            if sample.key != key:
                misplaced.append((where, f"out of order: {key} should stand here"))
            found, source = sample_problems(sample, job.manifest)
            problems += [(where, what) for what in found]
            if source:
                sources.setdefault((source.sha256, source.path), where)
    except DatasetError as error:
        problems.append((_place(shard), f"not a sound tar: {error.what}"))
    if misplaced:
        # If one sample is missing, all samples after it are out of place. So only the first is named.
        (where, what), more = misplaced[0], len(misplaced) - 1
        rest = f"; {more} more of this shard out of order" if more else ""
        problems.insert(0, (where, what + rest))
    return count, problems, sources


def _folder_faults(job: _Job) -> list[Fault]:
    known = {f"{shard}.tar" for shard in job.index.shards}
    names = {entry.name for entry in (job.folder / "shards").glob("*")} - known
    if not job.index.complete:
        # During a run, or after a stopped run, the index does not list the shards that the run has built.
        names = {name for name in names if not name.endswith(".tar") and not is_temporary(name)}
    strangers = sorted(names)
    faults = [Fault(f"shards/{name}", "not listed in dataset.json", "remove it") for name in strangers]
    holder = holder_of(job.folder)
    if holder:
        faults.append(Fault(LOCK_NAME, f"being written by {holder}", "wait until that is done"))
    listed = sum(file.samples for file in job.index.shards.values())
    if not job.index.complete:
        faults.append(Fault(INDEX_NAME, "the dataset is not finished", AGAIN))
        return faults
    if listed != job.manifest.n:
        what = f"says n = {job.manifest.n}, and dataset.json lists {listed} samples"
        faults.append(Fault(MANIFEST_NAME, what, AGAIN))
    lost = (needed for needed in _NEEDED if not (job.folder / needed[0]).is_file())
    return [*faults, *(Fault(*needed) for needed in lost)]


def _source_faults(checked: Iterable[Checked]) -> list[Fault]:
    """Return a fault for each photo in two splits, and for each path that two different photos had."""
    owners: dict[str, tuple[str, str]] = {}
    seen: dict[str, tuple[str, str]] = {}
    found: dict[str, Fault] = {}
    for result in checked:
        split = split_of(result.shard)
        for (sha256, path), where in sorted(result.sources.items()):
            owner, its_split = owners.setdefault(sha256, (path, split))
            if its_split != split:
                what = f"its photo {path} is the same as {owner}, which is in {its_split}"
                found.setdefault(what, Fault(where, what, _COPIES))
            before, there = seen.setdefault(path, (sha256, where))
            if before != sha256:
                what = f"its photo {path} has another sha256 than in {there}"
                found.setdefault(what, Fault(where, what, _ANEW))
    return list(found.values())


def _place(shard: str) -> str:
    return f"shards/{shard}.tar"
