"""WebDataset tars: shards written with the same bytes every time, and read as a stream of samples.

A sample is a key and its members; a member is named `{key}.{suffix}`. Must not know what members hold,
and must not import webdataset, which would load torch into every worker.
"""

import errno
import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lutkit.dataset.atomic import whole_file
from lutkit.dataset.os_errors import reading
from lutkit.errors import DatasetError

# USTAR: an octal size of eleven digits, a name of a hundred bytes.
_MAX_MEMBER_BYTES = 8**11 - 1
_MAX_NAME_BYTES = 100
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST = 1 << 48  # more than any disk holds, and sums of it are still counted
_SPLIT = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)
_PLAIN_NAME = re.compile(r"(?:[!-.0-~]+/)*[!-.0-~]+")
_PLAIN_SUFFIX = re.compile(r"[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)*")
# What webdataset passes over: its metadata, at the root or in a folder of that kind.
SKIPPED_NAMES = re.compile(r"__[^/]*__(?:$|/)")
# What the standard library raises on damaged tars and damaged compression.
_BROKEN = (tarfile.TarError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError)
_MAKE_AGAIN = "the file is damaged or was cut off: make it again"


@dataclass(frozen=True, slots=True)
class Sample:
    """What lies under one key of a shard.

    Args:
        key: the members' common name, up to the first dot of its last part.
        members: (suffix, content) in the tar's order; the suffix is lower-case and without its dot.
    """

    key: str
    members: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class ShardFile:
    """What was written: how many samples, how many bytes, and the sha256 of the whole file in hex.

    Raises:
        DatasetError: a number that no shard has, or a sha256 that is none.
    """

    samples: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not (0 <= self.samples < _MOST and 0 < self.bytes < _MOST):
            raise DatasetError(f"a shard of {self.samples} samples in {self.bytes} bytes cannot be")
        if not _SHA256.fullmatch(self.sha256):
            raise DatasetError(f"{self.sha256!r} is not a sha256 in hex")


