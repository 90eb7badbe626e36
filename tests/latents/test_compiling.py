"""Compiling, by torch's own compiler where the machine has one; and what is said where it cannot."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from gpus import DEVICES
from small_vaes import STAND_IN, one_thread

from lutkit.errors import VaeError
from lutkit.latents import vae
from lutkit.latents.vae import DiffusersVae, torch_compiled

CPU = torch.device("cpu")

# torch's compiler loads parts of torch that torch has given up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch, tmp_path):
    """Remove what earlier runs left, and leave nothing behind."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    torch._dynamo.reset()
    with one_thread():
        yield
    torch._dynamo.reset()


def encoder(channels=8):
    """The smallest module that encodes: it halves sides once and ends in twice its channels, like a VAE."""
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Conv2d(3, channels, 2, stride=2), torch.nn.SiLU()).eval()


def images(count):
    return torch.randint(0, 256, (count, 3, 8, 6), generator=torch.Generator().manual_seed(count)).byte()


@pytest.mark.parametrize("device", DEVICES)
def test_what_torch_compiles_encodes_alike(device):
    if device == "cpu" and not shutil.which("g++"):
        pytest.skip("no g++, with which torch compiles for a CPU")
    place = torch.device(device)
    plain = DiffusersVae(STAND_IN, encoder().to(place), torch.nn.Identity(), place)
    fast = plain.compiled()
    found = fast.encode(images(3))
    torch.testing.assert_close(found, plain.encode(images(3)), rtol=0, atol=1e-5)


def test_what_is_compiled_stays_in_the_users_cache(monkeypatch, tmp_path):
    if not shutil.which("g++"):
        pytest.skip("no g++, with which torch compiles for a CPU")
    from torch._dynamo.utils import counters

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plain = DiffusersVae(STAND_IN, encoder(6), torch.nn.Identity(), CPU)
    first = plain.compiled().encode(images(2))
    assert list((tmp_path / "lutkit/compiled").rglob("*.so"))
    torch._dynamo.reset()
    counters.clear()
    assert torch.equal(plain.compiled().encode(images(2)), first)
    assert counters["inductor"]["fxgraph_cache_hit"] + counters["aot_autograd"]["autograd_cache_hit"] >= 1
    assert counters["inductor"]["fxgraph_cache_miss"] == 0


def test_no_compiler_is_one_line():
    inductor = pytest.importorskip("torch._inductor.config")
    with inductor.patch({"cpp.cxx": (None, "no-such-compiler")}):
        fast = DiffusersVae(STAND_IN, encoder(10), torch.nn.Identity(), CPU).compiled()
        with pytest.raises(VaeError) as caught:
            fast.encode(images(1))
    said = "compiling the encoder needs a C++ compiler, and none is found; install one"
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


class Failing:
    """A compiled function whose compiling fails as torch says it does."""

    def __init__(self, error):
        self.error = error

    def __call__(self, _values):
        from torch._dynamo.exc import BackendCompilerFailed

        raise BackendCompilerFailed(torch.compile, self.error, None)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (RuntimeError("Failed to find C compiler. Please specify via CC"), VaeError, "a C compiler.* in CC,"),
        (ValueError("a bad graph\nand much more"), VaeError, r"compiled \(ValueError: a bad graph\); leave"),
        (torch.OutOfMemoryError("out of memory"), torch.OutOfMemoryError, "^out of memory$"),
    ],
    ids=["no compiler", "another reason", "memory"],
)
def test_what_compiling_fails_of(error, kind, said, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: Failing(error))
    with pytest.raises(kind, match=said):
        torch_compiled(encoder())(torch.zeros(1, 3, 4, 4))


def test_an_error_of_triton_is_one_line_too(monkeypatch):
    class TritonError(Exception):
        pass

    def short(_values):
        raise TritonError("out of resources: shared memory")

    monkeypatch.setattr(torch, "compile", lambda work, **_: work)
    monkeypatch.setattr(vae, "find_spec", lambda name: name == "triton")
    monkeypatch.setattr(vae, "import_module", lambda _: SimpleNamespace(TritonError=TritonError))
    with pytest.raises(VaeError, match=r"compiled \(TritonError: out of resources: shared memory\); leave"):
        torch_compiled(short)(torch.zeros(1))


def test_what_the_encoder_raises_comes_through(monkeypatch):
    def full(_values):
        raise torch.OutOfMemoryError("x")

    monkeypatch.setattr(torch, "compile", lambda work, **_: work)
    with pytest.raises(torch.OutOfMemoryError):
        torch_compiled(full)(torch.zeros(1))
