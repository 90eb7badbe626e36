"""Which layout, and whether to compile: from made-up times, and by encoders whose speed is made up."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_vaes import StandInVae

from lutkit.errors import VaeError
from lutkit.latents import batches, speed
from lutkit.latents.batches import BatchEncoder, BatchSize, stacked
from lutkit.latents.devices import Transfer
from lutkit.latents.encode import choose_layout
from lutkit.latents.speed import (
    Forecast,
    ForecastFile,
    cache_folder,
    compiled_line,
    fastest_layout,
    keep_compiled,
    layout_line,
    not_compiled_line,
    saved_seconds,
)
from lutkit.latents.vae import DiffusersVae

# The choice, as functions of times.


@pytest.mark.parametrize(
    ("contiguous", "last", "chosen"),
    [
        (1.0, 1.3, "contiguous"),
        (1.0, 1.0, "contiguous"),
        (1.0, 0.99, "contiguous"),
        (1.0, 0.9, "channels last"),
    ],
)
def test_the_fastest_layout_is_taken_and_the_usual_one_where_they_are_equal(contiguous, last, chosen):
    seconds = {"contiguous": contiguous, "channels last": last}
    assert fastest_layout(seconds) == chosen
    line = layout_line(seconds, 16)
    assert line.startswith(f"Layout: {chosen} (images/s without compiling: contiguous 16, channels last ")


def test_what_was_measured_on_an_h200():
    # 749 images/s eager, 1,378 compiled, 13 s to compile.
    measured = Forecast(13.0, 1378 / 749)
    for images, pays in ((2_000, False), (20_000, False), (25_000, True), (1_000_000, True)):
        assert (saved_seconds(images, 749, measured) > 0) == pays
    # 2,000 images take no longer than the better way; kernels on disk make 20,000 worth it.
    assert saved_seconds(20_000, 749, dataclasses.replace(measured, seconds=6.5)) > 0


@given(
    st.integers(1, 10**7), st.floats(1, 1e4), st.floats(0.1, 100), st.floats(0.5, 5), st.integers(0, 10**6)
)
def test_what_is_saved_is_the_difference_of_the_two_times(images, rate, seconds, gain, more):
    forecast = Forecast(seconds, gain)
    eager, compiled = images / rate, seconds + images / (rate * gain)
    assert saved_seconds(images, rate, forecast) == pytest.approx(eager - compiled, rel=1e-6, abs=1e-6)
    if gain > 1:
        assert saved_seconds(images + more, rate, forecast) >= saved_seconds(images, rate, forecast)
    else:
        assert saved_seconds(images, rate, forecast) < 0


def test_the_lines_say_what_was_chosen_and_why():
    assert not_compiled_line(2000, 749, Forecast(15, 1.8)) == (
        "Not compiled: the 2,000 images left take 3 s at 749 images/s, and compiling takes about 15 s;"
        " --compile does it anyway."
    )
    assert compiled_line(Forecast(12.84, 2.0, 1), 700, 18900) == (
        "Compiled in 12.8 s: 1.4e+03 images/s instead of 700, for the 18,900 images left."
    )
    assert "not used" in compiled_line(Forecast(12.84, 0.9, 1), 700, 18900)


# What stays on disk.


def test_forecasts_come_back_and_the_second_run_is_expected_to_find_kernels(tmp_path):
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    file = ForecastFile.of({"a": 1}, (64, 64), "float16", environment=home)
    assert file.path.parent == tmp_path / "lutkit/compiled"
    assert file.read() == Forecast()
    file.write(Forecast(12.0, 1.9, 1))
    assert file.read() == Forecast(6.0, 1.9, 1)
    file.write(Forecast(4.0, 1.8, 2))
    assert file.read() == Forecast(4.0, 1.8, 2)
    assert ForecastFile.of({"a": 2}, (64, 64), "float16", environment=home).path != file.path
    assert ForecastFile.of({"a": 1}, (64, 64), "float16", environment=home) == file


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"seconds": 0, "gain": 1.5, "runs": 1}', '{"seconds": 1.0}']
)
def test_a_damaged_forecast_is_none(text, tmp_path):
    file = ForecastFile(tmp_path / "f.json")
    file.path.write_text(text)
    assert file.read() == Forecast()
    ForecastFile(tmp_path / "f.json/below").write(Forecast())  # a file is no folder: nothing is raised


def test_torch_keeps_what_it_compiles_in_the_users_cache(tmp_path):
    given_folder = {"TORCHINDUCTOR_CACHE_DIR": "/mine", "HOME": str(tmp_path)}
    keep_compiled(given_folder)
    assert given_folder["TORCHINDUCTOR_CACHE_DIR"] == "/mine"
    none = {"HOME": str(tmp_path)}
    keep_compiled(none)
    assert none["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / ".cache/lutkit/compiled")
    assert (
        cache_folder({"XDG_CACHE_HOME": "relative", "HOME": "/h"}).as_posix() == "/h/.cache/lutkit/compiled"
    )


# Encoders whose speed is made up, on a device that calls itself a GPU.


@dataclass(frozen=True)
class Device:
    type: str = "cuda"


@dataclass
class Clock:
    """Stands in for time; encoding makes it go on."""

    now: float = 0.0

    def perf_counter(self):
        return self.now


@dataclass(frozen=True)
class Paced(StandInVae):
    """A VAE with a speed.

    Args:
        clock: the clock.
        rate: images per second.
        gain: how many times as fast it is compiled.
        compiling: the seconds that its first batch takes if it is compiled.
        fails: whether it cannot be compiled.
    """

    device: Device = Device()
    clock: Clock = None
    rate: float = 100.0
    gain: float = 2.0
    compiling: float = 10.0
    fails: bool = False
    seen: list = None
    is_compiled: bool = False
    has_run: list = None

    def encode(self, images):
        if self.is_compiled and self.fails:
            raise VaeError("--compile needs a C compiler, and none is found")
        self.seen.append((self.is_compiled, len(images)))
        first = self.is_compiled and not self.has_run
        self.has_run.append(1)
        self.clock.now += len(images) / self.rate + (self.compiling if first else 0)
        return super().encode(images)

    def compiled(self):
        return dataclasses.replace(self, is_compiled=True, rate=self.rate * self.gain, has_run=[])


@pytest.fixture
def paced(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(batches, "time", clock)
    monkeypatch.setattr(batches, "cpu_memory", lambda _device, shape, dtype: torch.empty(shape, dtype=dtype))
    monkeypatch.setattr(
        batches, "start_transfer", lambda _, work, values: Transfer(found := work(values), found, lambda: 0.0)
    )
    return lambda **changes: Paced(clock=clock, seen=[], has_run=[], **changes)


def run(vae, images, *, compiled=None, images_left=None, forecasts=None, size=None):
    lines = []
    count = images if images_left is None else images_left
    encoder = BatchEncoder(
        vae, size or BatchSize(4, fixed=True), compiled=compiled, images_left=count, forecasts=forecasts,
        on_choice=lines.append,
    )  # fmt: skip
    rng = np.random.default_rng(3)
    given_images = [rng.integers(0, 256, (2, 4, 3), dtype=np.uint8) for _ in range(images)]
    found = encoder.fetch(encoder.launch(given_images)).moments
    np.testing.assert_allclose(found, StandInVae().encode(stacked(given_images)).numpy())
    return [is_compiled for is_compiled, _ in vae.seen], lines, encoder


def test_a_long_run_is_compiled_after_its_speed_is_known(paced):
    vae = paced()
    ways, lines, _ = run(vae, 30, images_left=100_000)
    # Two batches without, and all after them with.
    assert ways == [False] * 2 + [True] * 6
    assert {count for _, count in vae.seen} == {4}  # the last one is padded, not compiled anew
    assert len(lines) == 1
    assert lines[0].startswith("Compiled in 10.0 s: 200 images/s instead of 100, for the 99,984 images left.")


def test_a_short_run_is_not_compiled(paced):
    ways, lines, _ = run(paced(), 30)
    assert ways == [False] * 8
    assert lines == [not_compiled_line(22, 100.0, Forecast())]


def test_the_user_decides(paced, tmp_path):
    assert run(paced(), 30, compiled=True)[0] == [True] * 8
    assert run(paced(), 30, compiled=False, images_left=10**9)[:2] == ([False] * 8, [])


def test_a_compiled_encoder_that_is_slower_is_not_kept(paced):
    ways, lines, _ = run(paced(gain=0.9), 40, images_left=100_000)
    assert ways == [False] * 2 + [True] * 2 + [False] * 6
    assert "the compiled encoder is not used" in lines[0]
    # Asked for, it stays.
    growing = BatchSize(4, now=2)
    assert run(paced(gain=0.9), 40, compiled=True, size=growing)[0].count(True) > 4


def test_an_encoder_that_cannot_be_compiled_goes_on_without_unless_it_was_asked_for(paced):
    ways, lines, _ = run(paced(fails=True), 30, images_left=100_000)
    assert ways == [False] * 8
    assert lines == ["Not compiled: --compile needs a C compiler, and none is found."]
    with pytest.raises(VaeError, match="needs a C compiler"):
        run(paced(fails=True), 30, compiled=True)


def test_what_was_measured_decides_for_the_next_run(paced, tmp_path):
    file = ForecastFile(tmp_path / "forecast.json")
    run(paced(compiling=40.0), 30, images_left=100_000, forecasts=file)
    assert dataclasses.astuple(file.read()) == pytest.approx((20.0, 2.0, 1))
    # 3,900 images save 19.5 s, less than the 20 s that are expected now; 4,100 save more.
    assert run(paced(compiling=8.0), 30, images_left=3_900, forecasts=file)[0] == [False] * 8
    assert True in run(paced(compiling=8.0), 30, images_left=4_100, forecasts=file)[0]
    assert dataclasses.astuple(file.read()) == pytest.approx((8.0, 2.0, 2))


def test_a_cpu_is_left_alone():
    vae = StandInVae()
    encoder = BatchEncoder(vae, BatchSize(4, fixed=True), compiled=None, images_left=10**9)
    assert encoder.compiled is False
    convolution = torch.nn.Conv2d(3, 8, 2)
    plain = DiffusersVae(vae.identity, convolution, torch.nn.Identity(), torch.device("cpu"))
    assert choose_layout(plain, [np.zeros((4, 4, 3), np.uint8)]) == (plain, "")


def test_layouts_move_weights_and_give_the_same(monkeypatch):
    convolution = torch.nn.Conv2d(3, 8, 2, stride=2)
    plain = DiffusersVae(StandInVae().identity, convolution, torch.nn.Identity(), torch.device("cpu"))
    last = plain.in_layout("channels last")
    assert last.encoder.weight.is_contiguous(memory_format=torch.channels_last)
    assert not plain.encoder.weight.is_contiguous(memory_format=torch.channels_last)
    images = torch.arange(96, dtype=torch.uint8).reshape(2, 3, 4, 4)
    torch.testing.assert_close(last.encode(images), plain.encode(images))
    again = last.in_dtype("bfloat16")
    assert (again.layout, again.dtype) == ("channels last", "bfloat16")
    assert again.encoder.weight.is_contiguous(memory_format=torch.channels_last)
    assert speed.Layout
