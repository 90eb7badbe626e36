"""The contest and the coverage of generators, tiny, on made-up data: their figures are correct."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SCENES = 30
IDENTITY = np.eye(9, 3, dtype=np.float32)


def load(name):
    # Under another name: `coverage` is that of a library that measures tests.
    spec = importlib.util.spec_from_file_location(f"lutkit_scripts_{name}", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def scripts(monkeypatch):
    """contest, coverage and generators, on one thread."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    contest, coverage = load("contest"), load("coverage")
    yield contest, coverage, sys.modules["generators"]
    torch.set_num_threads(before)
    for name in ("generators", "lutkit_scripts_contest", "lutkit_scripts_coverage"):
        sys.modules.pop(name, None)


def warm_mappings(scenes=SCENES):
    """Mappings that warm: red up, blue down, differently for each scene and rendering."""
    mappings = np.broadcast_to(IDENTITY, (scenes, 10, 9, 3)).copy()
    strength = (np.linspace(0.02, 0.3, scenes)[:, None] * np.linspace(0.5, 1, 10)).astype(np.float32)
    mappings[:, :, 0, 0] += strength
    mappings[:, :, 2, 2] -= strength
    return mappings


@pytest.fixture
def shared(tmp_path):
    """A folder of data laid out like the real one, with images that can be read in a few seconds."""
    rng = np.random.default_rng(0)
    for name in (
        "photos/imagenet",
        "photos/kodak",
        "real/white_balance",
        "real/inteltau",
        "real/fivek",
        "luts/wild/damaging",
        "reference",
        "peers/wb_augmenter",
    ):
        (tmp_path / name).mkdir(parents=True)

    def save(path, size=(40, 30)):
        coarse = rng.integers(20, 236, (5, 5, 3)).astype(np.uint8)
        image = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)
        image.save(tmp_path / path)
        return np.asarray(image)

    for number in range(6):
        save(f"photos/imagenet/{number}.jpg", (90, 70))
    for number in range(2):
        save(f"photos/kodak/{number}.png", (80, 64))
    keys = [
        "white_balance/a_F",
        "white_balance/8D5U5524_F",
        "white_balance/8D5U5524_S",
        "inteltau/s_001_0",
        "inteltau/s_001_1",
        *(f"fivek/f{number}" for number in range(6)),
    ]
    for key in keys:
        target = save(f"real/{key}.target.png")
        warm = np.clip(target * [1.15, 1.0, 0.85], 0, 255)
        Image.fromarray(np.rint(warm).astype(np.uint8)).save(tmp_path / f"real/{key}.input.png")
    corners = [(0.9 * r, g, b) for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    rows = "\n".join(f"{r} {g} {b}" for r, g, b in corners)
    (tmp_path / "luts/wild/damaging/less_red.cube").write_text(f"LUT_3D_SIZE 2\n{rows}\n")
    np.save(tmp_path / "reference/camera_mappings_even.npy", warm_mappings())
    augmenter = tmp_path / "peers/wb_augmenter"
    np.save(augmenter / "encoder_weights.npy", rng.normal(0, 0.1, (10800, 55)).astype(np.float32))
    np.save(augmenter / "encoder_bias.npy", np.zeros(10800, np.float32))
    np.save(augmenter / "features_even.npy", rng.normal(0, 0.1, (SCENES, 55)).astype(np.float32))
    return tmp_path


def photos(count=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 12, 3)).astype(np.uint8)


def test_the_contest_prints_a_row_a_generator_from_a_prepared_file_as_from_the_folder(
    scripts, shared, tmp_path, capsys
):
    contest = scripts[0]
    prepared = tmp_path / "contest.npz"
    contest.main(["--shared", str(shared), "--prepare", str(prepared)])
    assert "MiB" in capsys.readouterr().err
    same = [
        "--generators",
        "mappings,augmenter,jitter,default",
        "--seeds",
        "0,1",
        "--pairs",
        "12",
        "--steps",
        "4",
        "--workers",
        "1",
        "--device",
        "cpu",
    ]
    contest.main(["--shared", str(shared), *same])
    direct = capsys.readouterr().out
    contest.main(["--from", str(prepared), *same])
    assert capsys.readouterr().out == direct
    rows = {line.split("|")[1].strip(): line for line in direct.splitlines() if line.startswith("|")}
    assert set(rows) >= {
        "nothing",
        "grey world",
        "shades of grey",
        "mappings",
        "augmenter",
        "jitter",
        "default",
    }
    head = direct.splitlines()[0]
    assert "white balance: 1 pictures, 1 scene |" in head
    assert "8D5U5524: 2 pictures, 1 scene |" in head
    assert "INTEL-TAU: 2 pictures, 1 scene |" in head
    assert "FiveK: 6 pictures, 6 scenes |" in head
    assert "cubes: 2 pictures, 1 file" in head
    # Six scenes have an interval, one has none.
    assert "| 95% over scenes | FiveK |" in direct


