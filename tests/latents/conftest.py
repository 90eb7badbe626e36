"""Small VAEs run on one thread: several threads would wait for each other longer than they work."""

import pytest
from small_vaes import one_thread


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    with one_thread():
        yield
