"""The contact sheet: its size, the place of each image, and captions that describe the damage."""

import shutil

import numpy as np
import pytest
from PIL import Image
from small_datasets import build, make_photos, manifest_of, textured

import lutkit
import lutkit.synthesis.pairs
from lutkit.distort.exposure import Exposure
from lutkit.distort.film_dyes import FilmDyes
from lutkit.distort.film_fade import FilmFade
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.illuminant import Illuminant
from lutkit.distort.lamp import Lamp
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.mask import Mask, Patch, mask_values
from lutkit.distort.recipe import Masked, Recipe
from lutkit.distort.stain import Stain
from lutkit.photos.decoding import decode_image
from lutkit.synthesis import contact_sheet
from lutkit.synthesis.contact_sheet import PAIRS, _described, draw_contact_sheet, write_contact_sheet
from lutkit.synthesis.pair import AppliedLook, Pair, SampleMetadata, SourcePhoto

PAPER = (58, 58, 58)
TURNED = HueRotation(9.0)
RECIPE = Recipe(camera=(Exposure(-1.5),), editing=(TURNED,)).to_json()


def pair(seed, label="recoverable", recipe=RECIPE, look="", **measures):
    applied = AppliedLook(look, "", 0.7) if look else AppliedLook()
    metadata = SampleMetadata(
        key="train-000000000", split="train", kind="distort", label=label,
        **{"severity": 11.94, "delta_e_2000": 7.31, "clipped": 0.0, **measures},
        source=SourcePhoto("a.jpg", "", 64, 64), crop=(0, 0, 64, 64), recipe=recipe, look=applied,
    )  # fmt: skip
    return Pair(textured(seed, 64, 64), textured(seed + 100, 64, 64), metadata)


