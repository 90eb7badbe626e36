"""The contract of a shard of pairs: every field, its type and meaning, and that it fits the images."""

import dataclasses
import hashlib
import io
import json
import tarfile
from collections import Counter
from itertools import pairwise

import colour
import numpy as np
import pytest
import scipy.stats
from inverting import are_told, best_inverse
from PIL import Image
from small_datasets import SIZE_PX, build, make_photos, manifest_of, samples_of, textured

import lutkit
from lutkit.color.palette import PALETTE_SRGB
from lutkit.distort.bake import bake, damage, steps_of
from lutkit.distort.labels import JUDGED_SIDE
from lutkit.distort.mask import mask_places
from lutkit.distort.recipe import Recipe
from lutkit.errors import ImageError, ManifestError, SourceError
from lutkit.lut.quality import MAX_CLIPPED_SHARE, MAX_FOLD_SHARE, MIN_ROUND_TRIP_DB, judge_steps
from lutkit.lutfiles.library import luts_by_sha256, read_library
from lutkit.photos.encoding import CODEC_SUFFIX
from lutkit.shipped import shipped_folder
from lutkit.synthesis.build import plan_synth
from lutkit.synthesis.manifest import Images, Looks, Manifest
from lutkit.synthesis.plan import sample_number
from lutkit.synthesis.sample import prepare_target
from lutkit.synthesis.summary import result_of, result_rows

# What the default draws `library_lut` from.
LIBRARY = lutkit.lut_library()

MIXED = (("distort", 1.0), ("enhance", 1.0), ("distort+enhance", 1.0))

# DESIGN.md, section 3.
FIELDS = {
    "key": str, "split": str, "kind": str, "label": str, "severity": float, "delta_e_2000": float,
    "clipped": float, "source": dict, "crop": list, "recipe": str, "look": dict,
}  # fmt: skip
SOURCE = {"path": str, "sha256": str, "width": int, "height": int, "notes": str}
LOOK = {"path": str, "sha256": str, "strength": float}


@pytest.fixture(scope="module")
def mixed(photos, tmp_path_factory):
    """Pairs of every kind as PNG, with looks of our own; returns the folder of the dataset and the looks."""
    work = tmp_path_factory.mktemp("mixed")
    (work / "looks").mkdir()
    rows = [(r, g, b) for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    for name, gain in (("warm", 0.9), ("cold", 0.8)):
        table = "\n".join(f"{gain * r + 0.05} {0.8 * g + 0.1 * r} {0.7 * b + 0.1 * g}" for r, g, b in rows)
        (work / f"looks/{name}.cube").write_text(f"LUT_3D_SIZE 2\n{table}\n")
    looks = Looks(str(work / "looks"), (0.5, 1.0))
    build(manifest_of(photos, n=240, codec="png", kinds=MIXED, looks=looks), work / "out")
    return work


def pixels_of(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def on_grid(pixels):
    places = ((np.arange(JUDGED_SIDE) + 0.5) * len(pixels) / JUDGED_SIDE).astype(int)
    return pixels[np.ix_(places, places)].reshape(-1, 3)


def types_of(data):
    """Return the type of every field, including inner fields and items of lists."""
    if isinstance(data, dict):
        return {name: types_of(value) for name, value in data.items()}
    if isinstance(data, list):
        assert data, "an empty list has no type"
        assert len({type(item) for item in data}) == 1
        return [type(data[0])]
    return type(data)


def assert_contract(data):
    assert list(data) == list(FIELDS)
    assert {name: type(value) for name, value in data.items()} == FIELDS
    assert {name: type(value) for name, value in data["source"].items()} == SOURCE
    assert {name: type(value) for name, value in data["look"].items()} == LOOK
    assert [type(value) for value in data["crop"]] == [int] * 4
    assert data["kind"] in ("distort", "enhance", "distort+enhance")
    assert data["label"] in ("recoverable", "lossy")
    assert 0 <= data["clipped"] <= 1
    assert np.isfinite([data["severity"], data["delta_e_2000"], data["look"]["strength"]]).all()


# Members


@pytest.mark.parametrize("name", ["jpeg_700", "png_300"])
def test_members_lie_in_the_contract_s_order_adjacent_with_fixed_owner_and_time(name, request):
    folder = request.getfixturevalue(name)
    suffix = "jpg" if name.startswith("jpeg") else "png"
    for shard in sorted((folder / "shards").iterdir()):
        split, _, index = shard.stem.rpartition("-")
        with tarfile.open(shard) as tar:
            members = tar.getmembers()
        count = len(members) // 3
        keys = [f"{split}-{int(index) * 256 + i:09d}" for i in range(count)]
        assert [m.name for m in members] == [
            f"{key}.{member}" for key in keys for member in (f"input.{suffix}", f"target.{suffix}", "json")
        ]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
            (0, 0, 0, "", "", 0o644)
        }


def test_jpegs_are_444_and_of_the_asked_size_and_quality(jpeg_700):
    for _, members, _ in samples_of(jpeg_700)[::50]:
        for name in ("input.jpg", "target.jpg"):
            with Image.open(io.BytesIO(members[name])) as image:
                assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIZE_PX, SIZE_PX))
                # (id, horizontal, vertical sampling, table) of each component, from the SOF marker.
                assert {layer[1:3] for layer in image.layer} == {(1, 1)}
                assert image.quantization[0][0] == 2  # the luma DC step of quality 95


