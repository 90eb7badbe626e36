"""Damage on tensors: `lutkit.damage` and `lutkit.sample_recipe` are the oracles."""

import copy
import dataclasses
import doctest
import os
import threading
from itertools import chain

import numpy as np
import pytest
import torch
from gpus import needs_cuda
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import lutkit
from lutkit.distort.bake import bake
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.mask import Mask
from lutkit.distort.presets import PRESETS
from lutkit.distort.recipe import Recipe
from lutkit.errors import ArrayError, ManifestError, RecipeError
from lutkit.lut.model import Lut1D, Lut3D
from lutkit.nn import damage as damage_module
from lutkit.nn import own_draws
from lutkit.nn.baked_damage import pack_damage, through_tables, unpack_damage
from lutkit.nn.damage import DamageTransform, RandomDamage, damage_batch

QUICK = lutkit.DamageSettings(families={"exposure": 1, "tone_curve": 1}, mixed_light=0)
# From Python 3.12 on a fork beside threads warns; the fork of these waits for them.
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def _noise(*shape):
    return np.random.default_rng(9).random(shape).astype(np.float32)


# LUT files of each kind that bakes to something else: curves, a cube, and a cube of 2^3 that is no matrix.
LIBRARY = {
    "1" * 64: Lut1D(np.sort(_noise(7, 3), axis=0), (-0.1, 0.0, 0.0), (1.0, 1.2, 1.0)),
    "3" * 64: Lut3D(_noise(3, 4, 5, 3)),
    "2" * 64: Lut3D(_noise(2, 2, 2, 3)),
}
FILES = [Recipe(editing=(LibraryLut(sha256, strength),)) for sha256 in LIBRARY for strength in (1.0, 0.4)]
MASK = Mask((0.3, -0.7, 1.0, 1.5, 0.2, -2.0), 2.5)


def draws_of_every_preset(count=12):
    return [
        lutkit.sample_recipe(5, number, settings=preset.settings)
        for preset in PRESETS.values()
        for number in range(count)
    ]


RECIPES = [*draws_of_every_preset(), *FILES, Recipe()]


def photos(count, height=33, width=47, dtype=np.uint8):
    """Colours of all kinds, dark ones above all, with different rows, columns and channels."""
    values = np.random.default_rng(3).random((count, height, width, 3)) ** [2.0, 1.5, 3.0]
    return (values * 255.999).astype(np.uint8) if dtype == np.uint8 else values.astype(dtype)