def write_shard(path: Path, samples: Iterable[Sample]) -> ShardFile:
    """Write `samples` as a tar whose bytes depend on nothing but them.

    The tar is USTAR with modification time 0, owner and group 0 without names, and mode 0644. It is
    written under a temporary name, flushed to disk and renamed (see `lutkit.dataset.atomic.whole_file`): if
    anything raises, `samples` included, nothing new bears the name `path`.

    Args:
        path: the shard; its folder must exist.
        samples: in the order to be written; drawn one at a time, so a generator keeps memory flat.
    Raises:
        DatasetError: a key that is empty, not printable ASCII, used twice, or that readers would cut at a
            dot; a sample without members or with a suffix twice; a member too long for the format.
        OSError: from the system, among them ENOSPC where the disk is full.
    """
    digest = hashlib.sha256()
    keys: set[str] = set()
    length = 0
    with whole_file(path) as file:
        for sample in samples:
            _require_sound(sample, keys, path)
            block = _sample_block(sample, path)
            digest.update(block)
            file.write(block)
            length += len(block)
        # Two empty blocks end a tar; tools pad it to whole records.
        end = bytes(-(length + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE)
        digest.update(end)
        file.write(end)
    return ShardFile(len(keys), length + len(end), digest.hexdigest())


def split_member(name: str) -> tuple[str, str]:
    """Key and suffix of a member, as webdataset has them; the suffix in lower case, empty without a dot."""
    split = _SPLIT.fullmatch(name)
    return (split[1], split[2].lower()) if split else (name, "")


def read_samples(path: Path) -> Iterator[Sample]:
    """Stream the samples of a tar, grouped as webdataset groups them.

    A key is a member's name up to the first dot of its last part; the rest, lower-cased, is its suffix.
    Adjacent members of one key form a sample. Names without a dot, folders, links and webdataset's own
    `__name__` entries are passed over.

    Args:
        path: a tar, plain or compressed with gzip, bzip2 or xz.
    Yields:
        Samples in the tar's order, one in memory at a time.
    Raises:
        DatasetError: no such file, not a tar, damaged or ending early (the last sound member is named), or
            two members of one name in a sample.
    """
    for sample in _adjacent_samples(path):
        names = [suffix for suffix, _ in sample.members]
        for suffix in names:
            if names.count(suffix) > 1:
                where = f"{path}: {sample.key}.{suffix}"
                raise DatasetError("this name occurs twice in its sample", where=where)
        yield sample


def read_joined_samples(path: Path) -> Iterator[Sample]:
    """Stream the samples of anybody's tar, whose members need not be adjacent: each key comes once.

    Names are taken as `read_samples` takes them, and one that occurs twice comes twice: it is for the caller
    to say what becomes of such a sample. The headers are read first, and once more where keys are scattered.

    Yields:
        Samples in the order of their first members, one in memory at a time.
    Raises:
        DatasetError: no such file, not a tar, damaged or ending early; a compressed tar with scattered keys.
    """
    ended: set[str] = set()
    last = scattered = ""
    for member, _ in _read_members(path, contents=False):
        split = _SPLIT.fullmatch(member.name)
        if split and split[1] != last:
            scattered = scattered or (split[1] if split[1] in ended else "")
            ended.add(last)
            last = split[1]
    if not scattered:
        yield from _adjacent_samples(path)
        return
    if is_compressed(path):
        what = f"the members of sample {scattered!r} are not adjacent, and the tar is compressed"
        raise DatasetError(what, where=str(path), remedy="decompress it first")
    members: dict[str, list[tarfile.TarInfo]] = {}
    for member, _ in _read_members(path, contents=False):
        split = _SPLIT.fullmatch(member.name)
        if split:
            members.setdefault(split[1], []).append(member)
    with reading(path), _open_tar(path) as tar:
        for key, own in members.items():
            files = ((split_member(member.name)[1], tar.extractfile(member)) for member in own)
            yield Sample(key, tuple((suffix, file.read() if file else b"") for suffix, file in files))


def _adjacent_samples(path: Path) -> Iterator[Sample]:
    key = ""
    members: list[tuple[str, bytes]] = []
    for member, content in _read_members(path):
        split = _SPLIT.fullmatch(member.name)
        if split is None:
            continue
        if members and split[1] != key:
            yield Sample(key, tuple(members))
            members = []
        key = split[1]
        members.append((split[2].lower(), content))
    if members:
        yield Sample(key, tuple(members))


def require_key(key: str, where: str) -> None:
    """Raise DatasetError unless every reader gets `key` back from a member's name.

    A key is printable ASCII without spaces and does not begin with `__`, which readers keep for
    themselves; parts are joined by `/`; the last part has no dot.
    """
    if not is_storable_key(key):
        raise DatasetError(
            f"the key {key!r} would not survive its readers",
            where=where,
            remedy="keys are printable ASCII, not empty, and have no dot in their last part",
        )


def is_storable_key(key: str, suffix_bytes: int = 0) -> bool:
    """Whether a shard may hold a sample of that key: see `require_key`.

    Args:
        key: the key.
        suffix_bytes: what its longest suffix takes, with its dot: a name with it has to fit.
    """
    split = _SPLIT.fullmatch(f"{key}.x")
    sound = split is not None and split[1] == key and split[2] == "x" and _PLAIN_NAME.fullmatch(key)
    fits = len(key) + suffix_bytes <= _MAX_NAME_BYTES
    return bool(sound) and fits and ".." not in key.split("/") and not key.startswith("__")


def _require_sound(sample: Sample, keys: set[str], path: Path) -> None:
    require_key(sample.key, str(path))
    if sample.key in keys:
        raise DatasetError(f"the key {sample.key!r} occurs twice", where=str(path))
    suffixes = {suffix for suffix, _ in sample.members}
    if not suffixes or len(suffixes) != len(sample.members):
        raise DatasetError(f"{sample.key!r} has no members, or two of one suffix", where=str(path))
    for suffix in suffixes:
        if not _PLAIN_SUFFIX.fullmatch(suffix):
            raise DatasetError(f"{sample.key!r} has a member with the suffix {suffix!r}", where=str(path))
    keys.add(sample.key)


def _sample_block(sample: Sample, path: Path) -> bytes:
    pieces: list[bytes] = []
    for suffix, content in sample.members:
        name = f"{sample.key}.{suffix}".encode("ascii")
        if len(name) > _MAX_NAME_BYTES or len(content) > _MAX_MEMBER_BYTES:
            raise DatasetError(
                f"{len(name)} bytes of name or {len(content)} of content do not fit into a tar",
                where=f"{path}: {sample.key}.{suffix}",
            )
        pieces += (_header(name, len(content)), content, bytes(-len(content) % tarfile.BLOCKSIZE))
    return b"".join(pieces)


# tarfile's own header, with a name and size to be filled in: building one from nothing costs 16 us a member.
_BLANK = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)
_BEFORE_SIZE = _BLANK[_MAX_NAME_BYTES:124]
_BEFORE_SUM = _BLANK[136:148]
_AFTER_SUM = _BLANK[156:]
# The checksum counts its own eight bytes as spaces.
_FIXED_SUM = sum(_BEFORE_SIZE) + sum(_BEFORE_SUM) + sum(_AFTER_SUM) + 8 * ord(" ")


