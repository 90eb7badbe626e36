"""Tags of TIFFs of either byte order, and of broken ones."""

import io
import struct

import numpy as np
import pytest
import stored_photos as made
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lutkit.errors import ImageError
from lutkit.photos.tiff_tags import exif_block, mended_exif, photo_tags, read_tags, with_tags


def big_endian():
    """Make, orientation, an exposure time behind a pointer, and a width that belongs to the pixels."""
    make = b"Asahi Optical\0"
    head = b"MM\0*" + struct.pack(">I", 8)
    inner_at = 8 + 2 + 4 * 12 + 4 + len(make)
    entries = struct.pack(">HHIHH", 256, 3, 1, 40, 0)
    entries += struct.pack(">HHII", 271, 2, len(make), 8 + 2 + 4 * 12 + 4)
    entries += struct.pack(">HHIHH", 274, 3, 1, 8, 0)
    entries += struct.pack(">HHII", 0x8769, 4, 1, inner_at)
    inner = struct.pack(">H", 1) + struct.pack(">HHII", 0x829A, 5, 1, inner_at + 18) + b"\0\0\0\0"
    return head + struct.pack(">H", 4) + entries + b"\0\0\0\0" + make + inner + struct.pack(">II", 1, 125)


def test_big_endian_tags_are_written_little_endian_as_pillow_reads_them():
    block = exif_block(photo_tags(read_tags(big_endian())[0]))
    found = Image.Exif()
    found.load(block)
    assert block[:2] == b"II"
    assert dict(found)[271] == "Asahi Optical"
    assert dict(found)[274] == 8
    assert 256 not in found
    assert float(found.get_ifd(0x8769)[0x829A]) == 1 / 125


def test_big_tiff_is_read():
    entries = struct.pack("<HHQQ", 274, 3, 1, 3) + struct.pack("<HHQQ", 330, 16, 1, 7)
    data = b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", 2) + entries + b"\0" * 8
    tags, following = read_tags(data)
    assert (tags[274].number(), tags[330].number(), following) == (3, 7, {})
    assert (tags[330].kind, len(tags[330].data)) == (4, 4)


def test_tags_are_put_into_a_tiff_that_stays_readable():
    out = io.BytesIO()
    pixels = made.samples(np.uint8, 3)
    Image.fromarray(pixels).save(out, "TIFF", description="from the encoder")
    tags = photo_tags(read_tags(big_endian())[0])
    del tags[274]  # Pillow would turn the pixels
    with Image.open(io.BytesIO(with_tags(out.getvalue(), tags))) as image:
        assert image.tag_v2[271] == "Asahi Optical"
        assert 270 not in image.tag_v2
        assert np.array_equal(np.asarray(image), pixels)


def test_a_thumbnail_is_unlinked_in_either_byte_order():
    for order in "<>":
        name = b"II*\0" if order == "<" else b"MM\0*"
        block = name + struct.pack(f"{order}IH", 8, 1) + struct.pack(f"{order}HHIHH", 274, 3, 1, 6, 0)
        linked = block + struct.pack(f"{order}I", 26) + b"the thumbnail's own tags"
        assert mended_exif(linked, now_srgb=False) == block + b"\0\0\0\0" + linked[26:]


def test_what_makes_no_sense_is_given_back():
    for block in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff" + b"\0" * 20, b"nonsense nonsense"):
        assert mended_exif(block, now_srgb=True) == block


def test_many_tags_that_share_bytes_take_no_more_memory_than_the_file():
    count = 4000
    place = 10 + 12 * count + 4
    entries = b"".join(struct.pack("<HHII", 40000 + i, 7, 1_000_000, place) for i in range(count))
    data = b"II*\0" + struct.pack("<IH", 8, count) + entries + b"\0\0\0\0" + b"x" * 1_000_000
    assert sum(len(field.data) for field in read_tags(data)[0].values()) <= len(data)


@given(data=st.binary(max_size=200), start=st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b""]))
def test_any_bytes_give_tags_or_one_kind_of_error(data, start):
    try:
        tags, _ = read_tags(start + data)
    except ImageError:
        return
    exif_block(photo_tags(tags))
    assert len(mended_exif(start + data, now_srgb=True)) == len(start + data)


def test_no_tiff_is_refused():
    with pytest.raises(ImageError, match="not an image"):
        read_tags(b"RIFF and so on and so on")
    with pytest.raises(ImageError, match="did not produce a plain TIFF"):
        with_tags(big_endian(), {})
