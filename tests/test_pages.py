"""The README and the pages under docs/: their commands and their Python run in order; links lead to files."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from small_datasets import build, make_photos, manifest_of, textured
from small_vaes import one_thread, save_vae

import lutkit
import lutkit.engine.engine
from lutkit.cli import main
from lutkit.engine.engine import InProcess

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")))

# What pages name and tests make smaller, or have no network for.
SMALLER = {
    "--n 50000": "--n 24 --size 32",
    "--n 100000": "--n 30",
    "--n 10000 --size 128": "--n 40 --size 32 --splits train=0.8,val=0.2",
    "-o models/adaptive-lut": "-o models/adaptive-lut --steps 4 --validate 2",
    "-o models/balancer": "-o models/balancer --steps 4 --validate 2 --width 16",
    "--damage camera --minutes 5": "--damage camera --steps 4 --validate 2",
    "-o models/colorizer": "-o models/colorizer --width 2 --side 32 --batch 4 --steps 4 --validate 2",
    "stabilityai/sd-vae-ft-mse": "vae",
    "--vae models/vae": "--vae vae",
    "decode-latents data/latents": "decode-latents data/latents --vae vae",
    "{000000..000175}": "000000",
    "num_workers=4": "num_workers=0",
    "num_workers=2": "num_workers=0",
}


def blocks_of(page):
    """(language, text) of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with what pages name: photos, LUT files, image sets, a VAE; no dataset."""
    make_photos(tmp_path / "photos", 24)
    shutil.copytree(ROOT / "luts", tmp_path / "luts")
    for name, look in (("look", "golden-hour"), ("balance", "cool-balance"), ("print", "print-film")):
        shutil.copy(ROOT / f"luts/{look}.cube", tmp_path / f"{name}.cube")
    shutil.copy(ROOT / "luts/warm-print.cube", tmp_path / "damage.cube")
    before = textured(3, 64, 48)
    Image.fromarray(before).save(tmp_path / "before.jpg", quality=95)
    Image.fromarray(lutkit.apply(before, lutkit.read_lut(tmp_path / "look.cube"))).save(
        tmp_path / "after.jpg", quality=95
    )
    for number, name in enumerate(("inputs", "outputs", "epoch-1", "epoch-2")):
        (tmp_path / name).mkdir()
        for i in range(4):
            pixels = textured(i, 64, 64).astype(int) * (20 - number) // 20
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"{i}.png")
    save_vae(tmp_path / "vae")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lutkit.engine.engine, "LocalEngine", lambda workers: InProcess())
    return tmp_path


def smaller(text):
    for name, other in SMALLER.items():
        text = text.replace(name, other)
    return text


def run_commands(text, monkeypatch, capsys):
    """Run every line that begins with `lutkit`, and give back what they print."""
    printed = []
    for line in smaller(text).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] != ["lutkit"]:
            continue
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert not ended.value.code, f"{line}\n{captured.out}{captured.err}"
        printed.append(captured.out)
    return "".join(printed)


def space_of_python(page):
    """What a page's Python takes as given: a network, a model."""
    import torch

    space = {"__name__": page}
    if page == "docs/colors.md":
        space["network"] = lambda lightness: torch.zeros(
            len(lightness), len(space["bins"]), lightness.shape[2] // 4, lightness.shape[3] // 4
        )
    if page == "docs/latents.md":
        space["model"] = lambda moments: moments.requires_grad_()
        space["accelerator"] = SimpleNamespace(prepare=list)
    return space


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # Lightning's own are not ours to mend
@pytest.mark.filterwarnings("ignore:.*(many workers|logging interval)")
@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_all_python_of_a_page_runs(page, workplace, monkeypatch, capsys):
    blocks = blocks_of(page)
    if page in ("docs/latents.md", "docs/colors.md", "docs/python.md"):
        build(manifest_of("photos", n=24), workplace / "data/pairs")
    monkeypatch.setenv("COLUMNS", "80")
    space, printed, ran = space_of_python(page), "", 0
    with one_thread():
        for language, text in blocks:
            if language == "sh":
                printed += run_commands(text, monkeypatch, capsys)
            elif language == "python":
                exec(compile(smaller(text), page, "exec"), space)
            elif language == "text":
                assert_printed(text, printed)
            else:
                assert language == "json", f"{page}: a block of {language!r} is neither run nor looked at"
            ran += language in ("sh", "python")
    assert ran or page == "docs/contest.md"


def assert_printed(text, printed):
    """Each line of a page's output was printed; sizes of files may differ between encoders."""
    lines = [re.sub(r"[\d.]+ MB *", "MB", line) for line in printed.splitlines()]
    for line in text.splitlines():
        assert re.sub(r"[\d.]+ MB *", "MB", line) in lines, f"{line}\n\nnot in\n\n{printed}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert link.startswith("https://") or (ROOT / page).parent.joinpath(link).exists(), link


def test_the_readme_is_short_and_its_sheet_is_small():
    assert len((ROOT / "README.md").read_text().split()) < 800
    assert (ROOT / "docs/contact-sheet.jpg").stat().st_size < 300_000
