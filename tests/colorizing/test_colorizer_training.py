"""The colorizer and its training: the network, its data and loss, resuming, folders, what is refused."""

import json
import signal

import numpy as np
import pytest
import skimage.color
import torch
from small_colorizers import (
    TINY,
    build_landscapes,
    landscape,
    painter,
    uniform_weights,
    weigh,
)
from torch.nn import functional

import lutkit
from lutkit.colorizing.class_table import ClassTable
from lutkit.colorizing.colorizer import Colorizer, colorizer_of
from lutkit.colorizing.colorizer_training import ColorizerTraining
from lutkit.colorizing.loading import load_colorizer
from lutkit.colorizing.targets import TargetBatch, TargetBatches, central_batches
from lutkit.colorizing.temperature import TEMPERATURES, choose_temperature
from lutkit.errors import DatasetError, LutkitError, SourceError
from lutkit.nn.ab import AbBins, hard_classes
from lutkit.nn.ab_decode import annealed_mean
from lutkit.statistics.ab_files import read_weights
from lutkit.training.train import TrainSettings

SETTINGS = TrainSettings(
    steps=12, minutes=0.0, validate=4, learning_rate=0.01, weight_decay=0.0, seed=0, device="cpu",
    devices=1, precision="32-true", log="csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return build_landscapes(tmp_path_factory.mktemp("landscapes"))


def train_in(folder, data, **options):
    return lutkit.train_colorizer(
        data / "pairs",
        folder,
        **{"weights": data / "weights.npz", "steps": 6, "validate": 3, **TINY, **options},
    )


def weights_in(folder):
    return (folder / "model.safetensors").read_bytes()


def test_the_network_has_the_blocks_strides_and_dilations_of_the_source():
    network = colorizer_of(uniform_weights(), 64)
    convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    found = [(one.out_channels, one.stride[0], one.dilation[0]) for one in convolutions]
    # Zhang et al., figure 2 and table 4: conv1_1 to conv8_3, then the classes.
    assert found == [
        (64, 1, 1), (64, 2, 1), (128, 1, 1), (128, 2, 1), (256, 1, 1), (256, 1, 1), (256, 2, 1),
        (512, 1, 1), (512, 1, 1), (512, 1, 1), (512, 1, 2), (512, 1, 2), (512, 1, 2),
        (512, 1, 2), (512, 1, 2), (512, 1, 2), (512, 1, 1), (512, 1, 1), (512, 1, 1),
        (256, 1, 1), (256, 1, 1), (224, 1, 1),
    ]  # fmt: skip
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules()) == 8
    assert 29e6 < sum(values.numel() for values in network.parameters()) < 33e6
    small = colorizer_of(uniform_weights(), 2).eval()
    assert small(torch.rand(2, 1, 40, 56)).shape == (2, 224, 10, 14)


def test_an_untrained_network_says_about_the_shares_of_the_data(data):
    weights = read_weights(data / "weights.npz")
    network = colorizer_of(weights, 2).eval()
    chances = network(100 * torch.rand(1, 1, 64, 64)).softmax(1).mean((0, 2, 3))
    assert (chances - network.prior).abs().max() < 0.05


def test_batches_are_lab_at_the_sizes_of_input_and_output(data):
    pairs = lutkit.pairs(data / "pairs", split="val")
    (batch,) = central_batches(pairs, size=50, side=32, most=3)
    target = pairs[0][1]
    lab = skimage.color.rgb2lab(target / 255.0)
    assert batch.keys[0] == pairs[0][2]["key"]
    assert np.abs(batch.lightness[0, 0].numpy() - lab[..., 0]).max() < 0.02
    means = lab[..., 1:].reshape(8, 4, 8, 4, 2).mean((1, 3))
    assert np.abs(batch.ab[0].permute(1, 2, 0).numpy() - means).max() < 0.05
    assert batch.lightness.shape == (3, 1, 32, 32)


def test_lightness_gets_a_tone_curve_and_ab_does_not(data, monkeypatch):
    batches = TargetBatches(lutkit.pairs(data / "pairs", split="train"), size=8, side=32, seed=3)
    changed = batches.at(0)
    monkeypatch.setattr("lutkit.colorizing.targets._TONE", 0.0)
    given = batches.at(0)
    assert torch.equal(changed.ab, given.ab)
    gammas = (changed.lightness / 100).log() / (given.lightness / 100).log()
    of_each = gammas.flatten(1).median(1).values
    assert (gammas - of_each[:, None, None, None]).abs().max() < 1e-3
    assert 0.05 < of_each.log().std() < 0.5


