"""Photos of every depth with metadata, written and read back by libraries that are not lutkit's."""

import struct

import numpy as np
import OpenImageIO
from PIL import Image

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:own="http://example.org/own/" own:mood="wistful"/></rdf:RDF></x:xmpmeta>'
)
CAPTION, ORIENTATION, EXIF_IFD, EXPOSURE, COLOR_SPACE, GPS_IFD = 270, 274, 0x8769, 0x829A, 0xA001, 0x8825


def samples(dtype, channels, height=13, width=19, seed=3):
    """Noise in which no channel, row or column is like another."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random((height, width, channels)).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def exif(color_space=65535):
    """Caption, orientation 6, an exposure time and a latitude."""
    made = Image.Exif()
    made[CAPTION] = "over the hills"
    made[ORIENTATION] = 6
    made[EXIF_IFD] = {EXPOSURE: 0.008, COLOR_SPACE: color_space}
    made[GPS_IFD] = {1: "N", 2: (51.0, 30.0, 0.0)}
    return made


def adobe_rgb(gamma=563 / 256, space=b"RGB "):
    """A profile of three primaries and one exponent, those of Adobe RGB (1998) adapted to D50; or of grey."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = xyz(0.9642, 1.0, 0.8249)
    tags = {b"wtpt": white, b"desc": b"desc\0\0\0\0" + struct.pack(">I", 6) + b"Adobe\0" + b"\0" * 78}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {
            **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
            b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
            b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
            b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        }
    return profile(tags, space)


def xyz(x, y, z):
    """Three numbers as a tag."""
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))


def profile(tags, space=b"RGB "):
    """An ICC profile, version 2, of these tags."""
    start = 132 + 12 * len(tags)
    table, data = b"", b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(tag))
        data += tag + b"\0" * (-len(tag) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"\0" * 4, 0x02200000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def write_deep(path, pixels, kind, *, premultiplied=False, names=None, **attributes):
    """Write by OpenImageIO; `oiio__x` stands for the attribute `oiio:x`."""
    spec = OpenImageIO.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    if names is not None:
        spec.channelnames = names
    spec.alpha_channel = pixels.shape[2] - 1 if pixels.shape[2] in (2, 4) else -1
    if not premultiplied:
        spec.attribute("oiio:UnassociatedAlpha", 1)
    for name, value in attributes.items():
        spec.attribute(name.replace("__", ":"), value)
    out = OpenImageIO.ImageOutput.create(str(path))
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(pixels), out.geterror()
    out.close()


def read_deep(path):
    """Samples as stored, and OpenImageIO's description."""
    wanted = OpenImageIO.ImageSpec()
    wanted.attribute("oiio:UnassociatedAlpha", 1)
    file = OpenImageIO.ImageInput.open(str(path), wanted)
    assert file is not None, OpenImageIO.geterror()
    spec = file.spec()
    pixels = file.read_image(0, 0, 0, spec.nchannels, spec.format)
    file.close()
    return pixels, spec