def to_tensor(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def to_arrays(images):
    return images.detach().permute(0, 2, 3, 1).numpy()


def damaged_one_by_one(images, recipes):
    return np.stack([lutkit.damage(i, r, LIBRARY) for i, r in zip(images, recipes, strict=True)])


def baked(recipes):
    return pack_damage(recipes, [bake(recipe, LIBRARY) for recipe in recipes])


def assert_within_a_code(ours, expected):
    """In codes: more than one in under 0.1% of values, and never more than two."""
    scale = 1 if expected.dtype == np.uint8 else 255
    codes = np.abs(ours.astype(np.float64) - expected) * scale
    assert codes.max() <= 2
    assert (codes > 1).mean() < 1e-3


def test_the_helper_finds_differences():
    black = np.zeros((1, 40, 40, 3), np.uint8)
    assert_within_a_code(black + 1, black)
    for wrong, share in ((3, 1), (2, 4)):
        other = black.copy()
        other[0, :share, :4] = wrong
        with pytest.raises(AssertionError):
            assert_within_a_code(other, black)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("threads", [1, 2])
def test_on_the_cpu_results_are_the_bits_of_damage(dtype, threads):
    images = photos(len(RECIPES), dtype=dtype)
    torch.set_num_threads(threads)
    damaged = damage_batch(to_tensor(images), RECIPES, library=LIBRARY)
    torch.set_num_threads(1)
    np.testing.assert_array_equal(to_arrays(damaged), damaged_one_by_one(images, RECIPES))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_dtype_memory_format_and_the_given_images_stay(dtype, form):
    images = to_tensor(photos(3, dtype=np.uint8 if dtype == torch.uint8 else np.float32))
    images = images.to(dtype).contiguous(memory_format=form)
    kept = images.clone()
    recipes = RECIPES[:3]
    for damaged in (damage_batch(images, recipes), through_tables(images, baked(recipes))):
        assert damaged.dtype == dtype
        assert damaged.shape == images.shape
        assert damaged.is_contiguous(memory_format=form)
        assert torch.equal(images, kept)
        if dtype == torch.float64:
            expected = damaged_one_by_one(to_arrays(images).astype(np.float32), recipes)
            np.testing.assert_allclose(to_arrays(damaged), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_operations_on_tensors_agree_with_damage_for_every_kind_of_recipe(dtype):
    images = photos(len(RECIPES), dtype=dtype)
    damaged = through_tables(to_tensor(images), baked(RECIPES))
    assert_within_a_code(to_arrays(damaged), damaged_one_by_one(images, RECIPES))


def test_recipes_hold_every_reading_masks_and_strengths():
    groups = baked(RECIPES).groups
    layers = [layer for group in groups for layer in group.layers]
    assert {stage.reading for layer in layers for stage in layer.stages} == {"curves", "matrix", "cube"}
    assert {layer.waves for layer in layers} == {0, 3, 4}
    assert any(layer.patch for layer in layers)
    assert any(layer.follows for layer in layers)
    assert any(layer.blended and not layer.waves for layer in layers)
    assert any(len(group.members) > 1 for group in groups)
    assert any(not group.layers for group in groups)


def test_images_larger_than_a_chunk_and_of_one_group():
    images = photos(2, 190, 211)
    recipe = next(r for r in RECIPES if r.masks)
    damaged = through_tables(to_tensor(images), baked([recipe] * 2))
    assert_within_a_code(to_arrays(damaged), damaged_one_by_one(images, [recipe] * 2))


def test_baked_damage_goes_to_another_process_and_gives_the_same():
    images = photos(len(RECIPES))
    sent = copy.deepcopy(baked(RECIPES)).to("cpu")
    assert len(sent) == len(RECIPES)
    damaged = damage_batch(to_tensor(images), sent)
    assert_within_a_code(to_arrays(damaged), damaged_one_by_one(images, RECIPES))
    for layers, recipe in zip(unpack_damage(sent), RECIPES, strict=True):
        expected = bake(recipe, LIBRARY)
        assert [layer.mask is None for layer in layers] == [layer.mask is None for layer in expected]
        assert [layer.strength for layer in layers] == pytest.approx([e.strength for e in expected])


def test_gradients_are_the_slopes():
    recipes = [next(r for r in RECIPES if r.masks and r.masks[0].follows), FILES[1], FILES[2], Recipe()]
    images = to_tensor(photos(4, 3, 5, np.float64) * 0.9 + 0.05).requires_grad_()
    weights = torch.from_numpy(np.random.default_rng(4).random((4, 3, 3, 5)))
    total = (damage_batch(images, recipes, library=LIBRARY) * weights).sum()
    (slopes,) = torch.autograd.grad(total, images)
    step = 1e-6
    for place in ((0, 0, 1, 2), (0, 2, 2, 4), (1, 1, 0, 3), (2, 2, 1, 1), (3, 0, 0, 0)):
        ends = []
        for sign in (1, -1):
            moved = images.detach().clone()
            moved[place] += sign * step
            # With gradients asked for: only then is float64 computed in float64.
            moved.requires_grad_()
            moved_total = (damage_batch(moved, recipes, library=LIBRARY) * weights).sum()
            ends.append(float(moved_total.detach()))
        assert float(slopes[place]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-7)
    with torch.no_grad():
        assert not damage_batch(images.float(), recipes, library=LIBRARY).requires_grad


@needs_cuda
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_cuda_agrees_with_damage(dtype):
    images = photos(len(RECIPES), dtype=dtype)
    expected = damaged_one_by_one(images, RECIPES)
    on_card = to_tensor(images).cuda()
    for recipes in (RECIPES, baked(RECIPES).pin_memory()):
        damaged = damage_batch(on_card, recipes, library=LIBRARY)
        assert_within_a_code(to_arrays(damaged.cpu()), expected)


def drawn(numbers, seed=11, settings=QUICK):
    return [lutkit.sample_recipe(seed, number, settings=settings) for number in numbers]


def test_random_damage_draws_as_sample_recipe_and_damages_as_damage():
    random_damage = RandomDamage(QUICK, 11)
    for dtype, first in ((np.uint8, 0), (np.float32, 3)):
        images = photos(3, dtype=dtype)
        damaged, recipes = random_damage(to_tensor(images))
        assert list(recipes) == drawn(range(first, first + 3))
        expected = damaged_one_by_one(images, recipes)
        np.testing.assert_array_equal(
            to_arrays(damaged), expected if dtype == np.uint8 else expected.clip(0, 1)
        )


def test_floats_are_clamped_as_in_a_photo():
    bright = RandomDamage(lutkit.DamageSettings((5, 8), lossy=1.0, families={"saturation": 1}))
    images = to_tensor(photos(8, dtype=np.float32))
    damaged, recipes = bright(images)
    assert float(damage_batch(images, recipes).max()) > 1.01
    assert (float(damaged.min()), float(damaged.max())) == (0, 1)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_recipes_do_not_depend_on_how_many_are_asked_for_at_a_time(counts):
    random_damage = RandomDamage(QUICK, 11)
    found = chain.from_iterable(random_damage.bake(count).recipes for count in counts)
    assert list(found) == drawn(range(sum(counts)))


def test_the_thread_bakes_the_next_batch_and_its_errors_reach_the_caller(monkeypatch):
    threads = []
    sample = damage_module.sample_recipe

    def noted(seed, number, **options):
        threads.append((number, threading.current_thread() is threading.main_thread()))
        if number == 4:
            raise ManifestError("out of reach")
        return sample(seed, number, **options)

    monkeypatch.setattr(damage_module, "sample_recipe", noted)
    random_damage = RandomDamage(QUICK, 11)
    assert list(random_damage.bake(2).recipes) == drawn([0, 1])
    assert list(random_damage.bake(2).recipes) == drawn([2, 3])
    with pytest.raises(ManifestError, match="out of reach"):
        random_damage.bake(2)
    damage_module._finish_work()
    assert [main for number, main in sorted(threads)[:6]] == [True, True, False, False, False, False][
        : len(threads)
    ]


@forks
def test_a_fork_waits_for_the_thread(monkeypatch):
    go_on, sample = threading.Event(), damage_module.sample_recipe

    def slow(seed, number, **options):
        if number >= 2:
            assert go_on.wait(60)
        return sample(seed, number, **options)

    monkeypatch.setattr(damage_module, "sample_recipe", slow)
    random_damage = RandomDamage(QUICK, 11)
    random_damage.bake(2)
    threading.Timer(0.05, go_on.set).start()
    child = os.fork()
    if child == 0:
        os._exit(0 if go_on.is_set() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Numbers(Dataset):
    """What one worker draws, as text, because DataLoader compares nothing."""

    def __init__(self, draws):
        self.draws = draws

    def __len__(self):
        return 6

    def __getitem__(self, number):
        return self.draws.bake(1).recipes[0].to_json()


def epochs(draws, count, **options):
    loader = DataLoader(Numbers(draws), batch_size=None, num_workers=2, **options)
    return [list(loader) for _ in range(count)]


@forks
def test_no_two_workers_and_no_two_epochs_draw_alike():
    torch.manual_seed(5)
    found = epochs(RandomDamage(QUICK, 11), 2)
    assert len(set(chain.from_iterable(found))) == 12
    torch.manual_seed(5)
    assert epochs(RandomDamage(QUICK, 11), 2) == found


@forks
@pytest.mark.parametrize("persistent", [False, True])
def test_epochs_that_are_set_depend_on_nothing_else(persistent):
    draws = RandomDamage(QUICK, 11)
    draws.bake(3)  # in this process, which no worker continues
    loader = DataLoader(Numbers(draws), None, num_workers=2, persistent_workers=persistent)
    for epoch in (1, 0, 1):
        draws.set_epoch(epoch)
        first = epoch << own_draws.EPOCH_BITS
        assert list(loader) == [recipe.to_json() for recipe in drawn(range(first, first + 6))]


def test_ranks_take_turns(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "1")
    draws = RandomDamage(QUICK, 11)
    assert list(draws.bake(2).recipes) == drawn([1, 4])
    assert list(draws.bake(1).recipes) == drawn([7])


def test_the_rank_goes_along_to_workers_that_cannot_know_it(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "2")
    draws = own_draws.OwnDraws()
    sent = copy.copy(draws)  # as pickling does, through __getstate__
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    assert sent.take(2) == (2, 5)


def test_a_state_resumes_where_it_was_saved():
    draws = RandomDamage(QUICK, 11)
    draws.bake(3)
    state = draws.state_dict()
    expected = [draws.bake(2).recipes for _ in range(2)]
    again = RandomDamage(QUICK, 11)
    again.load_state_dict(state)
    assert [again.bake(2).recipes for _ in range(2)] == expected
    draws.set_epoch(4)
    draws.bake(5)
    state, expected = draws.state_dict(), draws.bake(2).recipes
    again = RandomDamage(QUICK, 11)
    again.load_state_dict(state)
    assert again.bake(2).recipes == expected


def test_transforms_take_every_kind_of_image_and_give_the_same_kind():
    codes, floats = photos(1)[0], photos(1, dtype=np.float32)[0]
    deep = (floats * 65535).astype(np.uint16)
    recipes = drawn(range(8))
    transform = DamageTransform(QUICK, 11)
    picture = transform(Image.fromarray(codes))
    assert isinstance(picture, Image.Image)
    np.testing.assert_array_equal(np.asarray(picture), lutkit.damage(codes, recipes[0]))
    np.testing.assert_array_equal(transform(codes), lutkit.damage(codes, recipes[1]))
    np.testing.assert_array_equal(transform(floats), lutkit.damage(floats, recipes[2]).clip(0, 1))
    np.testing.assert_array_equal(transform(deep), lutkit.damage(deep, recipes[3]))
    one = torch.from_numpy(codes.transpose(2, 0, 1).copy())
    np.testing.assert_array_equal(transform(one).permute(1, 2, 0), lutkit.damage(codes, recipes[4]))
    batch = transform(torch.stack((one, one)))
    np.testing.assert_array_equal(batch[1].permute(1, 2, 0), lutkit.damage(codes, recipes[6]))
    label = object()
    damaged, same = transform(codes, label)
    assert same is label
    np.testing.assert_array_equal(damaged, lutkit.damage(codes, recipes[7]))


class TensorImage(torch.Tensor):
    """As torchvision's tv_tensors.Image: a subclass whose operations give plain tensors."""

    __torch_function__ = torch._C._disabled_torch_function_impl


def test_subclasses_of_tensors_stay_what_they_are():
    plain = torch.from_numpy(photos(1)[0].transpose(2, 0, 1).copy())
    damaged = DamageTransform(QUICK, 11)(plain.as_subclass(TensorImage))
    assert type(damaged) is TensorImage
    assert torch.equal(damaged.as_subclass(torch.Tensor), DamageTransform(QUICK, 11)(plain))


GREY = torch.full((2, 3, 4, 5), 0.5)
WRONG_IMAGES = {
    "not a tensor": (np.zeros((2, 3, 4, 5)), "images must be a tensor"),
    "one image": (GREY[0], r"images must be \(B, 3, H, W\)"),
    "channels last": (GREY.permute(0, 2, 3, 1), r"images must be \(B, 3, H, W\)"),
    "integers": (GREY.int(), "uint8 or floats"),
    "codes": (GREY * 255, "divide codes of 0..255 by 255"),
    "too bright": (GREY * 2.2, "values of 1.1 to 1.1; floats are 0..1"),
    "below 0": (GREY - 0.6, "values of -0.1 to -0.1; floats are 0..1"),
    "NaN": (GREY * float("nan"), "images hold NaN"),
}


@pytest.mark.parametrize("wrong", WRONG_IMAGES)
def test_images_that_mean_nothing_are_refused_in_one_line(wrong):
    images, message = WRONG_IMAGES[wrong]
    draws = RandomDamage(QUICK, 11)
    for refuses in (lambda: damage_batch(images, [Recipe()] * 2), lambda: draws(images)):
        with pytest.raises(ArrayError, match=message) as caught:
            refuses()
        assert "\n" not in str(caught.value)
    assert list(draws.bake(1).recipes) == drawn([0])  # nothing was drawn for them


def test_recipes_that_are_none_are_refused_in_one_line():
    with pytest.raises(ArrayError, match="2 images and 1 recipes"):
        damage_batch(GREY, [Recipe()])
    with pytest.raises(RecipeError, match=r"recipe 1 is a str, not a Recipe.*Recipe\.from_json"):
        damage_batch(GREY, [Recipe(), "[]"])
    with pytest.raises(RecipeError, match="was not found"):
        damage_batch(GREY, FILES[:2])


GOOD_STATE = RandomDamage(QUICK).state_dict()


def test_numbers_of_numpy_are_numbers():
    draws = RandomDamage(QUICK, np.int64(11))
    draws.set_epoch(np.int64(0))
    assert list(draws.bake(np.int64(2)).recipes) == drawn([0, 1])


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (None, "not NoneType"),
        ([], "not nothing"),
        (
            [torch.zeros(3, 4, 4), torch.zeros(3, 4, 5)],
            r"\(3, 4, 4\) torch.float32, \(3, 4, 5\) torch.float32",
        ),
        ([(torch.zeros(3, 4, 4), 1)] * 2, "not tuple"),
        ([np.zeros((3, 4, 4))] * 2, "not ndarray"),
    ],
)
def test_what_no_batch_can_be_made_of_is_refused_in_one_line(images, found):
    draws = RandomDamage(QUICK, 11)
    with pytest.raises(ArrayError, match="stack_and_bake: images must be tensors .*" + found) as caught:
        draws.stack_and_bake(images)
    assert "\n" not in str(caught.value)
    assert list(draws.bake(1).recipes) == drawn([0])


def test_wrong_settings_seeds_states_and_images_of_transforms_are_refused_in_one_line():
    for wrong, message in (
        (lambda: RandomDamage("camera"), r"settings are a str.*lutkit\.preset"),
        (lambda: RandomDamage(QUICK, -1), "a seed must be 0 or above"),
        (lambda: RandomDamage(QUICK, 0.5), "a seed must be 0 or above"),
        (lambda: RandomDamage(lutkit.DamageSettings((90, 99))), "lower its upper end"),
        (lambda: RandomDamage(QUICK).set_epoch(-1), "an epoch must be an integer of 0 to"),
        (
            lambda: RandomDamage(QUICK, 1).load_state_dict(RandomDamage(QUICK).state_dict()),
            "state is of seed 0",
        ),
        (lambda: RandomDamage(QUICK).load_state_dict({}), "a state has seed, epoch, taken, not nothing"),
        (lambda: RandomDamage(QUICK).load_state_dict(None), "a state has seed, epoch, taken, not NoneType"),
        *(
            (lambda wrong=wrong: RandomDamage(QUICK).load_state_dict({**GOOD_STATE, **wrong}), message)
            for wrong, message in (
                ({"epoch": "a"}, "the epoch of a state must be an integer of -1 to 2.62, not 'a'"),
                ({"epoch": -2}, "the epoch of a state"),
                ({"epoch": 2**62 + 1}, "the epoch of a state"),
                ({"taken": -1}, "the number taken of a state must be an integer of 0 to"),
                ({"taken": 1.5}, "the number taken of a state"),
            )
        ),
        (lambda: RandomDamage(QUICK, library=None), r"a library is a mapping.*lutkit\.lut_library"),
        (lambda: RandomDamage(QUICK).bake(-1), "a number of recipes must be an integer of 0 to"),
        (lambda: RandomDamage(QUICK).bake(None), "a number of recipes must be .* not None"),
        (lambda: RandomDamage(QUICK).set_epoch(2**70), "an epoch must be an integer of 0 to"),
        (lambda: damage_batch(GREY, None), "recipes are a NoneType, not a list"),
        (lambda: damage_batch(GREY, Recipe()), "recipes are a Recipe, not a list"),
        (lambda: damage_batch(GREY, FILES[:2], library=[1]), r"a library is a mapping.*lutkit\.lut_library"),
        (lambda: lutkit.sample_recipe(0, None), "an index must be 0 or above, not None"),
        (lambda: lutkit.sample_recipe(0, -1), "an index must be 0 or above, not -1"),
        (lambda: lutkit.sample_recipe(0, 1, settings="camera"), r"settings are a str.*lutkit\.preset"),
    ):
        with pytest.raises((RecipeError, ManifestError), match=message) as caught:
            wrong()
        assert "\n" not in str(caught.value)
    transform = DamageTransform(QUICK, 11)
    for wrong, message in (
        (Image.new("L", (4, 4)), r"mode L.*convert\('RGB'\)"),
        ("photo.jpg", "not str"),
        (np.zeros((4, 4), np.uint8), r"\(H, W, 3\)"),
        (np.full((4, 4, 3), np.nan, np.float32), "NaN"),
        (torch.zeros(3, 4), r"\(B, 3, H, W\)"),
    ):
        with pytest.raises(ArrayError, match=message):
            transform(wrong)


def test_recipes_stay_unchanged_by_packing():
    recipe = RECIPES[0]
    kept = dataclasses.replace(recipe)
    baked([recipe])
    assert recipe == kept


def test_the_examples_run():
    results = doctest.testmod(damage_module)
    assert results.failed == 0
    assert results.attempted > 10


@forks
def test_workers_send_baked_damage_with_their_images():
    images = to_tensor(photos(4))
    loader = DataLoader(list(images), 2, num_workers=2, collate_fn=RandomDamage(QUICK, 11).stack_and_bake)
    for batch, baked_there in loader:
        assert len(baked_there) == 2
        expected = damaged_one_by_one(to_arrays(batch), baked_there.recipes)
        assert_within_a_code(to_arrays(damage_batch(batch, baked_there)), expected)
