"""The whole way, offline, from four photographs: pairs, a VAE, latents, two networks, balanced photos."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lutkit
from lutkit.color.picture_difference import mean_delta_e_2000_of_codes

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# One fault, always a cast of the same kind: what two small networks learn in a minute.
WARM = lutkit.DamageSettings(
    families={"tonal_tint": 1.0}, severity=(6, 12), mixed_light=0.0, max_families=1, labels="any"
)


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """A folder with everything that the commands write."""
    folder = tmp_path_factory.mktemp("loop")
    lutkit.synth("sample", folder / "pairs", preset=WARM, n=80, size=64, crop="random", workers=1,
                 splits={"train": 1.0})  # fmt: skip
    sys.path.insert(0, str(SCRIPTS))
    try:
        import train_vae
    finally:
        sys.path.remove(str(SCRIPTS))
    assert train_vae.main(["sample", "-o", str(folder / "vae"), "--steps", "20", "--validate", "10"]) == 0
    lutkit.encode_latents(
        folder / "pairs", vae=folder / "vae", out=folder / "latents", dtype="fp32", device="cpu"
    )
    lutkit.train_balancer(
        folder / "latents", folder / "balancer", steps=80, device="cpu", width=16, unchanged=0,
        learning_rate=3e-3, threshold=0,
    )  # fmt: skip
    lutkit.train_adaptive_lut(
        folder / "pairs", folder / "adaptive", steps=80, device="cpu", cube_size=0, unchanged=0, threshold=0
    )
    return folder


def test_a_sheet_shows_each_model_beside_the_truth(loop, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import balance_sheet

    models = [f"--model={loop / model}" for model in ("adaptive", "balancer")]
    options = [*models, f"--vae={loop / 'vae'}", "--rows=2", "--split=train"]
    balance_sheet.main([str(loop / "pairs"), str(tmp_path / "sheet.png"), *options])
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said[:3]] == ["input", "adaptive", "balancer"]
    assert said[3].endswith("sheet.png: 2 pairs of the split train")
    page = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    # Two rows of four images; the last is the truth, drawn as it is.
    size, gap = balance_sheet.PICTURE_PX, balance_sheet.GAP_PX
    place = gap + 3 * (size + gap)
    _, truth, _ = lutkit.pairs(loop / "pairs", split="train")[0]
    drawn = Image.fromarray(truth).resize((size, size), Image.Resampling.LANCZOS)
    assert np.array_equal(page[gap : gap + size, place : place + size], np.asarray(drawn))
    assert page.shape[:2] == (2 * (size + gap + balance_sheet.LINE_PX) + gap, 4 * (size + gap) + gap)


@pytest.mark.parametrize("model", ["balancer", "adaptive"])
def test_damaged_photos_come_nearer_to_the_truth(model, loop, tmp_path):
    pairs = lutkit.pairs(loop / "pairs")
    before, after = [], []
    (tmp_path / "damaged").mkdir()
    for number in range(0, 80, 10):
        damaged, truth, _ = pairs[number]
        Image.fromarray(damaged).save(tmp_path / "damaged" / f"{number}.png")
        before.append(mean_delta_e_2000_of_codes(damaged, truth))
    vae = loop / "vae" if model == "balancer" else ""
    done = lutkit.balance_photos(tmp_path / "damaged", tmp_path / "fixed", model=loop / model, vae=vae)
    assert done.written == 8
    for number in range(0, 80, 10):
        fixed = np.asarray(Image.open(tmp_path / "fixed" / f"{number}.png"))
        after.append(mean_delta_e_2000_of_codes(fixed, pairs[number][1]))
    assert np.mean(after) < 0.75 * np.mean(before)