@pytest.mark.parametrize("codec", ["png", "webp"])
def test_lossless_codecs_hold_the_same_pixels_under_their_own_suffix(codec, photos, tmp_path):
    build(manifest_of(photos, n=40, codec=codec, splits=(("train", 1.0),)), tmp_path / "out")
    build(manifest_of(photos, n=40, codec="png", store="recipe", splits=(("train", 1.0),)), tmp_path / "ref")
    suffix = CODEC_SUFFIX[codec]
    for (_, members, data), (_, other, _) in zip(
        samples_of(tmp_path / "out"), samples_of(tmp_path / "ref"), strict=True
    ):
        assert list(members) == [f"input.{suffix}", f"target.{suffix}", "json"]
        target = pixels_of(members[f"target.{suffix}"])
        assert np.array_equal(target, pixels_of(other["target.png"]))
        replayed = damage(target, Recipe.from_json(data["recipe"]), LIBRARY)
        assert np.array_equal(pixels_of(members[f"input.{suffix}"]), replayed)


# Fields


@pytest.mark.parametrize("name", ["jpeg_700", "png_300", "mixed"])
def test_every_field_is_there_with_its_one_type(name, request):
    folder = request.getfixturevalue(name)
    samples = samples_of(folder / "out" if name == "mixed" else folder)
    for key, _, data in samples:
        assert_contract(data)
        assert (data["key"], data["split"]) == (key, key.rpartition("-")[0])
    first = types_of(samples[0][2])
    assert all(types_of(data) == first for _, _, data in samples)


def test_the_contract_s_assertion_fails_where_it_should():
    good = {
        "key": "a", "split": "a", "kind": "distort", "label": "lossy", "severity": 1.0, "delta_e_2000": 1.0,
        "clipped": 0.0, "source": {"path": "", "sha256": "", "width": 1, "height": 1, "notes": ""},
        "crop": [0, 0, 1, 1], "recipe": "[]", "look": {"path": "", "sha256": "", "strength": 0.0},
    }  # fmt: skip
    assert_contract(good)
    for change in ({"severity": 1}, {"crop": []}, {"look": None}, {"label": "x"}, {"more": 1}):
        with pytest.raises(AssertionError):
            assert_contract(good | change)


