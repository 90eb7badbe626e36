"""The JSON of a sample: its fields, written and read back, and invalid values."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.errors import DatasetError
from lutkit.synthesis.pair import FIELD_MEANINGS, PAIR_KINDS, AppliedLook, SampleMetadata, SourcePhoto

NAMES = [
    "key", "split", "kind", "label", "severity", "delta_e_2000", "clipped",
    "source", "crop", "recipe", "look",
]  # fmt: skip
WHOLE = st.integers(0, 1 << 40)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
METADATA = st.builds(
    SampleMetadata,
    key=st.text(), split=st.text(), kind=st.sampled_from(tuple(PAIR_KINDS)),
    label=st.sampled_from(["recoverable", "lossy"]), severity=FINITE, delta_e_2000=FINITE, clipped=FINITE,
    source=st.builds(SourcePhoto, st.text(), st.text(), WHOLE, WHOLE, st.text()),
    crop=st.tuples(WHOLE, WHOLE, WHOLE, WHOLE), recipe=st.text(),
    look=st.builds(AppliedLook, st.text(), st.text(), FINITE),
)  # fmt: skip
ONE = SampleMetadata(
    "train-000000007", "train", "distort", "lossy", 9.5, 11.25, 0.125,
    SourcePhoto("a/\u00e9.jpg", "ab", 640, 480, "grey"), (80, 0, 480, 479), "[]", AppliedLook(),
)  # fmt: skip


def test_the_fields_are_those_of_the_contract():
    assert [field.name for field in dataclasses.fields(SampleMetadata)] == NAMES
    assert set(FIELD_MEANINGS) == set(NAMES) - {"key", "split"}


def test_it_is_written_as_the_contract_says():
    assert ONE.to_json() == (
        b'{"key": "train-000000007", "split": "train", "kind": "distort", "label": "lossy", "severity": 9.5, '
        b'"delta_e_2000": 11.25, "clipped": 0.125, "source": {"path": "a/\\u00e9.jpg", "sha256": "ab", '
        b'"width": 640, "height": 480, "notes": "grey"}, "crop": [80, 0, 480, 479], "recipe": "[]", '
        b'"look": {"path": "", "sha256": "", "strength": 0.0}}'
    )
    assert ONE.to_dict() == json.loads(ONE.to_json())


@given(METADATA)
def test_it_survives_json(metadata):
    assert SampleMetadata.from_json(metadata.to_json()) == metadata


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"key": 1}, "key"),
        ({"severity": 9}, "severity"),
        ({"glow": 1.0}, "glow"),
        ({"source": {}}, "source.height, source.notes, source.path, source.sha256, source.width"),
        ({"look": "warm"}, "look"),
        ({"crop": [1, 2, 3]}, "crop"),
        ({"crop": [1, 2, 3, 4.0]}, "crop"),
        ({"kind": "destroy", "label": "perhaps"}, "kind, label"),
    ],
)
def test_what_breaks_the_contract_is_named(change, named):
    text = json.dumps(ONE.to_dict() | change).encode()
    with pytest.raises(DatasetError) as caught:
        SampleMetadata.from_json(text)
    assert str(caught.value) == f"missing, unknown or of a wrong type: {named}"


def test_a_field_that_is_missing_is_named():
    data = ONE.to_dict()
    del data["recipe"], data["clipped"]
    with pytest.raises(DatasetError, match=r"of a wrong type: clipped, recipe$"):
        SampleMetadata.from_json(json.dumps(data).encode())


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[]", b"7", b"[" * 100_000])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(DatasetError):
        SampleMetadata.from_json(text)
