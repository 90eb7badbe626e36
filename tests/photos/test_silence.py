"""Warnings are ignored by all threads or by none: one that leaves changes nothing for the others."""

import threading
import warnings

import pytest

from lutkit.photos.silence import warnings_ignored


def test_a_thread_that_leaves_early_brings_no_warning_back_and_the_last_leaves_all_as_it_was():
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with warnings_ignored():
            inside.set()
            leave.wait(60)

    with warnings_ignored():
        other = threading.Thread(target=stay)
        other.start()
        inside.wait(60)
    # The first has left, the other is still inside.
    warnings.warn("of a broken file", stacklevel=1)
    leave.set()
    other.join()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="of another"):
        warnings.warn("of another", stacklevel=1)


def test_an_error_brings_warnings_back():
    before = list(warnings.filters)
    with pytest.raises(ValueError, match="broken"), warnings_ignored():
        raise ValueError("broken")
    assert list(warnings.filters) == before
