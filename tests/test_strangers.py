"""A dataset folder that a stranger made: no name in it leads out of the folder, whoever reads it."""

import json
import shutil

import numpy as np
import pytest
from small_datasets import run_lutkit
from small_latents import make_latents

import lutkit
from lutkit.ab.grid import ab_grid
from lutkit.ab.weights import weights_of_counts
from lutkit.dataset.latent_index import VaeIdentity, read_latent_index
from lutkit.dataset.records import read_record, record_path, shard_path
from lutkit.engine.engine import InProcess
from lutkit.errors import DatasetError, VaeError
from lutkit.latents.decode import find_images, load_vae_of, open_latents
from lutkit.latents.reading import Latents, decode_moments
from lutkit.latents.sources import open_source
from lutkit.nn.ab import AbBins
from lutkit.nn.ab_reader import AbTargets
from lutkit.synthesis.verify import check_dataset

URLS = [
    "shards/../../outside.tar",
    "/abs/outside.tar",
    "shards//abs/outside.tar",
    "../records/train-000000.tar",
    "shards/..tar",
    "shards/a/b-000000.tar",
    "shards/train-000000",
    "shards/train-" + "9" * 5000 + ".tar",
    "shards/" + "a" * 5000 + ".tar",
    "shards/train-000000\n.tar",
    "https://example.org/train-000000.tar",
    "",
]
every_url = pytest.mark.parametrize("url", URLS, ids=range(len(URLS)))


def faults_of(folder):
    return check_dataset(folder, InProcess(), lambda _: None)


def list_first_as(folder, url):
    """Let `dataset.json` list the first shard under another name."""
    path = folder / "dataset.json"
    document = json.loads(path.read_text())
    document["shardlist"][0]["url"] = url
    path.write_text(json.dumps(document))


@pytest.fixture
def pairs_of_stranger(png_300, tmp_path):
    """A sound dataset, and two sound shards where strange names lead."""
    folder = shutil.copytree(png_300, tmp_path / "stranger")
    for place in (tmp_path, folder):
        shutil.copy(folder / "shards/train-000000.tar", place / "outside.tar")
    return folder


@every_url
def test_a_dataset_of_pairs(url, pairs_of_stranger, tmp_path):
    list_first_as(pairs_of_stranger, url)
    latents = make_latents(tmp_path / "latents", {"train": [4]})
    bins = AbBins(weights_of_counts(np.ones((256, 256), np.int64), ab_grid("16")))
    readers = (
        faults_of,
        lutkit.pairs,
        lambda folder: AbTargets(folder, bins),
        lambda folder: open_source(str(folder)),
        lambda folder: Latents(latents, joined={"photo": folder}),
    )
    for read in readers:
        with pytest.raises(DatasetError, match=r"dataset\.json: .*shardlist\[0\]") as caught:
            read(pairs_of_stranger)
        assert "\n" not in str(caught.value)


@every_url
def test_a_folder_of_latents(url, tmp_path):
    folder = make_latents(tmp_path / "stranger", {"train": [4]})
    for place in (tmp_path, folder):
        shutil.copy(folder / "shards/train-000000.tar", place / "outside.tar")
    list_first_as(folder, url)
    for read in (Latents, open_latents):
        with pytest.raises(DatasetError, match=r"dataset\.json: .*shardlist\[0\]") as caught:
            read(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../x", "/abs", "a/b", "", ".", "..", ".hidden", "a\n", "a b", "ü", "x" * 201]
)
def test_no_path_is_made_of_such_a_name(name, tmp_path):
    for make in (shard_path, record_path):
        with pytest.raises(DatasetError, match="is not a shard's name"):
            make(tmp_path, name)
    assert shard_path(tmp_path, "laion-2B-00000_x.y") == tmp_path / "shards/laion-2B-00000_x.y.tar"


def test_a_shard_of_no_split_is_no_pair(pairs_of_stranger):
    list_first_as(pairs_of_stranger, "shards/photos.tar")
    for read in (faults_of, lutkit.pairs):
        with pytest.raises(DatasetError, match=r"dataset\.json: .*'photos' is not a shard's name"):
            read(pairs_of_stranger)


def test_verify_says_it_in_one_line(pairs_of_stranger, tmp_path):
    list_first_as(pairs_of_stranger, "shards/photos.tar")
    run = run_lutkit("verify", pairs_of_stranger, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"
HEADERS = {
    "an endless sign": HEADER % f"({'-' * 5000}1,)",
    "an endless sum": HEADER % "+".join("1" * 4000),
    "a dict of lists": "{[]: 1}",
    "a size that overflows": HEADER % "(4, 4294967296, 1073741824)",
    "a size of 400 digits": HEADER % f"({'9' * 400},)",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("shape", [(8, 1, 1), (4, 4294967296, 1073741824)])
def test_the_header_of_an_array(header, shape):
    text = header.encode().ljust(118)
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with pytest.raises(DatasetError) as caught:
        decode_moments(content, shape, "a.npy")
    assert len(str(caught.value)) < 400


def test_what_an_index_says_of_its_source_has_types(tmp_path):
    for source in (
        {"kind": "tars", "size_px": "x"},
        {"kind": "tars", "members": [1]},
        {"kind": "tars", "members": "x"},
    ):
        folder = make_latents(tmp_path / str(len(list(tmp_path.iterdir()))), {"train": [4]}, source=source)
        with pytest.raises(DatasetError, match=r"dataset\.json: source\.(size_px|members) is not"):
            find_images(folder, read_latent_index(folder), "in/*.tar")


@pytest.mark.parametrize(
    ("name", "revision"),
    [("../../x", "a"), ("owner/..", "a"), ("owner/name", "../../etc"), ("owner/name", "/abs")],
)
def test_no_path_of_the_hubs_cache_is_made_of_them(name, revision, tmp_path):
    vae = VaeIdentity(name, revision, "ab" * 32, {"latent_channels": 4}, 0.4, 0.25, 4)
    folder = make_latents(tmp_path / "stranger", {"train": [4]}, vae=vae)
    with pytest.raises(VaeError, match="is no valid hub name and revision; name the VAE with --vae"):
        load_vae_of(read_latent_index(folder), "", None, "cpu")


def test_a_file_that_is_no_shard_is_met_by_no_reader_of_records(png_300, tmp_path):
    folder = shutil.copytree(png_300, tmp_path / "copied")
    (folder / "records/a b.json").write_text("{}")
    assert read_record(folder, "a b") is None
    assert faults_of(folder) == ()
