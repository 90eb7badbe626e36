"""Manifests: strictly read, wholly written, and the default one says what it does."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.distort.recipe import FAMILIES
from lutkit.distort.settings import DEFAULT_SHARES, DamageSettings
from lutkit.errors import ManifestError
from lutkit.shipped import shipped_folder
from lutkit.synthesis.manifest import (
    Images,
    Looks,
    Manifest,
    format_manifest,
    parse_manifest,
    read_manifest,
    read_recorded,
)
from lutkit.synthesis.pair import PAIR_KINDS

DEFAULT = shipped_folder("manifests") / "default.toml"

numbers = st.floats(0, 1000, allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


def ranges(low, high):
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(lambda pair: tuple(sorted(pair)))


def tables(names):
    return st.lists(st.tuples(names, numbers), min_size=1, max_size=4, unique_by=lambda pair: pair[0]).map(
        tuple
    ).filter(lambda shares: sum(share for _, share in shares) > 0)  # fmt: skip


manifests = st.builds(
    Manifest,
    n=st.integers(1, 10**9 - 1),
    seed=st.integers(0, 2**63 - 1),
    size_px=st.integers(8, 4096),
    crop=st.sampled_from(["center", "random"]),
    codec=st.sampled_from(["jpeg", "png", "webp"]),
    quality=st.integers(1, 100),
    images=st.builds(Images, texts.filter(bool), texts),
    splits=tables(st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)),
    kinds=tables(st.sampled_from(tuple(PAIR_KINDS))),
    damage=st.builds(
        DamageSettings,
        severity=ranges(0.1, 100),
        lossy=st.floats(0, 1),
        mixed_light=st.floats(0, 1),
        families=tables(st.sampled_from([family.name for family in FAMILIES])),
    ),
    damage_luts=texts,
    looks=st.builds(Looks, texts, ranges(0.01, 1)),
)


@given(manifests)
def test_a_manifest_survives_its_text(manifest):
    assert parse_manifest(format_manifest(manifest), "x.toml") == manifest


@given(manifests)
def test_what_is_recorded_beside_it_is_no_part_of_it(manifest):
    recorded = {"libraries": {"numpy": "2.0"}, "looks": {"a b.cube": "00"}}
    assert parse_manifest(format_manifest(manifest, recorded), "x.toml") == manifest


def test_what_is_recorded_is_read_back(tmp_path):
    recorded = {"libraries": {"numpy": "2.0"}, "looks": {}}
    (tmp_path / "m.toml").write_text(format_manifest(Manifest(), recorded))
    assert read_recorded(tmp_path / "m.toml") == recorded
    (tmp_path / "m.toml").write_text(format_manifest(Manifest()))
    assert read_recorded(tmp_path / "m.toml") == {}


# The default manifest


def test_the_default_manifest_is_the_defaults_but_for_what_it_says():
    """`library_lut` is drawn where files ship to draw from; a `Manifest()` of Python draws from none."""
    manifest = read_manifest(DEFAULT)
    shares = dict(manifest.damage.families)
    assert shares.pop("library_lut") == 0.5
    expected = dict(DEFAULT_SHARES)
    assert expected.pop("library_lut") == 0
    assert shares == expected
    plain = dataclasses.replace(manifest, damage=Manifest().damage, kinds=Manifest().kinds)
    assert plain == Manifest()
    assert dict(manifest.kinds) == {"distort": 1.0, "enhance": 0.0, "distort+enhance": 0.0}
    damage = dataclasses.replace(manifest.damage, families=DEFAULT_SHARES)
    assert damage == DamageSettings()


def keys_of(table, prefix=""):
    for key, value in table.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{key}.")


def test_the_default_manifest_shows_every_key_there_is():
    shown = set(keys_of(tomllib.loads(DEFAULT.read_text())))
    every = set(keys_of(tomllib.loads(format_manifest(read_manifest(DEFAULT)))))
    assert shown == every
    assert {f"damage.families.{family.name}" for family in FAMILIES} <= shown
    assert {f"kinds.{kind}" for kind in PAIR_KINDS} <= shown
    assert len(FAMILIES) == len(DEFAULT_SHARES)


def test_every_setting_of_the_default_manifest_is_explained():
    lines = [line for line in DEFAULT.read_text().splitlines() if line and not line.startswith("#")]
    plain = {"train", "val", "test"}
    bare = [line for line in lines if "#" not in line and not line.startswith("[")]
    assert {line.split(" ")[0] for line in bare} <= plain


# Strictness


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeed = 1", "x.toml: unknown key 'seeed'; did you mean 'seed'?"),
        ("zzz = 1", "x.toml: unknown key 'zzz'; known are n, seed, size_px"),
        ("[damage]\npaht = 'x'", "x.toml [damage]: unknown key 'paht'; did you mean 'path'?"),
        ("[looks]\nstrenght = [1, 1]", "x.toml [looks]: unknown key 'strenght'; did you mean 'strength'?"),
        ("[images]\nsource = 3", "x.toml: [images] source is text, not 3"),
        ("n = '3'", "x.toml: n is a whole number, not '3'"),
        ("quality = 95.0", "x.toml: quality is a whole number, not 95.0"),
        ("splits = 3", "x.toml: splits is a table, not 3"),
        ("[damage]\nseverity = [1, 2, 3]", "x.toml: [damage] severity is two numbers, not [1, 2, 3]"),
        ("[damage]\nseverity = [1, true]", "x.toml: [damage] severity is a number, not True"),
        ("[damage]\nlossy = 2", "x.toml [damage]: lossy is a share, 0..1, not 2.0"),
        ("[damage]\nseverity = [nan, 3]", "x.toml [damage]: severity is two numbers"),
        ("[damage.families]\nillumnant = 1", "[damage.families]: unknown family 'illumnant'; did you mean"),
        ("[damage.families]\nilluminant = 0", "no family has a share above 0"),
        ("[splits]\n", "splits is at least one share above 0"),
        ("[splits]\n'a b' = 1", "lower-case letters, digits and _, not 'a b'"),
        ("n = 1\nn = 2", "x.toml: not TOML: "),
        ("damage_luts = 'x'", "x.toml: unknown key 'damage_luts'; write path under [damage]"),
        ("[kinds]\nenhnce = 1", "x.toml [kinds]: unknown kind 'enhnce'; did you mean 'enhance'?"),
        ("[images]\nsource = ''", "x.toml: images.source is a folder, a glob, a list, tars"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "x.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_numbers_will_do_for_shares():
    assert parse_manifest("[splits]\ntrain = 9\nval = 1", "x").splits == (("train", 9.0), ("val", 1.0))


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 0}, {"n": 10**9}, {"seed": -1}, {"seed": 2**63},
        {"size_px": 7}, {"size_px": 4097}, {"quality": 101},
        {"codec": "gif"}, {"crop": "left"}, {"store": "both"}, {"splits": ()}, {"kinds": ()},
        {"splits": (("a", 1.0), ("a", 2.0))}, {"splits": (("a.b", 1.0),)}, {"splits": (("a-b", 1.0),)},
        {"kinds": (("undo", 1.0),)}, {"splits": (("a", float("inf")),)},
        {"store": "recipe", "codec": "jpeg"}, {"images": {"source": ""}},
        {"store": "recipe", "codec": "png", "kinds": (("distort+enhance", 1.0),)},
    ],
)  # fmt: skip
def test_values_that_mean_nothing_are_refused(changes):
    with pytest.raises(ManifestError):
        Manifest(**{name: Images(**v) if name == "images" else v for name, v in changes.items()})


def test_paths_are_relative_to_the_manifest_s_folder(tmp_path):
    text = "images.source = 'in'\ndamage.path = 'luts'\nlooks.path = '/abs'\n"
    (tmp_path / "m.toml").write_text(text)
    manifest = read_manifest(tmp_path / "m.toml")
    assert manifest.images.source == str(tmp_path / "in")
    assert manifest.damage_luts == str(tmp_path / "luts")
    assert manifest.looks.path == "/abs"
    (tmp_path / "m.toml").write_text("images.source = 'sample'\n")
    manifest = read_manifest(tmp_path / "m.toml")
    assert (manifest.images.source, manifest.damage_luts, manifest.looks.path) == ("sample", "", "")


@pytest.mark.parametrize("make", [lambda p: None, Path.mkdir, lambda p: p.write_bytes(b"\xff")])
def test_files_that_cannot_be_read(make, tmp_path):
    make(tmp_path / "m.toml")
    with pytest.raises(ManifestError, match=r"m\.toml: cannot be read: ") as caught:
        read_manifest(tmp_path / "m.toml")
    assert "\n" not in str(caught.value)
