"""Training: the schedule, what is learned, stopping and continuing, and what is refused."""

import csv
import json
import math
import signal
import subprocess
import sys
import time

import pytest
import torch
from small_models import build_pairs
from torch import nn

import lutkit
from lutkit.balancing.balancer_training import Batch
from lutkit.errors import DatasetError, LutkitError, VaeError
from lutkit.training.train import Training, TrainSettings, one_cycle, train

LUTKIT = [sys.executable, "-c", "import sys; sys.argv[0] = 'lutkit'; from lutkit.cli import main; main()"]
SETTINGS = {
    "steps": 12, "minutes": 0.0, "validate": 4, "learning_rate": 0.01, "weight_decay": 0.0, "seed": 0,
    "device": "cpu", "devices": 1, "precision": "32-true", "log": "csv",
}  # fmt: skip


@pytest.fixture(scope="module")
def pair_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    build_pairs(folder)
    return folder / "pairs"


def weights_of(folder):
    return (folder / "model.safetensors").read_bytes()


def test_the_learning_rate_is_torch_s_one_cycle():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.02)
    steps = 201
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.02, steps, pct_start=0.1, cycle_momentum=False, final_div_factor=1e5 / 25
    )
    for step in range(steps):
        # torch's phases end a step early.
        place = step / 20.1 * 0.1 * 20.1 / 19.1 if step < 19.1 else 0.1 + (step - 19.1) / (200 - 19.1) * 0.9
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.02 * one_cycle(place), rel=0.02, abs=1e-5)
        optimizer.step()
        schedule.step()
    assert (one_cycle(0), one_cycle(0.1), one_cycle(1), one_cycle(2)) == pytest.approx((0.04, 1, 1e-5, 1e-5))


def test_it_learns_a_damage_and_writes_a_model_that_balances(tmp_path):
    from small_datasets import build, make_photos, manifest_of

    from lutkit import DamageSettings, Manifest
    from lutkit.balancing.models import load_model

    # One fault only, always in the same direction: what a network can learn in a minute.
    damage = DamageSettings(families={"tone_curve": 1.0}, severity=(6, 10), mixed_light=0.0, max_families=1)
    manifest = manifest_of(
        make_photos(tmp_path / "photos", 40), n=200, splits=(("train", 0.8), ("val", 0.2)), damage=damage
    )
    assert isinstance(manifest, Manifest)
    build(manifest, tmp_path / "pairs")
    notes = []
    made = lutkit.train_adaptive_lut(
        tmp_path / "pairs", tmp_path / "model", steps=150, validate=50, device="cpu", unchanged=0,
        on_progress=lambda now: notes.extend(now.notes),
    )  # fmt: skip
    assert made.validation < 0.8 * made.before
    assert (made.steps, made.pairs + 0) == (150, len(lutkit.pairs(tmp_path / "pairs", split="train")))
    assert [note.partition(":")[0] for note in notes] == ["step 50", "step 100", "step 150"]
    model = load_model(tmp_path / "model")
    found = []
    for before, after, _ in list(lutkit.pairs(tmp_path / "pairs", split="val"))[:20]:
        found.append(
            abs(lutkit.balance(before, model).astype(int) - after).mean()
            < abs(before.astype(int) - after).mean()
        )
    assert sum(found) > 14
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert (config["architecture"], config["cube_size"], config["threshold"]) == ("adaptive-lut", 5, 4.0)
    assert config["data"]["manifest"] == (tmp_path / "pairs/manifest.toml").read_text()
    assert config["result"]["validation"] == made.validation
    card = (tmp_path / "model/README.md").read_text()
    assert f"{made.before:.2f} before, {made.validation:.2f} after" in card
    rows = list(csv.DictReader((tmp_path / "model/logs/version_0/metrics.csv").read_text().splitlines()))
    assert {"loss", "validation"} <= set(rows[0])


def test_it_learns_from_several_datasets(pair_folder, tmp_path):
    (tmp_path / "other").mkdir()
    build_pairs(tmp_path / "other", n=30)
    both = [pair_folder, str(tmp_path / "other/pairs")]
    made = lutkit.train_adaptive_lut(both, tmp_path / "m", steps=3, device="cpu")
    assert made.pairs == sum(len(lutkit.pairs(folder, split="train")) for folder in both)
    data = json.loads((tmp_path / "m/config.json").read_text())["data"]
    assert data["manifest"].count("[damage]") == 2
    assert len(set(data["sha256"].split())) == 2
    with pytest.raises(LutkitError, match="begun with data"):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", steps=3, device="cpu")
    with pytest.raises(LutkitError, match="no dataset is named"):
        lutkit.train_adaptive_lut([], tmp_path / "m")