def test_batches_begin_anywhere_and_use_each_target_once_before_any_comes_again(data):
    batches = TargetBatches(lutkit.pairs(data / "pairs", split="train"), size=4, side=32, seed=3)
    batches.step = 2
    third, fourth, *_ = (batch for batch, _ in zip(batches, range(2), strict=False))
    assert third.keys == batches.at(2).keys
    assert torch.equal(fourth.ab, batches.at(3).ab)
    count = len(batches.pairs)
    epoch = [key for step in range(-(-count // 4)) for key in batches.at(step).keys][:count]
    assert len(set(epoch)) == count


def test_the_table_counts_classes_by_lightness():
    bins = AbBins(uniform_weights())
    generator = torch.Generator().manual_seed(1)
    lightness = 100 * torch.rand(2, 1, 16, 16, generator=generator)
    ab = 60 * torch.rand(2, 2, 4, 4, generator=generator) - 30
    table = ClassTable([TargetBatch(lightness, ab, ("a", "b"))], bins, soft=False, weighted=True)
    classes = hard_classes(ab, bins)
    levels = (functional.avg_pool2d(lightness, 4)[:, 0] / 2).long()
    own = table.counts - table.counts.min(0).values  # what all levels have is the prior's
    for place in ((0, 0, 0), (1, 2, 3)):
        level, found = int(levels[place]), int(classes[place])
        same = (levels == level) & (classes == found)
        assert float(own[level, found]) == pytest.approx(float(same.sum() * bins.weights[found]), rel=1e-5)
    # Between the middles of the levels, 1, 3, ..., 99, the logarithms are interpolated.
    logits = table.logits(lightness)
    assert logits.shape == (2, 224, 4, 4)
    shares = (table.counts / table.counts.sum(1, keepdim=True)).numpy()
    means = functional.avg_pool2d(lightness, 4)[:, 0].numpy()
    for found in (0, 100, int(classes[0, 0, 0])):
        expected = np.interp(means, np.arange(1, 100, 2), np.log(shares[:, found]))
        assert np.abs(logits[:, found].numpy() - expected).max() < 1e-4
    ends = table.logits(torch.tensor([0.0, 100.0])[:, None, None, None].expand(-1, -1, 4, 4))[..., 0, 0]
    assert np.abs(ends.numpy() - np.log(shares[[0, 49]])).max() < 1e-4


def test_training_begins_with_the_table(data, tmp_path):
    made = train_in(tmp_path / "m", data, steps=1, learning_rate=1e-6)
    assert made.validation == pytest.approx(made.table, rel=0.01)


@pytest.mark.parametrize("weighted", [True, False])
def test_the_hard_loss_is_torch_s_cross_entropy(weighted, data):
    weights = read_weights(data / "weights.npz")
    bins = AbBins(weights)
    network = colorizer_of(weights, 2).eval()
    module = ColorizerTraining(network, SETTINGS, bins, encoding="hard", weighted=weighted)
    (batch,) = central_batches(lutkit.pairs(data / "pairs", split="val"), size=9, side=32, most=3)
    classes = hard_classes(batch.ab, bins)
    expected = functional.cross_entropy(network(batch.lightness).detach(), classes, reduction="none")
    expected = expected * (bins.weights[classes] if weighted else 1)
    assert float(module.loss(batch).detach()) == pytest.approx(float(expected.mean()), rel=1e-5)
    assert torch.allclose(module.error(batch).detach(), expected.flatten(1).mean(1), rtol=1e-5)


def test_it_learns_the_colours_of_lightness(data, tmp_path):
    """Sky, leaves and earth differ in lightness, so that a table knows nearly all."""
    made = train_in(tmp_path / "m", data, width=4, steps=120, validate=40)
    assert made.validation < 1.3 * made.table
    held_back = [pair[1] for pair in lutkit.pairs(data / "pairs", split="val")]
    ab = skimage.color.rgb2lab(np.stack(held_back) / 255.0)[..., 1:]
    means = ab.reshape(len(ab), 8, 4, 8, 4, 2).mean((2, 4))
    assert made.own_chroma == pytest.approx(np.hypot(*np.moveaxis(means, -1, 0)).mean(), abs=0.05)
    assert made.chroma == pytest.approx(made.own_chroma, rel=0.2)
    config = json.loads((tmp_path / "m/config.json").read_text())
    assert (config["architecture"], config["grid"], config["side"]) == ("colorizer", "16", 32)
    assert config["temperature"] == made.temperature
    assert f"cross entropy {made.validation:.3f} nats" in (tmp_path / "m/README.md").read_text()


def test_the_best_and_the_last_weights_are_both_models(data, tmp_path, monkeypatch):
    def ever_worse(module, batch):
        return torch.full((len(batch.lightness),), float(module.global_step))

    monkeypatch.setattr(ColorizerTraining, "error", ever_worse)
    train_in(tmp_path / "m", data, steps=9, validate=3)
    kept = [load_colorizer(tmp_path / "m" / folder).network.state_dict() for folder in ("", "last")]
    for weights, name in zip(kept, ("best", "last"), strict=True):
        stored = torch.load(tmp_path / f"m/checkpoints/{name}.ckpt", weights_only=True)
        assert stored["global_step"] == {"best": 3, "last": 9}[name]
        for part, values in weights.items():
            assert torch.equal(stored["state_dict"][f"network.{part}"], values)
    told = [json.loads((tmp_path / "m" / folder / "config.json").read_text()) for folder in ("", "last")]
    assert [one["result"]["last"] for one in told] == 2 * [told[1]["result"]["validation"]]


def test_a_pretrained_network_is_read_with_its_classes(data, tmp_path):
    train_in(tmp_path / "m", data)
    network = Colorizer.from_pretrained(tmp_path / "m")
    weights = read_weights(data / "weights.npz")
    assert (network.grid, network.classes, network.width) == ("16", len(weights.grid.bins), 2)
    assert np.array_equal(network.bins.numpy(), weights.grid.bins)
    assert np.allclose(network.prior.numpy(), weights.smoothed)
    assert not network.training


def test_a_run_that_is_stopped_ends_with_the_same_bytes(data, tmp_path):
    def stop(now):
        if (now.stage, now.done) == ("steps", 4):
            signal.raise_signal(signal.SIGINT)

    whole = train_in(tmp_path / "whole", data)
    with pytest.raises(KeyboardInterrupt):
        train_in(tmp_path / "cut", data, on_progress=stop)
    with pytest.raises(SourceError, match=r"cut: the training is not finished; run the same `lutkit train`"):
        load_colorizer(tmp_path / "cut")
    again = train_in(tmp_path / "cut", data)
    assert again.to_dict() | {"model": "", "minutes": 0} == whole.to_dict() | {"model": "", "minutes": 0}
    for folder in ("", "last"):
        assert weights_in(tmp_path / "cut" / folder) == weights_in(tmp_path / "whole" / folder)
    assert train_in(tmp_path / "whole", data) == whole  # it is not trained again


def test_a_temperature_is_found_again():
    """Photographs whose colours are the outputs at one of the temperatures."""
    network = painter()
    lightness = 100 * torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for temperature in TEMPERATURES[1:5]:
        ab = annealed_mean(network(lightness), temperature, network.bins)
        found = choose_temperature(network, [TargetBatch(lightness, ab, ("a", "b"))])
        assert found.temperature == temperature
        assert found.chroma == pytest.approx(found.own_chroma, abs=1e-3)


def test_weights_of_another_grid_are_refused_and_both_grids_named(data, tmp_path):
    train_in(tmp_path / "m", data)
    weigh(data, "10", "tens.npz")
    with pytest.raises(LutkitError) as caught:
        train_in(tmp_path / "m", data, weights=data / "tens.npz")
    assert 'begun with grid "16 of ' in str(caught.value)
    assert 'not "10 of ' in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 1}, "--width is 1; choose 2 to 128"),
        ({"side": 36}, "--side is 36; choose from 32 to 512 in steps of 8"),
        ({"batch": 0}, "--batch is 0; choose from 1 to 1024"),
        ({"encoding": "one-hot"}, "--encoding is 'one-hot'; choose from soft, hard"),
        ({"weights": "none.npz"}, "none.npz: no such file; name a weights file"),
        ({"steps": 0}, "--steps is 0; give at least 1"),
        ({"dropout": 1}, "--dropout is 1; choose 0 to 0.9"),
        ({"weight_decay": -1}, "--weight-decay is -1; choose from 0 to below 1"),
        ({"unweighted": "yes"}, "unweighted is 'yes'; give True or False"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(options, message, data, tmp_path):
    with pytest.raises(LutkitError) as caught:
        train_in(tmp_path / "m", data, **options)
    assert message in str(caught.value)
    assert not (tmp_path / "m").exists()


def test_a_model_without_a_grid_and_one_of_another_kind_are_refused(data, tmp_path):
    train_in(tmp_path / "m", data)
    config = json.loads((tmp_path / "m/config.json").read_text())
    (tmp_path / "m/config.json").write_text(json.dumps(config | {"architecture": "adaptive-lut"}))
    with pytest.raises(SourceError, match="another kind, 'adaptive-lut'; give it to `lutkit balance`"):
        load_colorizer(tmp_path / "m")
    del config["grid"]
    (tmp_path / "m/config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=r"m/config\.json: not a model: grid is missing"):
        load_colorizer(tmp_path / "m")


def test_without_validation_the_last_weights_are_kept(data, tmp_path):
    folder = build_landscapes(tmp_path / "all", 8, splits=(("train", 1.0),))
    notes = []
    made = train_in(tmp_path / "m", folder, on_progress=lambda now: notes.extend(now.notes))
    assert notes[0].startswith("No validation (")
    assert (made.validation, made.table, made.last, made.temperature) == (None, None, None, 0.38)
    assert load_colorizer(tmp_path / "m").temperature == 0.38


def test_no_dataset_is_refused(data, tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        lutkit.train_colorizer(tmp_path, tmp_path / "m", weights=data / "weights.npz")


def test_a_target_is_the_pair_s(data):
    pairs = lutkit.pairs(data / "pairs")
    target = pairs.read_target(3)
    assert np.array_equal(target.pixels, pairs[3][1])
    assert target.key == pairs[3][2]["key"]
    assert landscape(0).shape == (72, 96, 3)
