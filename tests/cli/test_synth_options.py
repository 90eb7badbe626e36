"""`lutkit synth`: presets, manifests and dataset folders by name; options for the damage."""

import json
import tomllib
from pathlib import Path

import pytest
from small_datasets import samples_of

import lutkit
from lutkit.distort.presets import PRESETS
from lutkit.distort.recipe import Recipe
from lutkit.synthesis.manifest import read_manifest

SMALL = ("--n", 24, "--size", 32, "-q")


def recipes_of(folder):
    return [Recipe.from_json(data["recipe"]) for _, _, data in samples_of(folder)]


def test_a_preset_is_built_by_its_name(lutkit_, photos):
    Path("film").mkdir()  # ./film would be meant by that name only
    assert lutkit_("synth", "film", *SMALL, "--images", photos, "--out", "out").code == 0
    assert read_manifest(Path("out/manifest.toml")).damage == lutkit.preset("film")
    known = {"stain", "light_leak", *dict(lutkit.preset("film").families)}
    assert {family.name for recipe in recipes_of(Path("out")) for family in recipe.families} <= set(known)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camra", "lutkit: unknown preset 'camra'; did you mean 'camera'?\n"),
        (
            "./camera",
            "lutkit: camera: not a dataset of lutkit: the folder has no manifest.toml; photos are named",
        ),
        ("x.toml", "lutkit: x.toml: cannot be read: No such file or directory; a manifest is a TOML file"),
        (
            "old.toml",
            "lutkit: old.toml [damage.families]: unknown family 'coloured_light'; it is now called 'lamp'\n",
        ),
    ],
)
def test_what_is_no_preset_manifest_or_dataset(name, words, lutkit_):
    Path("camera").mkdir()
    Path("old.toml").write_text("[damage.families]\ncoloured_light = 1\n")
    ended = lutkit_("synth", name)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(words)
    assert ended.err.count("\n") == 1


def test_damage_on_the_command_line_wins_over_the_manifest(lutkit_, photos):
    damage = (
        "--severity",
        "5,6",
        "--lossy",
        0,
        "--mixed-light",
        1,
        "--families",
        "illuminant,lamp=2,film_fade",
    )
    assert lutkit_("synth", "stage", *SMALL, "--images", photos, "--out", "out", *damage).code == 0
    asked = read_manifest(Path("out/manifest.toml")).damage
    assert (asked.severity, asked.lossy, asked.mixed_light) == ((5.0, 6.0), 0.0, 1.0)
    assert asked.families == (("illuminant", 1.0), ("lamp", 2.0), ("film_fade", 1.0))
    for _, _, data in samples_of(Path("out")):
        assert 4.95 <= data["severity"] <= 6.05
        assert Recipe.from_json(data["recipe"]).masks


def test_families_without_a_light_switch_mixed_light_off(lutkit_, photos):
    """A default that cannot apply is switched off; only an explicit option would be an error."""
    arguments = (*SMALL, "--images", photos, "--out", "out", "--families", "film_fade")
    assert lutkit_("synth", *arguments).code == 0
    assert read_manifest(Path("out/manifest.toml")).damage.mixed_light == 0
    ended = lutkit_("synth", "stage", *arguments)
    assert ended.code == 2
    assert ended.err.startswith("lutkit: --families: mixed_light is 0.6, but neither illuminant nor lamp has")
    assert ended.err.endswith("; name one of them too, or add --mixed-light 0\n")


def test_a_manifest_is_written_and_builds_the_same(lutkit_, photos):
    options = (*SMALL, "--images", photos, "--severity", "6,9")
    ended = lutkit_("synth", "camera", *options, "--write-manifest", "to/mine.toml")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert not Path("data").exists()
    written = Path("to/mine.toml").read_text()
    assert tomllib.loads(written)["damage"]["severity"] == [6.0, 9.0]
    assert tomllib.loads(written)["damage"]["labels"] == "any"
    assert "# " in written
    # Who names a share of labels wants it, whatever the preset says.
    assert lutkit_("synth", "camera", "--lossy", 0.1, "--write-manifest", "strict.toml").code == 0
    assert read_manifest(Path("strict.toml")).damage.labels == "wanted"
    assert lutkit_("synth", "to/mine.toml", "-q", "--out", "one").code == 0
    assert lutkit_("synth", "camera", *options, "--out", "two").code == 0
    shard = "shards/train-000000.tar"
    assert (Path("one") / shard).read_bytes() == (Path("two") / shard).read_bytes()