def test_a_dataset_without_validation_pairs_does_not_drop_those_of_the_others(pair_folder, tmp_path):
    (tmp_path / "bare").mkdir()
    build_pairs(tmp_path / "bare", n=24, splits=(("train", 1.0),))
    notes = []
    made = lutkit.train_adaptive_lut(
        [tmp_path / "bare/pairs", pair_folder], tmp_path / "m", steps=2, validate=2, device="cpu",
        on_progress=lambda now: notes.extend(now.notes),
    )  # fmt: skip
    assert notes[0].startswith(f"Not all datasets have pairs for validation ({tmp_path}/bare/pairs: no ")
    assert str(pair_folder) not in notes[0]
    alone = lutkit.train_adaptive_lut(pair_folder, tmp_path / "alone", steps=1, validate=1, device="cpu")
    assert made.before == alone.before


def test_a_model_that_is_worse_than_nothing_is_announced(pair_folder, tmp_path):
    for rate, is_bad in ((0.03, True), (1e-3, False)):
        warnings = []
        made = lutkit.train_adaptive_lut(
            pair_folder, tmp_path / f"{rate}", steps=12, validate=12, learning_rate=rate, threshold=0,
            cube_size=0, device="cpu", on_progress=warnings.append,
        )  # fmt: skip
        warnings = [text for now in warnings for text in now.warnings]
        assert (made.validation >= made.before) == is_bad == bool(warnings)
        card = (tmp_path / f"{rate}/README.md").read_text()
        assert ("no better than doing nothing" in card) == is_bad
        if is_bad:
            figures = f"{made.before:.2f} before, {made.validation:.2f} after"
            assert warnings[0].startswith("This model is no better than doing nothing: ")
            assert figures in warnings[0]


def test_a_network_that_diverges_is_one_line_with_a_remedy(pair_folder, tmp_path):
    with pytest.raises(LutkitError, match=r"the loss of step \d .*give a lower --learning-rate"):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", steps=12, learning_rate=1.0, device="cpu")


def test_a_run_that_is_stopped_ends_with_the_same_bytes(pair_folder, tmp_path):
    whole = lutkit.train_adaptive_lut(pair_folder, tmp_path / "whole", steps=40, validate=15, device="cpu")
    command = [*LUTKIT, "train", "adaptive-lut", pair_folder, "-o", tmp_path / "cut", "--steps", "40",
               "--validate", "15", "--device", "cpu"]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout.readline().startswith("step 15:")
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=100)
    assert running.returncode in (143, 0), errors
    if running.returncode == 143:
        assert (tmp_path / "cut/checkpoints/last.ckpt").exists()
        assert not (tmp_path / "cut/model.safetensors").exists()
        assert errors.splitlines()[-1].startswith("lutkit: stopped; run it again")
    notes = []
    again = lutkit.train_adaptive_lut(
        pair_folder, tmp_path / "cut", steps=40, validate=15, device="cpu",
        on_progress=lambda now: notes.extend(now.notes),
    )  # fmt: skip
    assert notes[0].startswith("Continuing at step ")
    assert weights_of(tmp_path / "cut") == weights_of(tmp_path / "whole")
    assert (again.steps, again.validation) == (whole.steps, whole.validation)


def test_a_finished_run_is_not_trained_again(pair_folder, tmp_path):
    options = {"steps": 6, "validate": 3, "device": "cpu"}
    first = lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", **options)
    was = weights_of(tmp_path / "m")
    stages = []
    again = lutkit.train_adaptive_lut(
        pair_folder, tmp_path / "m", **options, on_progress=lambda now: stages.append((now.stage, now.done))
    )
    assert weights_of(tmp_path / "m") == was
    assert ("steps", 1) not in stages
    assert again == first
    (tmp_path / "m").rename(tmp_path / "moved")
    moved = lutkit.train_adaptive_lut(pair_folder, tmp_path / "moved", **options)
    assert moved.to_dict() | {"model": ""} == first.to_dict() | {"model": ""}
    assert weights_of(tmp_path / "moved") == was
    # Another version wrote other fields: the finished checkpoint gives the result again.
    config = tmp_path / "moved/config.json"
    config.write_text(config.read_text().replace('"undamaged":', '"unharmed":'))
    other = lutkit.train_adaptive_lut(pair_folder, tmp_path / "moved", **options)
    assert (other.steps, other.validation, other.undamaged) == (6, first.validation, first.undamaged)
    assert weights_of(tmp_path / "moved") == was


