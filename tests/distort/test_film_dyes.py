"""Film from dyes: linear algebra, spectra of real dyes and descriptions of faded film are the oracles."""

import dataclasses

import colour
import numpy as np
import pytest

import lutkit
from lutkit.color.density import MAX_DENSITY, density_to_linear, linear_to_density
from lutkit.color.srgb import linear_to_srgb
from lutkit.distort.direct import damaged_colors
from lutkit.distort.draws import Stream, generator
from lutkit.distort.film_dyes import FilmDyes
from lutkit.distort.film_fade import FilmFade
from lutkit.distort.film_stocks import FILM_STOCKS
from lutkit.distort.mask import Mask
from lutkit.distort.recipe import Masked, Recipe
from lutkit.distort.saturation import Saturation
from lutkit.errors import RecipeError

NO_UNWANTED = (0.0,) * 6
NO_BASE = (0.0, 0.0, 0.0)


def worst(name, fading):
    """A stock at the worst that its data names, without the chance of a draw."""
    stock = FILM_STOCKS[name]
    losses = getattr(stock, fading)
    return FilmDyes(name, stock.unwanted, tuple(1 - loss for loss in losses), stock.stain, stock.kept_density)


def on(film, colors):
    """A film on sRGB-encoded colours."""
    return damaged_colors(Recipe(medium=(film,)), np.atleast_2d(np.array(colors, np.float64)))


GREY = (0.5, 0.5, 0.5)


def test_density_is_a_logarithm_with_an_end_and_comes_back():
    light = np.array([0.0, 0.001, 0.18, 0.5, 1.0, 1.7])
    density = linear_to_density(light)
    np.testing.assert_allclose(density[[0, 4]], [MAX_DENSITY, 0], atol=1e-12)
    # Far from black the flare is nearly nothing: the definition of density.
    np.testing.assert_allclose(density[2:4], -np.log10(light[2:4]), atol=3e-3)
    np.testing.assert_allclose(density_to_linear(density), light, atol=1e-12)
    assert linear_to_density(np.array([-0.3])) == pytest.approx(MAX_DENSITY)


def test_dyes_without_unwanted_absorptions_are_the_curves_of_film_fade():
    colors = np.random.default_rng(1).random((200, 3))
    left, base = (0.3, 0.8, 0.55), (0.02, 0.1, 0.3)
    ours = on(FilmDyes("ektachrome", NO_UNWANTED, left, NO_BASE, 0.0), colors)
    np.testing.assert_allclose(ours, on(FilmFade(left, NO_BASE), colors), atol=1e-9)
    # FilmFade dims the light by its fog, without the flare: they agree where that is small.
    ours = on(FilmDyes("ektachrome", NO_UNWANTED, left, base, 0.0), colors)
    np.testing.assert_allclose(ours, on(FilmFade(left, base), colors), atol=0.02)


@pytest.mark.parametrize("number", range(8))
def test_dyes_are_found_faded_and_summed_as_matrices_do_it(number):
    film = FilmDyes.draw(generator(3, Stream.DAMAGE, number), {}, lossy=bool(number % 2))
    rm, ry, gc, gy, bc, bm = film.unwanted
    absorbed = np.array([[1, rm, ry], [gc, 1, gy], [bc, bm, 1]])
    density = np.random.default_rng(2).uniform(-0.1, 3, (50, 3))
    dyes = np.linalg.solve(absorbed, (density - film.kept_density).T).T * film.dyes_left
    expected = dyes @ absorbed.T + film.kept_density + film.base
    np.testing.assert_allclose(film.transform(density, {}), expected, atol=1e-12)


# EASTMAN Color Print Film 5383: density of cyan, magenta and yellow from 400 to 700 nm, every 20 nm, read
# from the maker's published curves. The numbers of the stock come from more readings of them.
DYES_OF_5383 = (
    (0.233, 0.145, 0.069, 0.027, 0.017, 0.033, 0.073, 0.146,
     0.254, 0.403, 0.611, 0.819, 0.968, 0.991, 0.891, 0.717),
    (0.098, 0.155, 0.224, 0.233, 0.435, 0.721, 0.96, 0.98,
     0.767, 0.464, 0.213, 0.112, 0.049, 0.023, 0.016, 0.012),
    (0.598, 0.835, 0.988, 0.963, 0.713, 0.396, 0.146, 0.051,
     0.009, 0.007, 0.006, 0.005, 0.005, 0.005, 0.005, 0.005),
)  # fmt: skip


def spectral_density():
    """The densities of linear sRGB for amounts of the dyes of 5383, by colour-science's observer and D65."""
    shape = colour.SpectralShape(400, 700, 20)
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy().align(shape).values
    light = colour.SDS_ILLUMINANTS["D65"].copy().align(shape).values
    weights = observer * light[:, None] @ colour.RGB_COLOURSPACES["sRGB"].matrix_XYZ_to_RGB.T
    weights /= weights.sum(axis=0)
    return lambda amounts: -np.log10(10 ** -(np.array(amounts) @ np.array(DYES_OF_5383)) @ weights)


def test_the_unwanted_absorptions_are_those_of_the_dyes_spectra():
    density, grey = spectral_density(), np.array([0.91, 0.66, 0.59])
    np.testing.assert_allclose(density(grey), 0.75, atol=0.03)
    slopes = np.stack([(density(grey + step) - density(grey - step)) / 2e-4 for step in 1e-4 * np.eye(3)], 1)
    slopes /= np.diag(slopes)
    rm, ry, gc, gy, bc, bm = FILM_STOCKS["eastman_print"].unwanted
    np.testing.assert_allclose(slopes, [[1, rm, ry], [gc, 1, gy], [bc, bm, 1]], atol=0.03)