def test_sources_are_the_photos_and_crops_are_what_was_cut(photos, png_300):
    sizes = {}
    for _, members, data in samples_of(png_300):
        source, (x, y, width, height) = data["source"], data["crop"]
        file = photos / source["path"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == source["sha256"]
        with Image.open(file) as image:
            turned = image.getexif().get(0x0112, 1) > 4
            size = image.size[::-1] if turned else image.size
        assert (source["width"], source["height"]) == size
        assert source["notes"] == ("rotated by EXIF" if turned else "")
        assert width == height
        assert 0 <= x <= x + width <= size[0]
        assert 0 <= y <= y + height <= size[1]
        assert width >= 0.6 * min(size) - 1
        sizes.setdefault(source["path"], set()).add(tuple(data["crop"]))
        target = pixels_of(members["target.png"])
        assert target.shape == (SIZE_PX, SIZE_PX, 3)
    assert len(sizes) == 30
    assert max(len(crops) for crops in sizes.values()) > 3


@pytest.mark.parametrize("turned", [1, 6, 3])
def test_the_target_is_the_upright_crop(turned, tmp_path):
    """Compared with Pillow, which rotates, crops and resizes with slightly different arithmetic."""
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = turned
    pixels = textured(5, 160, 110)
    Image.fromarray(pixels).save(tmp_path / "in/a.png", exif=exif)
    build(manifest_of(tmp_path / "in", n=1, codec="png"), tmp_path / "out")
    [(_, members, data)] = samples_of(tmp_path / "out")
    upright = {1: pixels, 6: np.rot90(pixels, -1), 3: np.rot90(pixels, 2)}[turned]
    x, y, width, height = data["crop"]
    expected = Image.fromarray(np.ascontiguousarray(upright)).resize(
        (SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC, box=(x, y, x + width, y + height)
    )
    difference = np.abs(np.asarray(expected).astype(int) - pixels_of(members["target.png"]))
    assert (data["source"]["width"], data["source"]["height"]) == upright.shape[1::-1]
    assert width == height == 110
    assert difference.max() <= 2


def test_center_crops_are_the_largest_square_in_the_middle(jpeg_700):
    for _, _, data in samples_of(jpeg_700):
        (x, y, width, height), source = data["crop"], data["source"]
        assert width == height == min(source["width"], source["height"])
        assert abs((source["width"] - width) / 2 - x) <= 0.5
        assert abs((source["height"] - height) / 2 - y) <= 0.5


def test_splits_share_no_photo_and_epochs_use_each_once(jpeg_700):
    used = {}
    for key, _, data in samples_of(jpeg_700):
        used.setdefault(key.rpartition("-")[0], []).append(data["source"]["path"])
    assert {split: len(set(paths)) for split, paths in used.items()} == {"train": 24, "val": 4, "test": 2}
    assert not set(used["train"]) & set(used["val"])
    assert not set(used["train"] + used["val"]) & set(used["test"])
    epochs = [used["train"][start : start + 24] for start in range(0, 600, 24)]
    assert all(len(set(epoch)) == 24 for epoch in epochs)
    assert all(one != other for one, other in pairwise(epochs))


# Where photos come from


def sources_for(photos, tmp_path):
    """Return every kind of source, with the `source.path` of each of its photos, by the photo's name."""
    some = ["beach-01.jpg", "beach-02.png", "trip/beach-05.jpg"]
    (tmp_path / "list.txt").write_text("".join(f"in/{name}\n" for name in some))
    (tmp_path / "in").symlink_to(photos)
    with tarfile.open(tmp_path / "some.tar", "w") as tar:
        for name in some:
            tar.add(photos / name, name)
    return {
        "folder": (str(photos), {name: name for name in some}),
        "glob": (str(photos / "beach-0*"), {name: name for name in some[:2]}),
        "deep glob": (f"{tmp_path}/*/**/*.jpg", {n: f"in/{n}" for n in (some[0], some[2])}),
        "list": (str(tmp_path / "list.txt"), {name: f"in/{name}" for name in some}),
        "tar": (str(tmp_path / "some.tar"), {name: f"some.tar/{name}" for name in some}),
    }


@pytest.mark.parametrize("kind", ["folder", "glob", "deep glob", "list", "tar"])
def test_every_kind_of_source_records_paths_and_the_same_pixels(kind, photos, tmp_path):
    source, paths = sources_for(photos, tmp_path)[kind]
    manifest = manifest_of(photos, n=90, codec="png", images=Images(source), splits=(("train", 1.0),))
    build(manifest, tmp_path / "out")
    found = {data["source"]["path"]: data for _, _, data in samples_of(tmp_path / "out")}
    for name, recorded in paths.items():
        sha256 = hashlib.sha256((photos / name).read_bytes()).hexdigest()
        assert found[recorded]["source"]["sha256"] == sha256


def test_a_dataset_of_ours_is_a_source_of_its_targets(jpeg_700, tmp_path):
    build(manifest_of(jpeg_700, n=20, splits=(("train", 1.0),)), tmp_path / "out")
    known = {
        (hashlib.sha256(members["target.jpg"]).hexdigest(), f"{key}.target.jpg")
        for key, members, _ in samples_of(jpeg_700)
    }
    for _, _, data in samples_of(tmp_path / "out"):
        tar, _, member = data["source"]["path"].rpartition("/")
        assert (data["source"]["sha256"], member) in known
        assert tar == f"{member.partition('-')[0]}-{int(member[-20:-11]) // 256:06d}.tar"


# What the kinds mean, to the bit


def test_damage_replayed_and_looks_applied_give_the_stored_pixels(mixed):
    looks = {file.path: file for file in read_library(mixed / "looks")}
    photos_of = {}
    kinds = Counter()
    for _, members, data in samples_of(mixed / "out"):
        inputs, target = pixels_of(members["input.png"]), pixels_of(members["target.png"])
        recipe = Recipe.from_json(data["recipe"]) if data["recipe"] else Recipe()
        look = data["look"]
        kinds[data["kind"]] += 1
        if data["kind"] == "distort":
            assert look == {"path": "", "sha256": "", "strength": 0.0}
            assert np.array_equal(lutkit.damage(target, recipe, LIBRARY), inputs)
            photo = target
        elif data["kind"] == "enhance":
            assert data["recipe"] == ""
            photo = inputs
        else:
            assert recipe.families
            photo = photos_of.get(data["source"]["path"])
            if photo is not None:
                assert np.array_equal(lutkit.damage(photo, recipe, LIBRARY), inputs)
        if data["kind"] != "distort":
            assert look["sha256"] == looks[look["path"]].sha256
            assert 0.5 <= look["strength"] <= 1
            if photo is not None:
                graded = lutkit.apply(photo, looks[look["path"]].lut, strength=look["strength"])
                assert np.array_equal(graded, target)
        if photo is not None:
            photos_of.setdefault(data["source"]["path"], photo)
    assert len(photos_of) > 20
    # A third of 240 each, within four standard deviations.
    assert all(abs(kinds[kind] - 80) < 30 for kind, _ in MIXED)


def test_a_damaging_lut_of_the_user_s_is_drawn_and_replayed(photos, cube_folder, tmp_path):
    damage_settings = lutkit.DamageSettings(severity=(1.0, 3.0), families=(("library_lut", 1.0),))
    manifest = manifest_of(
        photos, n=30, codec="png", damage=damage_settings, damage_luts=str(cube_folder),
        splits=(("train", 1.0),),
    )  # fmt: skip
    build(manifest, tmp_path / "out")
    library = luts_by_sha256(read_library(cube_folder))
    named = set()
    for _, members, data in samples_of(tmp_path / "out"):
        recipe = json.loads(data["recipe"])
        named.add(recipe["editing"][0]["sha256"])
        replayed = damage(pixels_of(members["target.png"]), Recipe.from_json(data["recipe"]), library)
        assert np.array_equal(replayed, pixels_of(members["input.png"]))
    assert named == set(library)


# What was measured


def test_labels_are_the_verdict_on_the_crop(png_300):
    """Folds and the round trip are judged on a grid of pixels, clipping on every pixel."""
    labels = Counter()
    for _, members, data in samples_of(png_300):
        target, damaged = (pixels_of(members[f"{side}.png"]) for side in ("target", "input"))
        colors, recipe = on_grid(target) / 255, Recipe.from_json(data["recipe"])
        centres = (np.arange(JUDGED_SIDE) + 0.5) / JUDGED_SIDE
        places = [mask_places(mask, centres, centres).reshape(-1) for mask in recipe.masks]
        verdict = judge_steps(colors, steps_of(bake(recipe, LIBRARY), places, len(colors)))
        was, is_now = ((pixels == 0) | (pixels == 255) for pixels in (target, damaged))
        clipped = (is_now & ~was).any(axis=-1).mean()
        kept = verdict.fold_share < MAX_FOLD_SHARE and verdict.round_trip_db >= MIN_ROUND_TRIP_DB
        assert data["label"] == ("recoverable" if kept and clipped < MAX_CLIPPED_SHARE else "lossy")
        labels[data["label"]] += 1
    assert labels["lossy"] > 30


@pytest.mark.parametrize("name", ["png_300", "mixed"])
def test_delta_e_and_clipping_are_those_of_the_pair(name, request):
    folder = request.getfixturevalue(name)
    for _, members, data in samples_of(folder / "out" if name == "mixed" else folder)[::3]:
        pair = [pixels_of(members[f"{side}.png"]).reshape(-1, 3) for side in ("input", "target")]
        lab = [colour.XYZ_to_Lab(colour.sRGB_to_XYZ(codes / 255.0)) for codes in pair]
        expected = colour.delta_E(*lab, method="CIE 2000").mean()
        assert data["delta_e_2000"] == pytest.approx(expected, rel=1e-3, abs=1e-3)
        after, before = pair if data["kind"] != "enhance" else pair[::-1]
        newly = ((after == 0) & (before != 0)) | ((after == 255) & (before != 255))
        assert data["clipped"] == pytest.approx(newly.any(axis=1).mean(), abs=1e-5)


def test_about_a_fifth_is_lossy(jpeg_700):
    """The manifest requests 20%, but a few draws cannot get the label that they want."""
    lossy = sum(data["label"] == "lossy" for _, _, data in samples_of(jpeg_700))
    assert 0.14 < lossy / 700 < 0.28


def test_where_any_label_will_do_the_first_draw_stays(photos, tmp_path):
    settings = dataclasses.replace(lutkit.preset("camera"), severity=(12.0, 24.0))
    assert settings.labels == "any"
    found = {}
    for labels in ("any", "wanted"):
        damage = dataclasses.replace(settings, labels=labels)
        build(manifest_of(photos, n=80, splits=(("train", 1.0),), damage=damage), tmp_path / labels)
        found[labels] = [data for _, _, data in samples_of(tmp_path / labels)]
    for i, data in enumerate(found["any"]):
        recipe = lutkit.sample_recipe(0, sample_number("train", i), settings=settings)
        assert Recipe.from_json(data["recipe"]) == recipe
    count = {name: sum('"exposure"' in data["recipe"] for data in found[name]) for name in found}
    # Strong casts clip: where pictures without clipping are wanted, wrong exposures take their place.
    assert count["any"] < 0.25 * 80 < 0.4 * 80 < count["wanted"]
    assert {data["label"] for data in found["any"]} == {"lossy", "recoverable"}


def test_severities_fill_the_range(jpeg_700):
    """Other tests check that draws are uniform; this test checks that samples are uniform, too."""
    severities = np.array([data["severity"] for _, _, data in samples_of(jpeg_700)])
    assert severities.min() >= 3.8
    assert severities.max() <= 20.2
    assert scipy.stats.kstest(severities, scipy.stats.uniform(4, 16).cdf).pvalue > 1e-4


def test_photos_made_twice_are_the_same(tmp_path):
    """The tests' own photos must be the same each time, because other tests compare results from them."""
    one, other = make_photos(tmp_path / "a", 8), make_photos(tmp_path / "b", 8)
    names = sorted(p.relative_to(one) for p in one.rglob("*.*"))
    assert len(names) == 8
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


# What is called recoverable comes back from what a dataset stores, inverted from the stored input alone.


EVERY = 3  # pixels each way: a third of rows and of columns is enough and quick


def _comes_back_db(stored, target, recipe, *, flattened_too):
    """Return the PSNR after the inverse; of a clamped pixel, any colour that the clamp maps to it counts."""
    layers = bake(recipe, LIBRARY)
    height, width = stored.shape[:2]
    x, y = ((np.arange(side) + 0.5)[::EVERY] / side for side in (width, height))
    places = [mask_places(mask, x, y).reshape(-1) for mask in recipe.masks]
    colours, sought = (codes[::EVERY, ::EVERY].reshape(-1, 3) / 255.0 for codes in (stored, target))
    back = best_inverse(layers, places, colours)
    kept = flattened_too | are_told(layers, places, sought, back)
    return -10 * np.log10(max(((back[kept] - sought[kept]) ** 2).mean(), 1e-12))


def test_every_recoverable_sample_comes_back_from_the_stored_input(png_300):
    found = {}
    for stored, target, metadata in list(lutkit.pairs(png_300))[::4]:
        if metadata["label"] == "recoverable":
            recipe = Recipe.from_json(metadata["recipe"])
            found[metadata["key"]] = _comes_back_db(stored, target, recipe, flattened_too=False)
    assert len(found) > 45
    # The gate judges other pixels of the crop than are looked at here, by half a decibel.
    assert min(found.values()) >= MIN_ROUND_TRIP_DB - 0.5, min(found.items(), key=lambda item: item[1])


def test_much_of_what_is_lossy_does_not_come_back(png_300):
    lossy = [
        _comes_back_db(stored, target, Recipe.from_json(metadata["recipe"]), flattened_too=True)
        for stored, target, metadata in lutkit.pairs(png_300)
        if metadata["label"] == "lossy"
    ]
    assert np.median(lossy) < 45
    assert min(lossy) < MIN_ROUND_TRIP_DB


# Photographs and looks that a manifest leaves out


def _photo_bytes(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _with_cast(pixels, gains):
    return np.clip(np.rint(pixels * np.array(gains)), 0, 255).astype(np.uint8)


def _fits(pixels, **images):
    """Return the reason why a photo is left out; empty if it is not left out."""
    manifest = Manifest(size_px=SIZE_PX, images=Images(**images))
    try:
        prepare_target(_photo_bytes(pixels), "a.png", manifest, 0)
    except ImageError as error:
        return error.what
    return ""


def test_small_photos_are_left_out_where_that_is_asked():
    assert _fits(textured(1, 160, 90), min_side_px=90) == ""
    assert _fits(textured(1, 160, 90), min_side_px=91) == "shorter side under min_side_px"


def test_grey_photos_are_left_out_where_that_is_asked():
    grey = np.repeat(textured(1, 160, 90)[..., 1:2], 3, axis=2)
    nearly = grey.copy()
    nearly[..., 0] += (np.arange(160) % 2).astype(np.uint8)  # as JPEG leaves it
    dotted = grey.copy()
    dotted[40:44, :] = (200, 30, 40)  # a thin red line is colour: 4 of 90 rows
    for picture in (grey, nearly):
        assert _fits(picture) == ""
        assert _fits(picture, grey="skip") == "grey"
    assert _fits(dotted, grey="skip") == ""
    sepia = _with_cast(grey, (1.0, 0.85, 0.6))
    assert _fits(sepia, grey="skip") == ""


def test_casts_are_measured_as_stats_does(photos):
    """The limit applies to the distance of the mean a and b from grey, as colour-science computes it."""
    picture = _with_cast(textured(2, 120, 100), (1.0, 0.9, 0.6))
    lab = colour.XYZ_to_Lab(colour.sRGB_to_XYZ(picture.reshape(-1, 3) / 255.0))
    cast = float(np.hypot(*lab[:, 1:].mean(axis=0)))
    assert cast > 5
    assert _fits(picture, max_cast=cast + 0.1) == ""
    assert _fits(picture, max_cast=cast - 0.1) == "cast beyond max_cast"


@pytest.mark.parametrize("end", [0, 255])
def test_clipped_photos_are_left_out_where_that_is_asked(end):
    """A pixel counts if one of its channels is at an end; the larger share of the two ends is compared."""
    picture = np.clip(textured(3, 100, 100), 1, 254)
    picture[:20, :, 2] = end
    picture[50:60, :, 0] = 255 - end
    assert _fits(picture, max_clipped=0.2) == ""
    assert _fits(picture, max_clipped=0.199) == "more clipped than max_clipped"


def test_photos_left_out_are_rejects_with_their_reason(photos, tmp_path):
    mixed = tmp_path / "in"
    make_photos(mixed, 6)
    for i in range(3):
        Image.fromarray(textured(i, 120, 100)).convert("L").save(mixed / f"grey-{i}.png")
    images = Images(str(mixed), grey="skip")
    result = build(manifest_of(mixed, n=40, images=images), tmp_path / "out")
    assert [(reject.path, reject.reason) for reject in result.rejects] == [
        (f"grey-{i}.png", "grey") for i in range(3)
    ]
    plan = plan_synth(manifest_of(mixed, n=40, images=images))
    rows = dict(result_rows(result_of(plan, result, tmp_path / "sheet.png", 1.0, ())))
    assert rows["rejected"].startswith("3 photos: 3 x grey\n")
    used = {data["source"]["path"] for _, _, data in samples_of(tmp_path / "out")}
    assert not any(path.startswith("grey") for path in used)


def test_without_a_fit_photo_the_setting_is_named(tmp_path):
    make_photos(tmp_path / "in", 4)
    images = Images(str(tmp_path / "in"), min_side_px=2000)
    message = r"none of the 4 photos can be used: 4 x shorter side under .*; lower \[images\] min_side_px"
    with pytest.raises(SourceError, match=message):
        plan_synth(manifest_of(tmp_path / "in", images=images))


def test_looks_keep_to_their_severity_and_label(photos, tmp_path):
    """With the shipped looks, every enhance pair is recoverable, and its severity is 4..7, judged anew."""
    looks = Looks(severity=(4.0, 7.0), labels=("recoverable",))
    manifest = manifest_of(photos, n=60, codec="png", kinds=(("enhance", 1.0),), looks=looks)
    build(manifest, tmp_path / "out")
    library = {file.path: file for file in read_library(shipped_folder("luts"))}
    seen = Counter()
    for _, _, data in samples_of(tmp_path / "out"):
        assert data["label"] == "recoverable"
        look = library[data["look"]["path"]]
        colours = PALETTE_SRGB.astype(np.float32)
        graded = lutkit.apply(colours[None], look.lut, strength=data["look"]["strength"])[0]
        lab = [colour.XYZ_to_Lab(colour.sRGB_to_XYZ(rgb.astype(np.float64))) for rgb in (colours, graded)]
        severity = colour.delta_E(*lab, method="CIE 2000").mean()
        assert data["severity"] == pytest.approx(severity, abs=0.02)
        assert 4.0 <= data["severity"] <= 7.0
        seen[data["look"]["path"]] += 1
    assert len(seen) > 2


def test_no_look_as_wanted_is_an_error_of_one_line(photos):
    looks = Looks(severity=(60.0, 70.0), labels=("recoverable",))
    message = (
        r"^\[looks\]: none of \d+ looks is recoverable and of a severity of 60 to 70; they come to .*; widen"
    )
    with pytest.raises(ManifestError, match=message):
        plan_synth(manifest_of(photos, kinds=(("enhance", 1.0),), looks=looks))


def test_totals_tell_labels_by_kind_mixed_light_and_looks(mixed):
    records = [json.loads(path.read_text())["summary"] for path in sorted((mixed / "out/records").glob("*"))]
    totals, expected = Counter(), Counter()
    for summary in records:
        totals.update(summary)
    for _, _, data in samples_of(mixed / "out"):
        recipe = Recipe.from_json(data["recipe"]) if data["recipe"] else Recipe()
        expected.update([f"kind {data['kind']}", f"label {data['label']}"])
        expected.update([f"{data['kind']} label {data['label']}"])
        expected.update({f"family {family.name}" for family in recipe.families})
        expected.update([f"look {data['look']['path']}"] if data["look"]["path"] else [])
        expected.update(["light mixed"] if recipe.masks else [])
        expected.update(["note enlarged"] if "enlarged" in data["source"]["notes"] else [])
    assert totals == expected
    assert totals["light mixed"] > 5
