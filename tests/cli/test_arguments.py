"""Commands refuse output files before any work, all with the same messages."""

import os

import pytest
from small_datasets import assert_one_line

from lutkit.cli.arguments import parse_shares, require_no_more
from lutkit.dataset.outputs import require_picture, require_vacant
from lutkit.errors import LutkitError, ManifestError
from lutkit.extras import require_installed
from lutkit.latents.latents import require_encodable

PICTURES = (("stats", "absent", "--plot"), ("compare", "absent", "absent", "--plot"),
            ("ab-weights", "absent", "--plot"))  # fmt: skip
FILES = (*PICTURES, ("ab-hist", "absent", "-o"), ("ab-weights", "absent", "-o"))


@pytest.fixture
def places(tmp_path):
    """A folder with the name of an image, an image, and a text file in place of a folder."""
    (tmp_path / "folder.png").mkdir()
    for name in ("there.png", "text"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def complaint(path, overwrite=True, require=require_picture):
    with pytest.raises(LutkitError) as caught:
        require(path, overwrite=overwrite)
    return str(caught.value)


def test_what_cannot_become_a_file_is_refused(places):
    assert complaint(places / "folder.png") == f"{places}/folder.png: is a folder; name a file in it"
    assert complaint(places) == f"{places}: is a folder; name a file in it"
    new = places / "text" / "new" / "a.png"
    assert complaint(new) == f"{places}/text: is not a folder; name another place than {new}"
    there = f"{places}/there.png: exists already; give --overwrite or another name"
    assert complaint(places / "there.png", overwrite=False) == there
    for path in (places / "there.png", places / "new" / "er" / "a.PNG"):
        require_picture(path, overwrite=True)
    assert not (places / "new").exists()


@pytest.mark.parametrize("name", ["a.jpg", "a", "png", ".png", "a.png.jpg"])
def test_a_picture_is_named_as_what_it_is(places, name):
    assert complaint(places / name) == f"{places / name}: is not a PNG file; name one that ends in .png"
    require_vacant(places / name, overwrite=False)


def test_a_folder_that_may_not_be_written_in_is_named(places, monkeypatch):
    asked = []

    def deny(folder, mode):
        asked.append((folder, mode))
        return False

    monkeypatch.setattr(os, "access", deny)
    new = places / "new" / "a.png"
    assert complaint(new) == (f"{places}: cannot be written to; allow it, or name another place than {new}")
    assert asked == [(places, os.W_OK | os.X_OK)]


@pytest.mark.parametrize(("extra", "allowed", "names"), [(["b"], 1, 2), (["b", "c"], 2, 4)])
def test_more_names_than_a_command_takes_are_refused(extra, allowed, names):
    with pytest.raises(LutkitError) as caught:
        require_no_more(extra, allowed, "one LUT")
    assert str(caught.value) == f"{names} names where one LUT is expected; put a pattern in quotes"
    require_no_more([], allowed, "one LUT")


def test_choices_and_packages_that_there_are_none_of_are_named():
    with pytest.raises(LutkitError) as caught:
        require_encodable(dtype="fp32", store_dtype="bf16", input_range="-1,1")
    assert str(caught.value) == "--store-dtype is 'bf16'; choose from fp32, fp16"
    with pytest.raises(LutkitError) as caught:
        require_installed(("json", "absent_a", "absent_b"), "nn")
    assert str(caught.value) == ("this needs absent_a and absent_b; run `pip install 'lutkit[nn]'`")
    require_installed(("json",), "nn")


def test_shares_are_names_and_numbers():
    assert parse_shares("train=0.9, val=.1", "--splits", "split", "x") == (("train", 0.9), ("val", 0.1))
    for text, part in (("train", "train"), ("train=0.9,", ""), ("a=1,val=b", "val=b")):
        with pytest.raises(ManifestError) as caught:
            parse_shares(text, "--splits", "split", "train=0.9,val=0.1")
        assert str(caught.value) == f"--splits: {part!r} is no share of a split; write train=0.9,val=0.1"


@pytest.mark.parametrize("command", FILES, ids=lambda command: f"{command[0]} {command[-1]}")
def test_commands_refuse_it_before_they_look_for_what_they_read(lutkit_, places, command):
    done = lutkit_(*command, places / "folder.png", "--overwrite")
    assert done.code == 2
    assert_one_line(done.err, f"{places}/folder.png: is a folder; name a file in it")


@pytest.mark.parametrize("command", PICTURES, ids=lambda command: command[0])
def test_commands_refuse_pictures_of_another_suffix(lutkit_, places, command):
    done = lutkit_(*command, places / "a.jpg")
    assert done.code == 2
    assert_one_line(done.err, f"{places}/a.jpg: is not a PNG file; name one that ends in .png")
