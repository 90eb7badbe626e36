"""WebDataset tars: shards that are written with the same bytes every time and read as a stream of samples.

A sample is a key and its members; a member is named `{key}.{suffix}`. Must not know what members hold, and
must not import webdataset, which would load torch into every worker.
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

# USTAR has an octal size of eleven digits and a name of a hundred bytes.
_MAX_MEMBER_BYTES = 8**11 - 1
_MAX_NAME_BYTES = 100
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST = 1 << 48  # more than any disk holds, and small enough to add up
_SPLIT = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)
_PLAIN_NAME = re.compile(r"(?:[!-.0-~]+/)*[!-.0-~]+")
_PLAIN_SUFFIX = re.compile(r"[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)*")
# Members that webdataset skips: its metadata, at the root or in a folder of that kind.
SKIPPED_NAMES = re.compile(r"__[^/]*__(?:$|/)")
# The exceptions that the standard library raises for damaged tars and damaged compression.
_BROKEN = (tarfile.TarError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError)
_MAKE_AGAIN = "the file is damaged or was cut off: make it again"


@dataclass(frozen=True, slots=True)
class Sample:
    """The content of one key of a shard.

    Args:
        key: the members' common name, up to the first dot of its last part.
        members: (suffix, content) in the tar's order; the suffix is in lower case and without its dot.
    """

    key: str
    members: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A written shard: the number of samples, the size in bytes, and the sha256 of the file in hex.

    Raises:
        DatasetError: if a number is impossible for a shard, or the sha256 is not valid.
    """

    samples: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not (0 <= self.samples < _MOST and 0 < self.bytes < _MOST):
            raise DatasetError(f"a shard cannot have {self.samples} samples in {self.bytes} bytes")
        if not _SHA256.fullmatch(self.sha256):
            raise DatasetError(f"{self.sha256!r} is not a sha256 in hex")


def write_shard(path: Path, samples: Iterable[Sample]) -> ShardFile:
    """Write `samples` as a tar whose bytes depend only on them.

    The tar is USTAR with modification time 0, owner and group 0 without names, and mode 0644. It is written
    under a temporary name, flushed to disk and renamed (see `lutkit.dataset.atomic.whole_file`). If anything
    raises an exception, `samples` included, `path` is unchanged.

    Args:
        path: the shard; its folder must exist.
        samples: in the order of writing; taken one at a time, so a generator keeps memory small.
    Raises:
        DatasetError: if a key is empty, not printable ASCII, used twice, or would be cut at a dot by readers;
            if a sample has no members or a suffix twice; if a member is too long for the format.
        OSError: from the system, for instance ENOSPC if the disk is full.
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
        # Two empty blocks end a tar; tar programs pad it to whole records.
        end = bytes(-(length + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE)
        digest.update(end)
        file.write(end)
    return ShardFile(len(keys), length + len(end), digest.hexdigest())


def split_member(name: str) -> tuple[str, str]:
    """Return key and suffix of a member as in webdataset; the suffix in lower case, empty without a dot."""
    split = _SPLIT.fullmatch(name)
    return (split[1], split[2].lower()) if split else (name, "")


def read_samples(path: Path) -> Iterator[Sample]:
    """Stream the samples of a tar, grouped as in webdataset.

    A key is a member's name up to the first dot of its last part; the rest, in lower case, is its suffix.
    Adjacent members of one key form a sample. Names without a dot, folders, links and webdataset's own
    `__name__` entries are skipped.

    Args:
        path: a tar, plain or compressed with gzip, bzip2 or xz.
    Yields:
        Samples in the tar's order, with one in memory at a time.
    Raises:
        DatasetError: if there is no such file, it is not a tar, it is damaged or ends early (the last sound
            member is named), or a sample has two members of the same name.
    """
    for sample in _adjacent_samples(path):
        names = [suffix for suffix, _ in sample.members]
        for suffix in names:
            if names.count(suffix) > 1:
                where = f"{path}: {sample.key}.{suffix}"
                raise DatasetError("this name occurs twice in its sample", where=where)
        yield sample


def read_joined_samples(path: Path) -> Iterator[Sample]:
    """Stream the samples of any tar, whose members need not be adjacent; each key occurs once.

    Names are handled as in `read_samples`. A name that occurs twice is yielded twice: the caller decides what
    to do with such a sample. The headers are read first, and again if keys are scattered.

    Yields:
        Samples in the order of their first members, with one in memory at a time.
    Raises:
        DatasetError: if there is no such file, it is not a tar, it is damaged or ends early, or it is
            compressed and has scattered keys.
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

    A key is printable ASCII without spaces. It does not begin with `__`, which readers reserve. Its parts are
    joined by `/`, and the last part has no dot.
    """
    if not is_storable_key(key):
        raise DatasetError(
            f"readers would not get the key {key!r} back",
            where=where,
            remedy="use printable ASCII, not empty, without spaces or a dot in the last part",
        )


def is_storable_key(key: str, suffix_bytes: int = 0) -> bool:
    """Return whether a shard may hold a sample with this key: see `require_key`.

    Args:
        key: the key.
        suffix_bytes: the length of its longest suffix, with its dot; the name with it must fit.
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
        raise DatasetError(f"{sample.key!r} has no members, or a suffix twice", where=str(path))
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
                f"{len(name)} bytes of name or {len(content)} bytes of content do not fit into a tar",
                where=f"{path}: {sample.key}.{suffix}",
            )
        pieces += (_header(name, len(content)), content, bytes(-len(content) % tarfile.BLOCKSIZE))
    return b"".join(pieces)


