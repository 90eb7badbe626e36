"""JSON and TOML of any origin: what is sound comes back, and all that hurts is one line, whoever reads it."""

import io
import json
import tomllib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from small_latents import make_latents

import lutkit
from lutkit.cli import main
from lutkit.dataset.index import read_dataset_json
from lutkit.dataset.latent_index import read_latent_index
from lutkit.dataset.records import read_record
from lutkit.dataset.sample_filter import SampleFilter, choose_samples
from lutkit.dataset.shard_list import read_shard_list
from lutkit.dataset.tars import Sample, write_shard
from lutkit.documents import Fields, fields_of, parse_json, parse_toml, read_json, refused_as
from lutkit.errors import DatasetError, DocumentError, LutkitError
from lutkit.latents.reading import Latents
from lutkit.latents.vae_files import find_vae
from lutkit.photos.sources import list_photos
from lutkit.statistics.ab_files import read_weights
from lutkit.synthesis.manifest import read_manifest, read_recorded
from lutkit.synthesis.pair import SampleMetadata

wholes = st.integers(-(2**64) + 1, 2**64 - 1)
scalars = st.none() | st.booleans() | wholes | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(scalars, lambda one: st.lists(one) | st.dictionaries(st.text(), one), max_leaves=20)


@given(documents)
def test_json_within_the_bounds_comes_back(document):
    text = json.dumps(document)
    assert parse_json(text) == parse_json(text.encode()) == document


@given(st.text(max_size=60) | st.binary(max_size=60))
@example("﻿[]")
@example(b"\xff\xfe[")
@example('"\ud800"')
@example(b'"\xed\xa0\x80"')
def test_whatever_else_is_refused_or_read_never_worse(content):
    for parse in (parse_json, parse_toml):
        with suppress(DocumentError):
            parse(content)


HURTING = {
    "nested": ("[" * 100_000, "nested more than 64 levels deep"),
    "nested and closed": ("[" * 200 + "]" * 200, "nested more than 64 levels deep"),
    "objects": ('{"a":' * 100 + "1" + "}" * 100, "nested more than 64 levels deep"),
    "NaN": ('{"depth": NaN}', "depth is nan, not a finite number"),
    "Infinity": ('{"x": [1, {"depth": [-Infinity]}]}', "depth is -inf, not a finite number"),
    "a float that overflows": ('{"depth": 1e400}', "depth is inf, not a finite number"),
    "5,000 digits": ('{"depth": ' + "9" * 5000 + "}", "a number is too large for 64 bits"),
    "10**400": ('{"depth": 1' + "0" * 400 + "}", "depth is too large for 64 bits"),
    "-2**64": ('{"depth": -18446744073709551616}', "depth is too large for 64 bits"),
    "UTF-8 that is none": (b'{"depth": "\xff"}', "not JSON: not UTF-8 text"),
    "cut off": ('{"depth": ', "not JSON: Expecting value: line 1 column 11"),
    "empty": ("", "not JSON: Expecting value"),
}


@pytest.mark.parametrize(("content", "said"), HURTING.values(), ids=HURTING)
def test_json_that_hurts_is_refused(content, said):
    with pytest.raises(DocumentError) as caught:
        parse_json(content)
    assert caught.value.what.startswith(said)


def test_sixty_four_levels_are_read():
    assert parse_json("[" * 64 + "]" * 64)
    with pytest.raises(DocumentError, match="nested more than 64 levels deep"):
        parse_json("[" * 66 + "]" * 66)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 100_000, "nested more than 64 levels deep"),
        (".".join("a" * 200) + " = 1", "nested more than 64 levels deep"),
        ("n = " + "9" * 5000, "a number is too large for 64 bits"),
        ("n = 1" + "0" * 400, "n is too large for 64 bits"),
        ("[a]\nb = [1.0, inf]", "b is inf, not a finite number"),
        ("b = 1e999", "b is inf, not a finite number"),
        ("b", "not TOML: Expected '='"),
        (b"b = '\xff'", "not TOML: not UTF-8 text"),
    ],
)
def test_toml_that_hurts_is_refused(text, said):
    with pytest.raises(DocumentError) as caught:
        parse_toml(text)
    assert caught.value.what.startswith(said)


def test_toml_is_that_of_the_standard_library():
    text = 'a = 1\n[b]\nc = [1.5, true, "x"]\nd = 2020-01-01\n'
    assert parse_toml(text) == parse_toml(text.encode()) == tomllib.loads(text)


def test_what_is_too_long_is_not_parsed_nor_read_to_its_end(tmp_path):
    (tmp_path / "a.json").write_text("[" + " " * 100 + "]")
    assert read_json(tmp_path / "a.json", most_bytes=102) == []
    for read in (
        lambda: read_json(tmp_path / "a.json", most_bytes=101),
        lambda: parse_json("[" + " " * 100 + "]", most_bytes=101),
        lambda: read_json(Path("/dev/zero"), most_bytes=101),
    ):
        with pytest.raises(DocumentError, match="longer than the limit of 101 bytes"):
            read()


# Fields.


FIELDS = Fields({"t": "x", "w": 3, "n": 0.5, "f": True, "o": {"t": 1}, "l": [{"t": "y"}, 4], "s": ["a", "b"]})


