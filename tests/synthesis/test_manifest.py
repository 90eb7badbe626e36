"""Manifests are read strictly and written completely; the default manifest has the default values."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lutkit
from lutkit.distort.presets import PRESETS
from lutkit.distort.recipe import FAMILIES
from lutkit.distort.settings import DEFAULT_SHARES, LIGHTS, DamageSettings
from lutkit.errors import ManifestError
from lutkit.shipped import shipped_folder
from lutkit.synthesis.manifest import (
    ALL_LABELS,
    Images,
    Looks,
    Manifest,
    find_manifest,
    format_manifest,
    parse_manifest,
    read_manifest,
    read_recorded,
)
from lutkit.synthesis.manifest_page import manifest_page
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


def damage_settings(mixed_light, families, **others):
    """Mixed light needs a family that is a light."""
    has_light = any(name in LIGHTS and share > 0 for name, share in families)
    return DamageSettings(mixed_light=mixed_light if has_light else 0.0, families=families, **others)


manifests = st.builds(
    Manifest,
    n=st.integers(1, 10**9 - 1),
    seed=st.integers(0, 2**63 - 1),
    size_px=st.integers(8, 4096),
    crop=st.sampled_from(["center", "random"]),
    codec=st.sampled_from(["jpeg", "png", "webp"]),
    quality=st.integers(1, 100),
    images=st.builds(
        Images,
        texts.filter(bool),
        texts,
        min_side_px=st.integers(0, 9999),
        grey=st.sampled_from(["keep", "skip"]),
        max_cast=st.floats(0, 200),
        max_clipped=st.floats(0, 1),
    ),
    splits=tables(st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)),
    kinds=tables(st.sampled_from(tuple(PAIR_KINDS))),
    damage=st.builds(
        damage_settings,
        severity=ranges(0.1, 100),
        lossy=st.floats(0, 1),
        labels=st.sampled_from(["wanted", "any"]),
        mixed_light=st.floats(0, 1),
        max_families=st.integers(1, 3),
        families=tables(st.sampled_from([family.name for family in FAMILIES])),
    ),
    damage_luts=texts,
    looks=st.builds(
        Looks,
        texts,
        ranges(0.01, 1),
        ranges(0, 100),
        st.lists(st.sampled_from(ALL_LABELS), min_size=1).map(tuple),
    ),
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


def test_the_default_manifest_is_the_defaults():
    """`Manifest()` equals the manifest of `lutkit synth` without arguments, including `library_lut`."""
    assert read_manifest(DEFAULT) == Manifest()
    assert dict(Manifest().damage.families)["library_lut"] > 0


@pytest.mark.parametrize("name", PRESETS)
def test_the_manifest_of_a_preset_is_what_the_script_writes(name, tmp_path):
    """If this fails, run scripts/make_manifests.py."""
    shipped = shipped_folder("manifests") / f"{name}.toml"
    script = Path(__file__).resolve().parents[2] / "scripts" / "make_manifests.py"
    subprocess.run([sys.executable, "-W", "error", script, tmp_path], check=True, timeout=120)
    assert (tmp_path / f"{name}.toml").read_text("utf-8") == shipped.read_text("utf-8")
    assert sorted(path.stem for path in shipped.parent.iterdir()) == sorted(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_s_manifest_is_its_settings_and_the_defaults(name):
    path, folder = find_manifest(name)
    assert read_manifest(path) == Manifest(damage=lutkit.preset(name))
    assert folder is None
    assert path.read_text("utf-8").startswith(f"# {PRESETS[name].purpose}\n")


def test_kinds_are_drawn_alike_however_they_are_listed():
    one = parse_manifest("[kinds]\nenhance = 1\ndistort = 2\n", "x")
    other = parse_manifest("[kinds]\ndistort = 2\n'distort+enhance' = 0\nenhance = 1\n", "x")
    assert one == other
    assert one.kinds == (("distort", 2.0), ("enhance", 1.0))


# The page


@given(manifests)
def test_a_manifest_survives_its_page(manifest):
    assert parse_manifest(manifest_page(manifest, ["For a test."]), "x.toml") == manifest
    assert parse_manifest(manifest_page(manifest), "x.toml") == manifest


@given(manifests)
def test_a_page_shows_every_key(manifest):
    page = tomllib.loads(manifest_page(manifest))
    assert set(keys_of(tomllib.loads(format_manifest(manifest)))) <= set(keys_of(page))


# What NAME means


def test_a_folder_called_as_a_preset_is_named_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("camera").mkdir()
    Path("camera/manifest.toml").write_text("n = 7\n")
    assert find_manifest("camera")[0].parent.name == "manifests"
    assert find_manifest("./camera") == (Path("camera/manifest.toml"), Path("camera"))


def test_a_dataset_s_manifest_knows_its_folder(tmp_path):
    for name in ("records", "shards"):
        (tmp_path / name).mkdir()
    (tmp_path / "manifest.toml").write_text("")
    assert find_manifest(str(tmp_path)) == (tmp_path / "manifest.toml", tmp_path)
    assert find_manifest(str(tmp_path / "manifest.toml")) == (tmp_path / "manifest.toml", tmp_path)
    (tmp_path / "other.toml").write_text("")
    assert find_manifest(str(tmp_path / "other.toml")) == (tmp_path / "other.toml", None)


def test_what_is_no_manifest_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"^unknown preset 'camra'; did you mean 'camera'\?$"):
        find_manifest("camra")
    with pytest.raises(
        ManifestError, match=r"^'PHOTOS' is no preset \(default, .*photos are named with --im"
    ):
        find_manifest("PHOTOS")
    with pytest.raises(
        ManifestError, match=r"not a dataset of lutkit: the folder has no manifest\.toml; photos"
    ):
        find_manifest(str(tmp_path))


def keys_of(table, prefix=""):
    for key, value in table.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{key}.")


def test_the_default_manifest_shows_every_key_there_is():
    shown = set(keys_of(tomllib.loads(DEFAULT.read_text())))
    every = set(keys_of(tomllib.loads(format_manifest(read_manifest(DEFAULT)))))
    assert shown == every | {f"kinds.{kind}" for kind in PAIR_KINDS if kind != "distort"}
    assert {f"damage.families.{name}" for name, share in DEFAULT_SHARES if share} <= shown
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
        ("[damage]\nlossy = 2", "x.toml [damage]: lossy is 2.0, but must be a share, 0..1"),
        ("[damage]\nseverity = [nan, 3]", "x.toml: severity is nan, not a finite number"),
        ("[damage.families]\nillumnant = 1", "[damage.families]: unknown family 'illumnant'; did you mean"),
        ("[damage.families]\nilluminant = 0", "no family has a share above 0"),
        ("[splits]\n", "splits is at least one share above 0"),
        ("[splits]\n'a b' = 1", "lower-case letters, digits and _, not 'a b'"),
        ("n = 1\nn = 2", "x.toml: not TOML: "),
        ("damage_luts = 'x'", "x.toml: unknown key 'damage_luts'; write path under [damage]"),
        ("[kinds]\nenhnce = 1", "x.toml [kinds]: unknown kind 'enhnce'; did you mean 'enhance'?"),
        ("[images]\ngrey = 'drop'", "x.toml [images]: images.grey is keep or skip, not 'drop'"),
        ("[images]\nmax_clipped = 2", "x.toml [images]: images.max_clipped is a share, 0..1 (off), not 2.0"),
        ("[images]\nmax_cast = -1", "images.max_cast is 0 (off) to 200 units of CIELAB, not -1.0"),
        ("[images]\nmin_side_px = -1", "images.min_side_px is 0 pixels or more, not -1"),
        ("[looks]\nlabels = []", "looks.labels is one or more of recoverable, lossy, not []"),
        (
            "[looks]\nlabels = ['good']",
            "x.toml [looks]: looks.labels is one or more of recoverable, lossy, not 'good'",
        ),
        ("[looks]\nlabels = 'lossy'", "is a list of 'recoverable', 'lossy', not 'lossy'"),
        ("[looks]\nseverity = [8, 4]", "looks.severity is two numbers, 0 <= low <= high <= 100"),
        (
            "[damage.families]\ncoloured_light = 1",
            "x.toml [damage.families]: unknown family 'coloured_light'; it is now called 'lamp'",
        ),
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


def test_splits_without_end_are_refused():
    splits = "\n".join(f"s{i} = 1" for i in range(100_000))
    with pytest.raises(ManifestError, match="splits is at most 100 names, not 100000"):
        parse_manifest(f"[splits]\n{splits}\n", "x.toml")
    kinds = "\n".join(f"k{i} = 1" for i in range(100_000))
    with pytest.raises(ManifestError, match="kinds is at most 100 names, not 100000"):
        parse_manifest(f"[kinds]\n{kinds}\n", "x.toml")
    assert len(Manifest(splits=tuple((f"s{i}", 1.0) for i in range(100))).splits) == 100


@pytest.mark.parametrize("make", [lambda p: None, Path.mkdir, lambda p: p.write_bytes(b"\xff")])
def test_files_that_cannot_be_read(make, tmp_path):
    make(tmp_path / "m.toml")
    with pytest.raises(ManifestError, match=r"m\.toml: (cannot be read|not TOML): ") as caught:
        read_manifest(tmp_path / "m.toml")
    assert "\n" not in str(caught.value)