def _header(name: bytes, size: int) -> bytes:
    octal = b"%011o\0" % size
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(name) + sum(octal[:11]))
    field = name.ljust(_MAX_NAME_BYTES, b"\0")
    return b"".join((field, _BEFORE_SIZE, octal, _BEFORE_SUM, checksum, _AFTER_SUM))


class _StrictTarInfo(tarfile.TarInfo):
    # tarfile takes a damaged or missing header for the end of the archive, and says nothing.
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if len(buf) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the tar ends early")
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise  # an empty block: the true end
            raise tarfile.ReadError(f"damaged tar header: {error}") from None
        if not 0 <= member.size <= _MAX_MEMBER_BYTES:
            raise tarfile.ReadError(f"damaged tar header: a member of {member.size} bytes")
        return member


def is_compressed(path: Path) -> bool:
    """Whether a file begins as gzip, bzip2, xz or zstd does.

    Raises:
        OSError: from the system.
    """
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))


def require_within(member: tarfile.TarInfo, length: int | None) -> None:
    """Raise ReadError unless a member can lie in its tar; extended headers may give it any size, below 0 too.

    Args:
        member: as tarfile reads it, before the next one is asked for, whose place hangs on it.
        length: bytes of the tar; None where it is compressed.
    """
    most = _MAX_MEMBER_BYTES if length is None else length - member.offset_data
    # What a sparse member takes in the tar only tarfile knows.
    if member.size < 0 or (member.size > most and not member.issparse()):
        raise tarfile.ReadError(f"damaged tar header: a member of {member.size} bytes")


def _read_members(path: Path, *, contents: bool = True) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    place = str(path)
    try:
        length = None if is_compressed(path) else path.stat().st_size
        with _open_tar(path) as tar:
            while (member := tar.next()) is not None:
                require_within(member, length)
                # Otherwise every header stays in memory to the end.
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue]
                if not member.isreg() or SKIPPED_NAMES.match(member.name):
                    continue
                place = f"{path}: at or after {member.name}"
                content = tar.extractfile(member) if contents else None
                yield member, content.read() if content else b""
            _read_to_end(tar)
    except (OSError, *_BROKEN) as error:
        # An argument that is invalid is a place that a damaged header tells.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise DatasetError(error.strerror or str(error), where=place) from None
        raise DatasetError(str(error), where=place, remedy=_MAKE_AGAIN) from None


def _read_to_end(tar: tarfile.TarFile) -> None:
    # Compressed files carry their checksums at their ends, behind the end of the tar.
    while tar.fileobj.read(1 << 20):
        pass


def _open_tar(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:*", tarinfo=_StrictTarInfo)
    except _BROKEN:
        # tarfile's own message has a line for every compression that it tried.
        raise DatasetError(
            "not a tar, or damaged at its start", where=str(path), remedy=_MAKE_AGAIN
        ) from None