def test_fields_come_in_the_type_that_is_asked_for():
    assert (FIELDS.text("t"), FIELDS.whole("w"), FIELDS.number("n"), FIELDS.number("w")) == ("x", 3, 0.5, 3.0)
    assert type(FIELDS.number("w")) is float
    assert (FIELDS.flag("f"), FIELDS.part("o").values, FIELDS.texts("s")) == (True, {"t": 1}, ["a", "b"])
    assert (FIELDS.listed("l"), Fields({"o": {"a": "b"}}).text_of_each("o")) == ([{"t": "y"}, 4], {"a": "b"})


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda f: f.text("none"), "none is missing"),
        (lambda f: f.text("w"), "w is not a string"),
        (lambda f: f.whole("f"), "f is not a whole number"),
        (lambda f: f.whole("n"), "n is not a whole number"),
        (lambda f: f.number("f"), "f is not a number"),
        (lambda f: f.number("none"), "none is missing"),
        (lambda f: f.flag("w"), "w is not true or false"),
        (lambda f: f.part("l"), "l is not an object"),
        (lambda f: f.part("o").text("t"), "o.t is not a string"),
        (lambda f: f.part("o").text("u"), "o.u is missing"),
        (lambda f: f.parts("l"), r"l\[1\] is not an object"),
        (lambda f: f.texts("l"), "l is not a list of strings"),
        (lambda f: f.text_of_each("o"), "o.t is not a string"),
        (lambda _: fields_of([]), "the document is not an object"),
    ],
)
def test_fields_that_are_not_there_or_something_else_are_named(ask, said):
    with pytest.raises(DocumentError, match=f"^{said}$"):
        ask(FIELDS)


def test_an_error_is_turned_into_that_of_the_reader():
    with (
        pytest.raises(DatasetError, match=r"^a\.json: no index: x is missing; mend it$"),
        refused_as(DatasetError, where="a.json", remedy="mend it", what="no index"),
    ):
        FIELDS.text("x")


# Whoever reads a document.


@pytest.fixture
def folder(tmp_path):
    """A folder of latents that a test writes its document into."""
    return make_latents(tmp_path / "data", {"train": [2]})


def _sample(folder, content):
    json_member = content if isinstance(content, bytes) else content.encode()
    shard = folder / "shards/train-000000.tar"
    return write_shard(shard, [Sample("train-000000000", (("jpg", b"x"), ("json", json_member)))])


def _latents_with(content):
    def edit(_key, members):
        return [*members[:-1], ("json", content if isinstance(content, bytes) else content.encode())]

    return edit


def read_vae(folder, content):
    (folder / "config.json").write_bytes(content)
    (folder / "a.safetensors").write_bytes(b"")
    find_vae(str(folder / "a.safetensors"), config=folder / "config.json")


def read_meta(folder, content):
    named = {name: np.zeros(3) for name in ("bins", "counts", "prior", "smoothed", "weights")}
    out = io.BytesIO()
    np.savez(out, **named, meta=np.array(content.decode("latin-1")))
    (folder / "weights.npz").write_bytes(out.getvalue())
    read_weights(folder / "weights.npz")


def read_sample_json(folder, content):
    make_latents(folder / "more", {"train": [2]}, edit=_latents_with(content))
    list(Latents(folder / "more"))


def read_filtered(folder, content):
    _sample(folder, content)
    list(choose_samples(folder, ["train-000000"], SampleFilter(label="lossy")))


def written_to(name, read):
    def read_there(folder, content):
        (folder / name).write_bytes(content)
        return read(folder)

    return read_there


READERS = {
    "dataset.json of pairs": written_to("dataset.json", read_dataset_json),
    "dataset.json of latents": written_to("dataset.json", read_latent_index),
    "any dataset.json": written_to("dataset.json", read_shard_list),
    "lutkit.pairs": written_to("dataset.json", lutkit.pairs),
    "Latents": written_to("dataset.json", Latents),
    "a manifest": written_to("manifest.toml", lambda folder: read_manifest(folder / "manifest.toml")),
    "what a manifest records": written_to(
        "manifest.toml", lambda folder: read_recorded(folder / "manifest.toml")
    ),
    "the config of a VAE": read_vae,
    "the meta of weights": read_meta,
    "the JSON of a latent": read_sample_json,
    "the JSON that a filter reads": read_filtered,
    "the JSON of a pair": lambda _, content: SampleMetadata.from_json(content),
    "a recipe": lambda _, content: lutkit.Recipe.from_json(content.decode("latin-1")),
}


TOML_READERS = (READERS["a manifest"], READERS["what a manifest records"])


@pytest.mark.parametrize("content", [text for text, _ in HURTING.values()], ids=HURTING)
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_reader_says_in_one_line_what_hurts(reader, content, folder):
    if not content and reader in TOML_READERS:
        pytest.skip("no text is TOML")
    with pytest.raises(LutkitError) as caught:
        reader(folder, content if isinstance(content, bytes) else content.encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [text for text, _ in HURTING.values()], ids=HURTING)
def test_a_record_that_hurts_is_none_and_a_manifest_that_hurts_tells_nothing(content, folder):
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "records").mkdir()
    (folder / "records/train-000000.json").write_bytes(data)
    assert read_record(folder, "train-000000") is None
    (folder / "manifest.toml").write_bytes(data)
    with pytest.raises(LutkitError, match="these tars hold latents"):
        list_photos(str(folder))


@pytest.mark.parametrize("command", ["verify", "decode-latents", "stats", "ab-hist", "encode-latents"])
def test_commands_end_in_one_line(command, folder, capsys, monkeypatch):
    (folder / "dataset.json").write_text('{"format": ' + "[" * 100_000)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["lutkit", command, str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