@pytest.mark.parametrize(("at", "validate"), [(3, 3), (4, 3), (6, 3), (6, 4)])
def test_a_stop_at_any_step_changes_nothing(at, validate, pair_folder, tmp_path):
    """Also at a step of validation, and at the last one."""

    def stop(now):
        if (now.stage, now.done) == ("steps", at) and not now.notes:
            signal.raise_signal(signal.SIGINT)

    options = {"steps": 6, "validate": validate, "device": "cpu", "seed": 4}
    whole = lutkit.train_adaptive_lut(pair_folder, tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "cut", **options, on_progress=stop)
    again = lutkit.train_adaptive_lut(pair_folder, tmp_path / "cut", **options)
    assert again.validation == whole.validation
    assert weights_of(tmp_path / "cut") == weights_of(tmp_path / "whole")


def test_the_last_weights_count_too_where_no_validation_falls_on_them(pair_folder, tmp_path):
    made = lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", steps=5, validate=50, device="cpu")
    assert made.validation is not None
    other = lutkit.train_adaptive_lut(pair_folder, tmp_path / "n", steps=5, validate=5, device="cpu")
    assert made.validation == other.validation


def test_a_broken_checkpoint_is_one_line_with_a_remedy(pair_folder, tmp_path):
    def stop(now):
        if (now.stage, now.done) == ("steps", 2):
            signal.raise_signal(signal.SIGINT)

    options = {"steps": 9, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", **options, on_progress=stop)
    last = tmp_path / "m/checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(
        LutkitError, match=r"last\.ckpt: the checkpoint cannot be read; delete it to begin again"
    ):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", **options)
    last.unlink()
    assert lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", **options).steps == 9


