"""Fixtures that every test may use."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A job that a shell starts in the background ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("lutkit", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("lutkit")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and LUTs beside the checkout; the test is skipped where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no folder of real data beside the checkout")
    return folder