# tarfile's own header, without name and size: building a header from nothing takes 16 us for each member.
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
    # tarfile silently takes a damaged or missing header for the end of the archive.
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if len(buf) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the tar ends early")
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise  # an empty block is the real end
            raise tarfile.ReadError(f"damaged tar header: {error}") from None
        if not 0 <= member.size <= _MAX_MEMBER_BYTES:
            raise tarfile.ReadError(f"damaged tar header: a member of {member.size} bytes")
        return member


def is_compressed(path: Path) -> bool:
    """Return whether a file begins like gzip, bzip2, xz or zstd.

    Raises:
        OSError: from the system.
    """
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))


def require_within(member: tarfile.TarInfo, length: int | None) -> None:
    """Raise ReadError unless a member fits in its tar; extended headers may state any size, even below 0.

    Args:
        member: as tarfile read it, before the next member is read, whose position depends on this size.
        length: the size of the tar in bytes; None if it is compressed.
    """
    most = _MAX_MEMBER_BYTES if length is None else length - member.offset_data
    # Only tarfile knows how many bytes a sparse member takes in the tar.
    if member.size < 0 or (member.size > most and not member.issparse()):
        raise tarfile.ReadError(f"damaged tar header: a member of {member.size} bytes")


def _read_members(path: Path, *, contents: bool = True) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    place = str(path)
    try:
        length = None if is_compressed(path) else path.stat().st_size
        with _open_tar(path) as tar:
            while (member := tar.next()) is not None:
                require_within(member, length)
                # Otherwise the headers of all members stay in memory.
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue]
                if not member.isreg() or SKIPPED_NAMES.match(member.name):
                    continue
                place = f"{path}: at or after {member.name}"
                content = tar.extractfile(member) if contents else None
                yield member, content.read() if content else b""
            _read_to_end(tar)
    except (OSError, *_BROKEN) as error:
        # "Invalid argument" comes from an impossible offset in a damaged header.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise DatasetError(error.strerror or str(error), where=place) from None
        raise DatasetError(str(error), where=place, remedy=_MAKE_AGAIN) from None


def _read_to_end(tar: tarfile.TarFile) -> None:
    # Compressed files have their checksums at their ends, after the end of the tar.
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