def test_the_network_learns_to_undo_what_it_is_shown(scripts, shared):
    contest = scripts[0]
    material = contest.read_material(shared)
    inputs, targets = contest.damaged_pairs("mappings", material, 64, 0, 1)
    network = contest.train(inputs, targets, steps=120, seed=0, device="cpu")
    pairs = tuple(contest.Test("cubes", "a", *pair) for pair in zip(inputs, targets, strict=True))
    nothing = np.mean(contest.errors_of(lambda image: image, pairs, "cpu"))
    assert np.mean(contest.errors_of(contest.by_network(network, "cpu"), pairs, "cpu")) < 0.6 * nothing


def test_the_seed_makes_the_pairs(scripts, shared, monkeypatch):
    contest = scripts[0]
    monkeypatch.setattr(contest, "CHUNK", 4)
    material = contest.read_material(shared)
    first, truth = contest.damaged_pairs("jitter", material, 10, 3, 1)
    again, _ = contest.damaged_pairs("jitter", material, 10, 3, 1)
    other, _ = contest.damaged_pairs("jitter", material, 10, 4, 1)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(truth[:6], material.photos)


def test_any_number_of_workers_prints_the_same_table(shared):
    arguments = [
        "--shared",
        str(shared),
        "--generators",
        "jitter",
        "--seeds",
        "0",
        "--pairs",
        "1000",
        "--steps",
        "2",
        "--device",
        "cpu",
    ]
    command = [sys.executable, str(SCRIPTS / "contest.py"), *arguments]
    tables = [
        subprocess.run(
            [*command, "--workers", workers], capture_output=True, text=True, check=True, timeout=300
        ).stdout
        for workers in ("1", "2")
    ]
    assert tables[0] == tables[1]
    assert "| jitter |" in tables[0]


def test_grey_world_undoes_gains_in_linear_light(scripts):
    contest = scripts[0]
    linear = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0)) * 0.5
    linear *= linear[:, 1:2].mean() / linear.mean((2, 3), keepdim=True)

    def encoded(values):
        return 1.055 * values ** (1 / 2.4) - 0.055

    gains = torch.tensor([1.4, 1.0, 0.6])[None, :, None, None]
    linear = linear.clamp_min(0.01)
    linear *= linear[:, 1:2].mean() / linear.mean((2, 3), keepdim=True)
    found = contest.by_grey(1)(encoded(linear * gains))
    torch.testing.assert_close(found, encoded(linear), atol=1e-4, rtol=0)


def test_ties_are_those_inside_the_seeds_spread_and_few_scenes_have_no_interval(scripts):
    contest = scripts[0]
    picture = np.zeros((2, 2, 3), np.uint8)
    tests = tuple(contest.Test("FiveK", str(scene), picture, picture) for scene in range(6))
    results = {
        "a": contest.Result([[4.0] * 6, [6.0] * 6]),
        "b": contest.Result([[5.5] * 6, [8.0] * 6]),
        "c": contest.Result([[6.1] * 6, [6.2] * 6]),
    }
    assert contest.tied_with_best(results, tests, "FiveK") == {"a", "b"}
    assert contest.interval(results["a"], tests, "FiveK") == (5.0, 5.0)
    few = {"a": contest.Result([[4.0] * 5])}
    assert contest.interval(few["a"], tests[:5], "FiveK") is None


def test_a_scene_counts_once_however_many_pictures_it_has(scripts):
    contest = scripts[0]
    picture = np.zeros((2, 2, 3), np.uint8)
    tests = tuple(contest.Test("INTEL-TAU", scene, picture, picture) for scene in "aab")
    assert contest.seed_means(contest.Result([[1.0, 3.0, 8.0]]), tests, "INTEL-TAU").tolist() == [5.0]


def test_mapping_colours_follows_the_published_order(scripts):
    generators = scripts[2]
    rgb = np.array([0.2, 0.5, 0.7], np.float32)
    terms = [0.2, 0.5, 0.7, 0.04, 0.25, 0.49, 0.1, 0.14, 0.35]
    for row, term in enumerate(terms):
        mapping = np.zeros((9, 3), np.float32)
        mapping[row] = 1, 0.5, -1
        np.testing.assert_allclose(generators.map_colours(rgb, mapping), [term, term / 2, 0], atol=1e-6)


def test_the_histogram_has_red_over_the_others_where_the_port_says(scripts):
    generators = scripts[2]
    # One colour; u and v of the three planes are the logarithms of these ratios.
    red, green, blue = 0.8, 0.4, 0.1
    histogram = generators.colour_histogram(np.full((3, 3, 3), [red, green, blue], np.float32))
    assert histogram.shape == (10800,)
    ratios = ((red / blue, red / green), (green / blue, green / red), (blue / green, blue / red))
    width = 6.4 / 60
    expected = [
        3600 * plane
        + 60 * int((np.log(u) + 3.2 + width / 2) / width)
        + int((np.log(v) + 3.2 + width / 2) / width)
        for plane, (u, v) in enumerate(ratios)
    ]
    assert np.flatnonzero(histogram).tolist() == expected
    np.testing.assert_allclose(histogram[expected], 1)
    # Pixels with a channel at 0 do not count.
    assert generators.colour_histogram(np.zeros((3, 3, 3), np.float32)).sum() == 0