def test_a_manifest_is_not_written_over(lutkit_):
    Path("mine.toml").write_text("n = 3\n")
    ended = lutkit_("synth", "--write-manifest", "mine.toml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "lutkit: mine.toml: exists already; name a new file\n"
    assert Path("mine.toml").read_text() == "n = 3\n"
    said = lutkit_("synth", "--write-manifest", "other.toml").out
    assert said == "Wrote other.toml: `lutkit synth other.toml` builds it.\n"


@pytest.mark.parametrize("name", ["out", "out/manifest.toml"])
def test_a_dataset_is_gone_on_with_by_its_folder(name, lutkit_, photos):
    arguments = ("synth", "edits", "--size", 32, "-q", "--images", photos)
    assert lutkit_(*arguments, "--n", 24, "--out", "out").code == 0
    assert lutkit_("synth", name, "--n", 40, "-q").code == 0
    assert len(samples_of(Path("out"))) == 40
    assert not Path("data").exists()
    assert lutkit_(*arguments, "--n", 40, "--out", "whole").code == 0
    assert samples_of(Path("whole")) == samples_of(Path("out"))
    ended = lutkit_("synth", name, "--n", 40, "--severity", "5,6", "-q")
    assert ended.code == 2
    assert "begun with another manifest: damage.severity was [4.0, 20.0], is [5.0, 6.0]" in ended.err
    assert "40 pairs, and 30 are asked" in lutkit_("synth", name, "--n", 30, "-q").err


def test_damage_luts_with_a_manifest_that_names_no_families(lutkit_, photos, cube_folder):
    """`library_lut` has a share by default."""
    Path("part.toml").write_text("[damage]\nseverity = [1.0, 2.0]\n")
    arguments = ("part.toml", *SMALL, "--images", photos, "--damage-luts", cube_folder, "--out", "out")
    assert lutkit_("synth", *arguments).code == 0


def test_the_plan_and_the_summary_say_what_is_in_it(lutkit_, photos):
    kinds = ("--kinds", "distort=0.5,enhance=0.5", "--mixed-light", 0.4)
    arguments = ("synth", "--n", 40, "--size", 32, "--images", photos, *kinds)
    plan = " ".join(lutkit_(*arguments, "--dry-run").out.replace("\u2502", " ").split())
    assert "kinds distort 50%, enhance 50%" in plan
    assert "damage severity 4 to 20, 20% requested lossy, 40% under mixed light" in plan
    assert "looks 10 " in plan
    assert "pairs made as a trial)" in plan
    planned = json.loads(lutkit_(*arguments, "--dry-run", "--json").out)
    assert planned["kinds"] == {"distort": 0.5, "enhance": 0.5}
    assert (planned["mixed_light"], planned["looks"]) == (0.4, 10)
    done = " ".join(lutkit_(*arguments, "--out", "out").out.replace("\u2502", " ").split())
    found = [data for _, _, data in samples_of(Path("out"))]
    damaged = [Recipe.from_json(data["recipe"]) for data in found if data["recipe"]]
    mixed = sum(bool(recipe.masks) for recipe in damaged)
    assert f"mixed light {mixed / len(damaged):.0%} of the damaged pairs (40% requested)" in done
    lossy = [data["label"] == "lossy" for data in found if data["kind"] == "enhance"]
    assert f"enhance: recoverable {1 - sum(lossy) / len(lossy):.0%}" in done
    looks = {data["look"]["path"] for data in found} - {""}
    assert f"looks {len(looks)} of 10 used: " in done


def test_help_names_every_preset_and_the_defaults_as_they_are(lutkit_):
    told = " ".join(lutkit_("synth", "--help").out.split())
    assert all(name in told for name in PRESETS)
    default = lutkit.DamageSettings()
    low, high = default.severity
    for of in (f"natural colours. [default: {low:g},{high:g}]", f"0..1. [default: {default.lossy}]"):
        assert of in told
    assert f"part of the image. [default: {default.mixed_light}]" in told