def runs_of(flags):
    """Return [start, end) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def pictures_of(sheet):
    """Return the boxes of the images: runs of rows and columns with little paper."""
    ink = (sheet != PAPER).any(axis=2)
    rows = [run for run in runs_of(ink.mean(axis=1) > 0.25) if run[1] - run[0] > 50]
    return rows, runs_of(ink[rows[0][0] : rows[0][1]].mean(axis=0) > 0.5)


def resized(pixels, side):
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 3, 2), (24, 3, 8)]
)
def test_its_size_follows_the_number_of_pairs(count, columns, rows):
    gap = contact_sheet.GAP_PX
    sheet, of_one_row = (draw_contact_sheet([pair(i) for i in range(n)]) for n in (count, columns))
    cell_width = draw_contact_sheet([pair(0)]).shape[1] - gap
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] - gap == columns * cell_width
    (top, bottom), *_ = pictures_of(draw_contact_sheet([pair(i) for i in range(6)]))[0]
    (below, _) = pictures_of(draw_contact_sheet([pair(i) for i in range(6)]))[0][1]
    assert sheet.shape[0] - of_one_row.shape[0] == (rows - 1) * (below - top)
    found_rows, found_columns = pictures_of(sheet)
    assert (len(found_rows), len(found_columns)) == (rows, columns)
    assert bottom - top == 200


def test_a_legend_stands_above_the_images_and_fits_the_sheet():
    for count in (1, 2, 3):
        sheet = draw_contact_sheet([pair(i) for i in range(count)])
        rows, _ = pictures_of(sheet)
        head = sheet[: rows[0][0]]
        assert len(lines_of(head)) == {1: 4, 2: 2, 3: 1}[count]
        assert (head[:, -contact_sheet.GAP_PX :] == PAPER).all()


def test_input_stands_left_and_target_right_in_order():
    shown = [pair(i) for i in range(5)]
    sheet = draw_contact_sheet(shown)
    rows, columns = pictures_of(sheet)
    for number, one in enumerate(shown):
        (top, bottom), (left, right) = rows[number // 3], columns[number % 3]
        side = bottom - top
        assert right - left == 2 * side
        assert np.array_equal(sheet[top:bottom, left : left + side], resized(one.input, side))
        assert np.array_equal(sheet[top:bottom, left + side : right], resized(one.target, side))
    # The place of the sixth stays paper.
    (top, bottom), (left, right) = rows[1], columns[2]
    assert (sheet[top:bottom, left:right] == PAPER).all()


def caption_of(sheet):
    rows, _ = pictures_of(sheet)
    return sheet[rows[0][1] :]


def lines_of(caption):
    return runs_of((caption != PAPER).any(axis=(1, 2)))


def test_every_pair_has_a_caption_that_shows_what_was_done():
    plain = caption_of(draw_contact_sheet([pair(0)]))
    assert len(lines_of(plain)) >= 2
    for change in (
        pair(0, label="lossy"),
        pair(
            0,
            recipe=Recipe(medium=(FilmFade((0.8, 0.9, 1.0), (0.0, 0.0, 0.0)),), editing=(TURNED,)).to_json(),
        ),
        pair(0, recipe=Recipe(camera=(Exposure(-0.5),), editing=(TURNED,)).to_json()),
        pair(0, look="warm-print.cube"),
    ):
        assert not np.array_equal(caption_of(draw_contact_sheet([change])), plain)
    for field, value in (("severity", 4.0), ("delta_e_2000", 4.0)):
        other = caption_of(draw_contact_sheet([pair(0, **{field: value})]))
        assert not np.array_equal(other, plain)


def test_lossy_stands_out_in_colour():
    def is_coloured(label):
        caption = caption_of(draw_contact_sheet([pair(0, label=label)])).astype(int)
        return (np.ptp(caption, axis=2) > 60).any()

    assert is_coloured("lossy")
    assert not is_coloured("recoverable")


def test_long_captions_stay_within_their_pair():
    warm = Illuminant(3000.0, 0.0)
    long = Recipe(
        light=(warm, Masked(Lamp(300.0, 0.5), Mask((0.1, 0.2, 0.3), 1.0))),
        camera=(Exposure(-0.5),), editing=(TURNED,) * 6,
    )  # fmt: skip
    look = "a-look-with-a-very-long-name-" * 9 + ".cube"
    sheet = draw_contact_sheet([pair(0, recipe=long.to_json(), look=look), pair(1)])
    rows, columns = pictures_of(sheet)
    between = sheet[rows[0][1] :, columns[0][1] : columns[1][0]]
    assert (between == PAPER).all()


def test_a_mask_is_an_inset_in_the_input():
    mask = Mask((0.9, 0.2, 0.3), 4.0)
    light = (Illuminant(3000.0, 0.0), Masked(Lamp(300.0, 0.5), mask))
    sheet = draw_contact_sheet([pair(0, recipe=Recipe(light=light).to_json())])
    plain = draw_contact_sheet([pair(0)])
    (rows, columns), side = pictures_of(plain), 200
    (top, bottom), (left, _) = rows[0], columns[0]
    inset = sheet[bottom - 49 : bottom - 5, left + 5 : left + 49]
    assert (inset == inset[..., :1]).all()  # grey
    expected = np.rint(255 * mask_values(mask, 44, 44)).astype(int)
    assert np.ptp(expected) > 100
    np.testing.assert_array_equal(inset[..., 0], expected)
    following = Mask(mask.waves, 0.5, None, (-4.0, 2.0, 6.0, -1.0))
    light = (Masked(Lamp(300.0, 0.5), following),)
    shown = pair(0, recipe=Recipe(light=light).to_json())
    follows = draw_contact_sheet([shown])[bottom - 49 : bottom - 5, left + 5 : left + 49, 0]
    small = np.asarray(Image.fromarray(shown.target).resize((44, 44), Image.Resampling.BOX))
    seen = np.rint(255 * mask_values(following, 44, 44, small)).astype(int)
    np.testing.assert_array_equal(follows, seen)
    # The target, and the rest of the input, are as without a mask.
    np.testing.assert_array_equal(sheet[top:bottom, left + side :], plain[top:bottom, left + side :])
    np.testing.assert_array_equal(sheet[top : bottom - 60, left:], plain[top : bottom - 60, left:])


def test_a_damaging_lut_is_called_by_its_name():
    recipe = Recipe(editing=(LibraryLut("a" * 64, 0.5),)).to_json()
    one, other, unknown = (
        caption_of(draw_contact_sheet([pair(0, recipe=recipe)], names))
        for names in ({"a" * 64: "warm"}, {"a" * 64: "cold"}, {"b" * 64: "warm"})
    )
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, unknown)


def test_a_dataset_s_sheet_shows_kinds_and_labels_in_their_shares(many_kinds, tmp_path):
    folder = shutil.copytree(many_kinds, tmp_path / "kinds")
    path = write_contact_sheet(folder)
    assert path == folder / "contact-sheet.png"
    with Image.open(path) as image:
        sheet = np.asarray(image)
    rows, columns = pictures_of(sheet)
    assert len(rows) * len(columns) == PAIRS
    first_shard = list(lutkit.pairs(folder, split="train"))
    metadata = []
    for number in range(PAIRS):
        (top, bottom), (left, right) = rows[number // 3], columns[number % 3]
        side = bottom - top
        # Insets cover a corner of the input.
        whole = sheet[top : bottom - 50, left:right]
        (found,) = [
            data
            for before, after, data in first_shard
            if np.array_equal(np.hstack((resized(before, side), resized(after, side)))[:-50], whole)
        ]
        metadata.append((found["key"], found["kind"], found["label"]))
    assert metadata == sorted(metadata)
    for kind, label in {(data["kind"], data["label"]) for _, _, data in first_shard}:
        share = sum((d["kind"], d["label"]) == (kind, label) for _, _, d in first_shard) / len(first_shard)
        shown = sum(one[1:] == (kind, label) for one in metadata)
        assert abs(shown - PAIRS * share) < 1


def test_a_sheet_decodes_the_images_that_it_shows_and_no_others(tmp_path, monkeypatch):
    photos = make_photos(tmp_path / "in", 8)
    build(manifest_of(photos, n=60, codec="png"), tmp_path / "out")
    before = write_contact_sheet(tmp_path / "out").read_bytes()
    read = []
    decode = decode_image
    monkeypatch.setattr(lutkit.synthesis.pairs, "decode_image", lambda data: read.append(1) or decode(data))
    assert write_contact_sheet(tmp_path / "out").read_bytes() == before
    assert len(read) == 2 * PAIRS


def test_a_recipe_dataset_and_a_tiny_one_have_sheets_too(tmp_path):
    photos = make_photos(tmp_path / "in", 4)
    build(manifest_of(photos, n=5, codec="png", store="recipe"), tmp_path / "out")
    with Image.open(write_contact_sheet(tmp_path / "out")) as image:
        rows, columns = pictures_of(np.asarray(image))
    assert (len(rows), len(columns)) == (2, 3)


def test_film_is_named_by_its_stock_and_a_stain_has_an_inset():
    film = FilmDyes("kodachrome", (0.1,) * 6, (0.5, 0.8, 0.9), (0.0, 0.0, 0.0), 0.0)
    plain = Recipe(medium=(film,))
    assert _described(pair(0).metadata, plain, {}) == ["film dyes of kodachrome"]
    patch = Mask((0.1, 0.2, 0.3), 8.0, Patch(0.5, 0.5, 0.2, 0.0, 0.1))
    stained = Recipe(medium=(film, Masked(Stain((0.1, 0.2, 0.4)), patch)))
    assert "in part of the image: stain" in _described(pair(0).metadata, stained, {})
    rows, columns = pictures_of(draw_contact_sheet([pair(0, recipe=plain.to_json())]))
    sheets = [draw_contact_sheet([pair(0, recipe=recipe.to_json())]) for recipe in (plain, stained)]
    (top, bottom), (left, _) = rows[0], columns[0]
    one, other = (sheet[top:bottom, left : left + bottom - top] for sheet in sheets)
    assert not np.array_equal(one, other)