def test_the_augmenter_takes_the_nearest_scenes_own_mappings(scripts):
    generators = scripts[2]
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(10800, 55)).astype(np.float32)
    image = rng.random((20, 20, 3)).astype(np.float32)
    features = (generators.colour_histogram(image) @ weights + 9).repeat(SCENES).reshape(55, SCENES).T.copy()
    features[7] -= 9  # this scene's features are the picture's own; the others are far away
    measured = generators.Measured(warm_mappings(), weights, np.zeros(10800, np.float32), features)
    np.testing.assert_allclose(generators.renderings_of(image, measured), warm_mappings()[7], atol=1e-6)


def test_turning_the_hue_agrees_with_colorsys(scripts):
    import colorsys

    generators = scripts[2]
    colours = np.random.default_rng(0).random((50, 3))
    expected = []
    for colour in colours:
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        expected.append(colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value))
    np.testing.assert_allclose(generators.turn_hue(colours, 0.3), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["mappings", "augmenter", "jitter", "default"])
def test_generators_keep_shape_and_dtype_and_obey_the_seed(scripts, shared, name):
    generators = scripts[2]
    generator = generators.find_generator(name, generators.read_measured(shared))
    for images in (photos(), photos().astype(np.float32) / 255):
        before = images.copy()
        first, again, other = (generator(images, np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert first.shape == images.shape
        assert first.dtype == images.dtype
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        np.testing.assert_array_equal(images, before)


def test_a_generator_of_your_own_is_found_by_its_file(scripts, shared, tmp_path):
    generators = scripts[2]
    (tmp_path / "mine.py").write_text("def negative(images, rng):\n    return 255 - images\n")
    generator = generators.find_generator(f"{tmp_path}/mine.py:negative", generators.read_measured(shared))
    np.testing.assert_array_equal(generator(photos(), None), 255 - photos())
    with pytest.raises(ValueError, match="unknown generator 'defualt'; known are default, camera"):
        generators.find_generator("defualt", generators.read_measured(shared))


def test_the_nearest_is_exact(scripts):
    coverage = scripts[1]
    rng = np.random.default_rng(0)
    first, second = (rng.normal((50, 0, 0), 25, (count, 20, 3)) for count in (40, 30))
    apart = np.array([[delta_e_2000(one, other).mean() for other in second] for one in first])
    of_first, of_second = coverage.nearest(first, second)
    np.testing.assert_array_equal(of_first, apart.min(1))
    np.testing.assert_array_equal(of_second, apart.min(0))


def test_reach_measures_lightness_and_what_newly_clips(scripts):
    coverage = scripts[1]
    colours = np.array([[0.5, 0.5, 0.5], [1.0, 0.4, 0.2]], np.float32)
    damaged = np.array([[[0.6, 0.6, 0.6], [1.0, 1.3, 0.2]]], np.float32)
    reach = coverage.reach_of(colours, damaged)
    assert reach.clipped.tolist() == [1 / 6]  # one of six; red was clipped before
    change = (
        srgb_to_lab(np.clip(damaged[0], 0, 1).astype(float))[:, 0] - srgb_to_lab(colours.astype(float))[:, 0]
    )
    np.testing.assert_allclose(reach.lightness, change.mean())


def test_natural_colours_are_pixels_of_the_photographs(scripts):
    coverage = scripts[1]
    photo = np.random.default_rng(0).integers(0, 256, (160, 160, 3)).astype(np.uint8)
    colours = coverage.natural_colours([photo, photo[::-1]], 20)
    there = {tuple(pixel) for pixel in photo.reshape(-1, 3).tolist()}
    assert {tuple(np.rint(colour * 255).astype(int).tolist()) for colour in colours} <= there
    assert len({tuple(colour) for colour in colours.tolist()}) == 20


def test_coverage_says_more_of_draws_from_reality_than_of_none(scripts, shared, tmp_path):
    coverage = scripts[1]
    (tmp_path / "mine.py").write_text("def nothing(images, rng):\n    return images\n")
    rows = coverage.measure(
        coverage.options_of(
            [
                "--shared",
                str(shared),
                "--draws",
                "30",
                "--real",
                "40",
                "--generators",
                f"mappings,default,{tmp_path}/mine.py:nothing",
            ]
        )
    )
    mine = rows[f"{tmp_path}/mine.py:nothing"]
    assert rows["mappings"]["nearest draw, median"] < 1 < mine["nearest draw, median"]
    assert rows["mappings"]["within 2"] > mine["within 2"]
    assert mine["severity 95%"] == 0
    printed = coverage.table(rows, cubes=True).splitlines()
    assert len(printed) == 2 + len(rows)
    assert len({line.count("|") for line in printed}) == 1
