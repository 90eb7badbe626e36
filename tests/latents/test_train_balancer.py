"""The examples of training on latents: the plain loop learns, the Lightning one runs where it can."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_latents import VAE, make_latents, moments_of, npy
from torch.utils.data import DataLoader

from lutkit.errors import DatasetError
from lutkit.latents.reading import Latents

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network is faster alone
    yield
    torch.set_num_threads(before)
    for name in ("train_balancer", "train_balancer_lightning"):
        sys.modules.pop(name, None)


@pytest.fixture
def latents(tmp_path):
    """Inputs whose damage is a shift of one channel of the mean: something that can be learned."""

    def edit(key, members):
        target = moments_of(key, "target")
        shifted = target + np.where(np.arange(8) == 2, 1.5, 0).astype(np.float32)[:, None, None]
        return [("input.npy", npy(shifted)), ("target.npy", npy(target)), members[-1]]

    return make_latents(tmp_path / "latents", {"train": [24, 24], "val": [5]}, edit=edit)


def test_the_plain_loop_learns(scripts, latents, tmp_path, capsys):
    from train_balancer import Balancer, options_of, train

    out = tmp_path / "balancer.pt"
    arguments = [str(latents), "--epochs=6", "--batch=8", "--workers=0", "--learning-rate=1e-2",
                 "--validate=val", f"--out={out}", "--device=cpu"]  # fmt: skip
    losses = train(options_of(arguments))
    assert losses[-1] < 0.3 * losses[0]
    printed = capsys.readouterr().out
    assert len(re.findall(r"epoch \d+: \d+\.\d+ nats", printed)) == 6
    assert float(re.search(r"val: (\d+\.\d+)", printed)[1]) < 0.3 * losses[0]
    stored = torch.load(out, weights_only=True)
    assert (stored["vae"], stored["sha256"], stored["scaling"], stored["shift"]) == (
        VAE.name,
        VAE.sha256,
        0.4,
        0.25,
    )
    Balancer(8).load_state_dict(stored["balancer"])


def test_a_split_that_is_not_there_is_said_before_anything_is_learned(scripts, latents, tmp_path, capsys):
    from train_balancer import options_of, train

    arguments = [str(latents), "--epochs=1", "--workers=0", "--validate=test", f"--out={tmp_path / 'b.pt'}"]
    with pytest.raises(DatasetError, match="no split 'test'; choose one of its splits: train, val"):
        train(options_of([*arguments, "--device=cpu"]))
    assert capsys.readouterr().out == ""


def test_a_smaller_last_batch_counts_for_its_samples(scripts, latents):
    from train_balancer import Balancer, validate

    held_out = Latents(latents, "val", scaled=True, metadata=False)
    found = [validate(Balancer(8), DataLoader(held_out, size), "cpu") for size in (1, 3, 5)]
    assert found == pytest.approx(found[:1] * 3, rel=1e-5)


def test_the_plain_loop_takes_shards(scripts, latents, tmp_path):
    from train_balancer import options_of, train

    shards = [str(latents / "shards" / f"train-00000{i}.tar") for i in (0, 1)]
    arguments = [*shards, "--epochs=1", "--workers=0", f"--out={tmp_path / 'b.pt'}", "--device=cpu"]
    assert len(train(options_of(arguments))) == 1


def test_without_lightning_its_example_says_what_to_install(scripts, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    with pytest.raises(SystemExit) as caught:
        import train_balancer_lightning  # noqa: F401
    assert caught.value.code == "train_balancer_lightning.py needs Lightning; run `pip install lightning`"


@pytest.mark.filterwarnings("default")  # lightning's own are not ours to mend
def test_the_lightning_example_runs(scripts, latents, monkeypatch, tmp_path):
    if importlib.util.find_spec("lightning") is None:
        # Then at least what it imports of ours is there, and it is Python.
        source = (SCRIPTS / "train_balancer_lightning.py").read_text()
        compile(source, "train_balancer_lightning.py", "exec")
        pytest.skip("lightning is not installed")
    import train_balancer_lightning

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x", str(latents), "--epochs=1"])
    train_balancer_lightning.main()
