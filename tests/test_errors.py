"""Errors: one line with place and remedy, caught as what they are, whole after a trip between processes."""

import inspect
import pickle

import pytest

from lutkit import errors
from lutkit.errors import ArrayError, LutError, LutFormatError, LutkitError, ManifestError, RecipeError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LutkitError)]
every_kind = pytest.mark.parametrize("kind", KINDS)


def test_there_are_kinds():
    assert len(KINDS) >= 9


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LutkitError("expected 3 numbers, found 2"), "expected 3 numbers, found 2"),
        (LutkitError("found 2", where="grade.cube:17"), "grade.cube:17: found 2"),
        (LutkitError("found 2", remedy="write 3"), "found 2; write 3"),
        (LutkitError("found 2", where="grade.cube:17", remedy="write 3"), "grade.cube:17: found 2; write 3"),
    ],
)
def test_the_message_is_place_finding_remedy(error, line):
    assert str(error) == line


@every_kind
def test_every_kind_is_caught_as_a_lutkit_error_and_says_what_it_is(kind):
    assert issubclass(kind, LutkitError)
    assert inspect.getdoc(kind)
    with pytest.raises(LutkitError, match=r"^here: wrong; mend$"):
        raise kind("wrong", where="here", remedy="mend")


@pytest.mark.parametrize("kind", [ArrayError, LutError, LutFormatError, RecipeError, ManifestError])
def test_wrong_values_are_caught_as_value_errors(kind):
    with pytest.raises(ValueError, match="wrong"):
        raise kind("wrong")


@every_kind
def test_errors_come_back_whole_from_a_worker_process(kind):
    error = kind("wrong", where="here", remedy="mend")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - as a pool of processes does
    assert type(back) is kind
    assert (back.what, back.where, back.remedy, str(back)) == ("wrong", "here", "mend", str(error))


def test_an_error_of_a_setting_names_the_option_that_gave_it_instead():
    error = ManifestError("is 0..1, not 2", key="damage.lossy", name="lossy", where="[damage]", remedy="mend")
    assert str(error) == "[damage]: lossy is 0..1, not 2; mend"
    back = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(back), back.key, back.name) == (str(error), "damage.lossy", "lossy")
    assert str(back.of_option("--lossy")) == "--lossy is 0..1, not 2; mend"
    whole = ManifestError("unknown kind 'x'", key="kinds", where="[kinds]", remedy="mend")
    assert str(whole.of_option("--kinds")) == "--kinds: unknown kind 'x'; mend"


def test_place_and_remedy_are_given_by_name():
    with pytest.raises(TypeError):
        LutkitError("wrong", "here")