def test_fading_is_that_of_the_spectra_for_colours_that_film_can_show():
    """The linear model against dyes that fade in every wavelength, in density: pictures differ by as much."""
    density, rng = spectral_density(), np.random.default_rng(6)
    amounts = np.array([0.91, 0.66, 0.59]) * rng.uniform(0.5, 1.5, (100, 1)) + rng.uniform(
        -0.12, 0.12, (100, 3)
    )
    left = np.array([0.3, 0.85, 0.6])
    film = FilmDyes("eastman_print", FILM_STOCKS["eastman_print"].unwanted, tuple(left), NO_BASE, 0.0)
    expected, ours = density(amounts * left), film.transform(density(amounts), {})
    error = np.abs(ours - expected)
    moved = np.abs(density(amounts) - expected)
    assert error.mean() < 0.12 * moved.mean()


def test_old_cinema_prints_and_slides_turn_red_and_lose_contrast():
    for name in ("eastman_print", "ektachrome"):
        red, green, blue = on(worst(name, "dark"), GREY)[0]
        assert red > blue > green, name  # pink to purple, where yellow is lost, too
        black, white = on(worst(name, "dark"), [(0.02, 0.02, 0.02), (1, 1, 1)])
        assert black.min() > 0.03
        assert black[0] > 0.2
        assert white.max() <= 1


def test_what_goes_first_differs_between_the_dark_and_the_light():
    dark, light = (on(worst("paper_print", fading), GREY)[0] for fading in ("dark", "light"))
    assert dark[0] == dark.max()  # cyan goes first: red
    assert light[1] == light.max()  # magenta goes first: green
    red, green, blue = on(worst("kodachrome", "light"), GREY)[0]
    assert green > max(red, blue)
    moved = [np.abs(on(worst("kodachrome", fading), GREY)[0] - GREY).max() for fading in ("dark", "light")]
    assert moved[0] < 0.6 * moved[1]


def test_paper_turns_yellow_and_what_is_white_on_film_stays():
    red, green, blue = on(worst("paper_print", "light"), (1, 1, 1))[0]
    assert red > green > blue
    assert blue < 0.8
    np.testing.assert_allclose(on(worst("kodachrome", "dark"), (1, 1, 1)), 1, atol=0.03)


def test_prints_of_faded_negatives_cross_over_and_keep_a_mid_grey():
    film = worst("color_negative", "dark")
    grey = (float(linear_to_srgb(density_to_linear(np.array(0.75)))),) * 3
    np.testing.assert_allclose(on(film, grey)[0], grey, atol=1e-9)
    shadow, light = (on(film, (value,) * 3)[0] for value in (0.1, 0.95))
    assert shadow[0] > shadow[1]
    assert light[0] < light[1]


@pytest.mark.parametrize("lossy", [False, True])
def test_each_stock_is_drawn_and_stays_what_its_data_says(lossy):
    films = [FilmDyes.draw(generator(4, Stream.DAMAGE, number), {}, lossy=lossy) for number in range(120)]
    assert {film.stock for film in films} == set(FILM_STOCKS)
    for film in films:
        stock = FILM_STOCKS[film.stock]
        assert film.kept_density == stock.kept_density
        np.testing.assert_allclose(film.unwanted, stock.unwanted, rtol=0.5)
        assert (max(film.base) == 0) is (film.stock == "color_negative")
    cyan = [film.dyes_left[0] for film in films if film.stock == "ektachrome"]
    assert bool(np.median(cyan) < 0.4) is lossy


def test_a_film_of_8_bits_is_within_a_code_of_its_formula():
    codes = np.random.default_rng(5).integers(0, 256, (40, 50, 3), np.uint8)
    mask = Mask((0.5, 0.3, 1.0), 2.0)
    camera = lutkit.sample_recipe(1, 4, settings=lutkit.preset("camera"))
    for number in range(6):
        film = FilmDyes.draw(generator(5, Stream.DAMAGE, number), {}, lossy=number > 2)
        again = dataclasses.replace(film, stock="kodachrome")
        for recipe in (
            Recipe(medium=(film,)),
            Recipe(medium=(film, again), editing=(Saturation(0.7),)),
            Recipe(medium=(FilmFade((0.5, 0.8, 0.9), (0.0, 0.05, 0.1)), Masked(film, mask))),
            dataclasses.replace(camera, medium=(film,)),
        ):
            weights = [layer.weights(40, 50, codes).reshape(-1) for layer in recipe.bake() if layer.mask]
            exact = damaged_colors(recipe, codes.reshape(-1, 3) / 255, weights)
            expected = np.clip(exact, 0, 1).reshape(codes.shape) * 255
            assert np.abs(lutkit.damage(codes, recipe) - expected).max() < 1.0


def test_a_stock_that_is_not_there_is_refused_in_one_line():
    text = Recipe(medium=(worst("kodachrome", "dark"),)).to_json()
    assert Recipe.from_json(text).to_json() == text
    with pytest.raises(RecipeError, match="unknown film stock 'agfa'; use one of eastman_print, ") as caught:
        Recipe.from_json(text.replace("kodachrome", "agfa"))
    assert "\n" not in str(caught.value)