def test_a_folder_that_was_only_locked_is_free(pair_folder, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/.lock").write_text("process 1\n")
    assert lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", steps=1, device="cpu").steps == 1


def test_ctrl_c_saves_where_it_is_and_raises(pair_folder, tmp_path):
    def interrupt(now):
        if (now.stage, now.done) == ("steps", 7):
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", steps=20, device="cpu", on_progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    stored = torch.load(tmp_path / "m/checkpoints/last.ckpt", weights_only=True)
    assert stored["global_step"] == 7


def test_a_time_limit_ends_the_run_and_its_schedule(pair_folder, tmp_path):
    start = time.monotonic()
    made = lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", steps=10**6, minutes=0.05, device="cpu")
    assert 1 < made.steps < 10**6
    assert made.minutes >= 0.05
    assert time.monotonic() - start < 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "--steps is 0; give at least 1"),
        ({"validate": 0}, "--validate is 0"),
        ({"minutes": -1}, "--minutes is -1"),
        ({"learning_rate": 0}, "--learning-rate is 0"),
        ({"unchanged": 1}, "--unchanged is 1; choose from 0 to below 1"),
        ({"cube_size": 1}, "cube_size is 1"),
        ({"precision": "half"}, "--precision is 'half'; choose from 32-true"),
        ({"log": "wandb"}, "--log is 'wandb'; choose csv or tensorboard"),
        ({"kind": "enhance"}, "no sample"),
        ({"steps": 2.5}, "--steps is 2.5; give a whole number"),
        ({"steps": "2"}, "--steps is '2'; give a whole number"),
        ({"minutes": "5"}, "--minutes is '5'; give a number"),
        ({"cube_size": 2.0}, "cube_size is 2.0"),
        ({"threshold": -0.5}, "threshold is -0.5; choose from 0 to 20"),
        ({"threshold": "2"}, "threshold is '2'"),
        ({"seed": -1}, "--seed is -1; choose from 0"),
        ({"seed": 2**70}, "--seed is 1180591620717411303424"),
        ({"precision": "16-mixed"}, "--precision 16-mixed needs a GPU"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(options, message, pair_folder, tmp_path):
    with pytest.raises(LutkitError) as caught:
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", device="cpu", **options)
    assert message in str(caught.value)
    assert not (tmp_path / "m").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_one_line(pair_folder, tmp_path):
    with pytest.raises(VaeError, match=r"CUDA is requested, but torch .* choose --device cpu"):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", device="cuda")


def test_no_dataset_and_no_train_split_are_refused(pair_folder, tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        lutkit.train_adaptive_lut(tmp_path, tmp_path / "m")
    build_pairs(tmp_path, n=24, splits=(("test", 1.0),))
    with pytest.raises(DatasetError, match="train"):
        lutkit.train_adaptive_lut(tmp_path / "pairs", tmp_path / "m")


def test_a_folder_with_other_things_and_a_run_with_other_settings_are_refused(pair_folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(LutkitError, match="other: holds something else; name a new folder"):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "other", device="cpu")
    lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", steps=2, device="cpu")
    was = weights_of(tmp_path / "m")
    with pytest.raises(
        LutkitError, match=r"m: begun with steps 2, not 3, seed 0, not 1; give the same options"
    ):
        lutkit.train_adaptive_lut(pair_folder, tmp_path / "m", steps=3, seed=1, device="cpu")
    assert weights_of(tmp_path / "m") == was
    build_pairs(tmp_path, n=24)
    with pytest.raises(LutkitError, match=r'begun with data "[0-9a-f]{12}..*, not "[0-9a-f]{12}'):
        lutkit.train_adaptive_lut(tmp_path / "pairs", tmp_path / "m", steps=2, device="cpu")


class _Diverging(Training):
    """Its weights become infinite at its third step, though no loss shows it."""

    def loss(self, batch):
        if self.global_step == 2:
            with torch.no_grad():
                self.network.weight.fill_(math.inf)
        return (self.network.bias * batch.inputs.mean()).sum().square()

    def error(self, batch):
        return batch.inputs.mean((1, 2, 3))

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    module = _Diverging(nn.Linear(3, 1), TrainSettings(**SETTINGS))
    validation = [Batch(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), ("c", "d"))]
    with pytest.raises(
        LutkitError, match="weights are not finite after step 4; give a lower --learning-rate"
    ):
        train(module, _Batches(), validation, tmp_path, {}, lambda now: None)
    assert not (tmp_path / "checkpoints/last.ckpt").exists()


class _Failing(Training):
    """Its loss is not finite at its sixth step."""

    def loss(self, batch):
        loss = self.network(batch.inputs.mean((2, 3))).square().mean()
        return loss * (math.nan if self.global_step == 5 else 1)

    def error(self, batch):
        return batch.inputs.mean((1, 2, 3))

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch


class _Batches:
    """Endless batches whose keys tell their number."""

    step = 0

    def __iter__(self):
        number = self.step
        while True:
            yield Batch(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), (f"a{number}", f"b{number}"))
            number += 1


def test_a_loss_that_is_not_finite_stops_names_the_batch_and_keeps_the_checkpoint(tmp_path):
    module = _Failing(nn.Linear(3, 1), TrainSettings(**SETTINGS))
    validation = [Batch(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), ("c", "d"))]
    with pytest.raises(LutkitError) as caught:
        train(module, _Batches(), validation, tmp_path, {}, lambda now: None)
    assert str(caught.value).startswith("the loss of step 5 is nan, on a5, b5; check these samples")
    stored = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert stored["global_step"] == 4


def test_without_validation_the_last_weights_are_kept(tmp_path):
    build_pairs(tmp_path, n=24, splits=(("train", 1.0),))
    notes = []
    made = lutkit.train_adaptive_lut(
        tmp_path / "pairs", tmp_path / "m", steps=4, validate=2, device="cpu",
        on_progress=lambda now: notes.extend(now.notes),
    )  # fmt: skip
    assert notes[0].startswith("No validation (")
    assert "val" in notes[0]
    assert [note.partition(": loss")[0] for note in notes[1:]] == ["step 2", "step 4"]
    assert (made.validation, made.before, made.undamaged) == (None, None, None)
    assert weights_of(tmp_path / "m")
