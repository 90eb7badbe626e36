"""How far a LUT is off, in a sentence that says no more than there is to say."""

import pytest

from lutkit.lut.algebra import Baked
from lutkit.lut.model import Lut1D
from lutkit.report.lut_text import error_sentence


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ((0, 0, 0), "exact"),
        ((1e-9, 1e-8, 3e-5), "off by under 0.01 of 255"),
        (
            (1e-9, 0.004, 0.02),
            "off by under 0.01 of 255 on average, 1 or less on 99% of colours, 5.1 at most",
        ),
        ((0.1, 0.3, 0.5), "off by 26 of 255 on average, 76 or less on 99% of colours, 128 at most"),
    ],
)
def test_errors_are_told_in_codes(errors, sentence):
    assert error_sentence(Baked(Lut1D.identity(2), *errors)) == sentence
