"""Networks with planted faults are each told what is wrong; sound networks are told nothing."""

import json
import logging
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from small_colorizers import uniform_weights
from small_vaes import one_thread, save_vae
from torch import nn
from torch.nn import functional

import lutkit
from lutkit.balancing.adaptive_lut import AdaptiveLut
from lutkit.balancing.latent_unet import LatentUnet
from lutkit.balancing.pixel_unet import PixelUnet
from lutkit.colorizing.colorizer import colorizer_of
from lutkit.errors import DatasetError, LutkitError, SourceError
from lutkit.latents.vae_files import find_vae
from lutkit.probing.opening import ImageNetwork, open_network
from lutkit.training.model_folder import save_model


def names(model):
    return [finding.name for finding in lutkit.probe(model).findings]


class Residual(nn.Module):
    """Convolutions of some channels whose result is added to the image: a sound network.

    They learned to raise contrast and saturation a little.
    """

    def __init__(self, seed=0, steps=60, saturation=1.15, cast=(0, 0, 0)):
        super().__init__()
        torch.manual_seed(seed)
        self.change = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, 16, 3, padding=1), nn.GELU(),
            nn.Conv2d(16, 3, 3, padding=1),
        )  # fmt: skip
        optimizer = torch.optim.Adam(self.parameters(), lr=5e-3)
        for _ in range(steps):
            images = torch.rand(4, 3, 6, 6).repeat_interleave(4, 2).repeat_interleave(4, 3)
            grey = images.mean(1, keepdim=True)
            goal = 0.5 + 1.05 * (grey + saturation * (images - grey) - 0.5)
            goal = goal + torch.tensor(cast)[:, None, None]
            loss = (self(images) - goal).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def forward(self, images):
        return images + self.change(images - 0.5)


class After(nn.Module):
    """A sound network, and something done to its result."""

    def __init__(self, work, before=None):
        super().__init__()
        self.sound, self.work, self.before = Residual(), work, before

    def forward(self, images):
        return self.work(self.sound(self.before(images) if self.before else images))


def kernel_of_channels(red, green=(0, 1, 0), blue=(0, 1, 0)):
    """A filter with a kernel for each channel, along rows."""
    kernels = torch.tensor([red, green, blue], dtype=torch.float32)[:, None, None]

    def work(images):
        padded = functional.pad(images, (1, 1, 0, 0), mode="replicate")
        return functional.conv2d(padded, kernels, groups=3)

    return work


class Depthwise(nn.Module):
    """Each channel by itself, twice: no channel ever sees another."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = (nn.Conv2d(3, 3, 3, padding=1, groups=3) for _ in range(2))

    def forward(self, images):
        return images + 0.1 * self.second(torch.tanh(self.first(images)))


class Transposed(nn.Module):
    """A small U-Net that enlarges by a transposed convolution of kernel 3 and stride 2."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.down = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(16, 3, 3, stride=2, padding=1, output_padding=1)

    def forward(self, images):
        return images + 0.05 * self.up(functional.gelu(self.down(images)))


def rounded_by_tensor():
    network = Residual()
    with torch.no_grad():
        for values in network.parameters():
            if values.ndim > 1:
                step = values.abs().max() / 127
                values.copy_((values / step).round() * step)
    return network


def with_a_large_weight():
    """A layer whose first channel is a thousand times larger than the others, and made small again later."""
    scale = torch.tensor([1000.0, 1.0, 1.0])
    network = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 3, 1, bias=False))
    with torch.no_grad():
        mixed = torch.tensor([[0.96, 0.02, 0.02], [0.03, 0.95, 0.02], [0.02, 0.03, 0.95]])
        network[0].weight.copy_((scale[:, None] * mixed)[..., None, None])
        network[1].weight.copy_(torch.diag(1 / scale)[..., None, None])
    return network


PLANTED = {
    "a depthwise network without mixing": (Depthwise, ["channels without mixing"]),
    "a transposed convolution's checkerboard": (Transposed, ["checkerboard"]),
    "a mean over channels after a residual": (
        lambda: After(lambda images: 0.2 * images + 0.8 * images.mean(1, keepdim=True)),
        ["channels pooled together"],
    ),
    "a pooling of each channel after a residual": (
        lambda: After(lambda images: functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)),
        ["smoothed detail"],
    ),
    "int8 weights by tensor": (rounded_by_tensor, ["weights rounded to int8"]),
    "weights that int8 by tensor destroys": (with_a_large_weight, ["drift in int8 by tensor"]),
    "0..255 fed for 0..1": (
        lambda: After(lambda images: images, lambda images: 255 * images), ["another range"]),
    "0..1 fed for 0..255": (
        lambda: After(lambda images: 255 * images, lambda images: images / 255), ["another range"]),
    "0..1 fed for -1..1": (
        lambda: After(lambda images: images, lambda images: (images + 1) / 2), ["another range"]),
    "a training set with a red cast": (lambda: Residual(cast=(0.06, 0, -0.02)), ["red cast"]),
    "a filter that weakens red": (
        lambda: After(lambda images: images * torch.tensor([0.75, 1, 1])[:, None, None]), ["weakened red"]),
    "a filter that smooths red": (
        lambda: After(kernel_of_channels((0.25, 0.5, 0.25))), ["smoothed red"]),
    "a mean over channels before a negative": (
        lambda: After(lambda images: 1 - 0.2 * images - 0.8 * images.mean(1, keepdim=True)),
        ["channels pooled together"],
    ),
    "a negative whose red is weakened": (
        lambda: After(lambda images: 1 - images * torch.tensor([0.75, 1, 1])[:, None, None]),
        ["weakened red"],
    ),
    "a tone curve of each channel": (
        lambda: lambda images: images.clamp(0, 1) ** torch.tensor([0.95, 1, 1])[:, None, None],
        ["channels without mixing"],
    ),
    "dead activations": (lambda: After(lambda images: 0 * images + 0.5), ["no answer"]),
}  # fmt: skip


@pytest.mark.parametrize("cause", PLANTED)
def test_a_planted_cause_is_named(cause):
    make, found = PLANTED[cause]
    assert names(make()) == found


def tone_curve(images):
    return images.clamp(0, 1) ** 2.2


SOUND = {
    "a tone curve": lambda: tone_curve,
    "a tone curve that is flat in the middle": lambda: lambda images: 0.5 + 4 * (images - 0.5) ** 3,
    "a negative": lambda: lambda images: 1 - images,
    "a negative of a trained network": lambda: After(lambda images: 1 - images),
    "the identity": lambda: lambda images: images,
    "an untrained direct network": PixelUnet,
    "a trained residual network": Residual,
    "another seed": lambda: Residual(seed=5),
    "a network that saturates strongly": lambda: Residual(saturation=1.5, steps=120),
    "a transposed convolution whose kernel fits": lambda: _fitting_transposed(),
}


def _fitting_transposed():
    """Kernel 4 and stride 2, with equal weights for all phases."""
    network = Transposed()
    network.up = nn.ConvTranspose2d(16, 3, 4, stride=2, padding=1)
    with torch.no_grad():
        network.up.weight.copy_(network.up.weight.mean((2, 3), keepdim=True).expand(-1, -1, 4, 4))
    return network


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_is_told_nothing(name):
    assert [finding.sentence for finding in lutkit.probe(SOUND[name]()).findings] == []


def test_a_network_that_fails_in_other_ranges_is_measured_in_its_own():
    result = lutkit.probe(lambda images: images**0.9)  # not a number below 0
    assert [one.rms is None for one in result.ranges] == [False, True, False, False]
    assert result.findings == ()


def test_saturation_is_relative_to_a_response_to_greys_of_either_sign():
    negative = lutkit.probe(lambda images: 1 - 0.7 * images - 0.3 * images.mean(1, keepdim=True)).answers
    assert negative.greys == pytest.approx((-1, -1, -1), abs=1e-4)
    assert negative.saturation == pytest.approx(0.7, abs=1e-4)
    assert lutkit.probe(tone_curve).answers.saturation == pytest.approx(1, abs=1e-4)
    constant = lutkit.probe(lambda images: 0 * images + 0.5)
    assert constant.answers.saturation is None
    assert "which is too little to compare with" in constant.sentences[0]


def blue_against_both(images):
    axis = torch.tensor([1.0, 1.0, -2.0])[:, None, None] / 6**0.5
    return axis * (axis * images).sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("apply", "named"),
    [
        (lambda images: images.flip(1), ["turned hues"]),
        (lambda images: images[:, [1, 2, 0]], ["turned hues"]),
        (lambda images: 1 - images.flip(1), ["turned hues"]),
        # Red against green stays, and blue against both is lost: half of the differences, in their own hues.
        (lambda images: images - blue_against_both(images), ["channels pooled together"]),
    ],
)
def test_other_hues_are_not_taken_for_greyer_colours(apply, named):
    assert [finding.name for finding in lutkit.probe(apply).findings] == named


def test_a_network_that_only_multiplies_is_of_no_other_range():
    gains = torch.tensor([0.7, 1, 1])[:, None, None]
    found = lutkit.probe(lambda images: images * gains)
    assert found.ranges[1].rms < 0.5 * found.ranges[0].rms
    assert [finding.name for finding in found.findings] == ["channels without mixing", "weakened red"]


def save_adaptive(folder, cube_size=0):
    folder.mkdir()
    network = AdaptiveLut(cube_size).eval()
    save_model(
        network,
        folder,
        {"architecture": "adaptive-lut", "cube_size": cube_size, "threshold": 0.0, "pooling": "statistics"},
        "",
    )
    return folder


def test_the_jacobian_is_that_of_a_known_matrix():
    matrix = torch.tensor([[0.9, 0.2, -0.1], [0.05, 1.0, -0.05], [0.0, -0.2, 1.2]])
    result = lutkit.probe(lambda images: torch.einsum("oc,bchw->bohw", matrix, images))
    for one in result.jacobians:
        assert np.allclose(one.matrix, matrix, atol=1e-4)
        assert one.found == pytest.approx((matrix @ torch.tensor(one.given)).tolist(), abs=1e-5)
    assert result.answers.greys == pytest.approx((1.0, 1.0, 1.0), abs=1e-4)
    grey_part = matrix.sum().item() / 3
    assert result.answers.saturation == pytest.approx((matrix.trace().item() - grey_part) / 2 / 1.0, abs=1e-4)


def test_the_frequency_response_is_that_of_a_known_filter():
    """The kernel (1/4, 1/2, 1/4) leaves cos^2(pi / period) of waves along rows, and all of those across."""
    result = lutkit.probe(kernel_of_channels((0.25, 0.5, 0.25), (0.25, 0.5, 0.25)))
    longest = (np.cos(np.pi / 32) ** 2 + 1) / 2
    for one in result.waves:
        expected = (np.cos(np.pi / one.period_px) ** 2 + 1) / 2 / longest
        assert one.gains == pytest.approx((expected, expected, 1.0), abs=2e-3)


def test_the_pattern_in_flat_areas_is_measured_in_code_values():
    def checkered(images):
        board = (torch.arange(images.shape[2])[:, None] + torch.arange(images.shape[3])) % 2
        return images + torch.tensor([0.0, 0.0, 2 / 255])[:, None, None] * (2 * board - 1)

    result = lutkit.probe(checkered)
    assert result.patterns[0].period_px == 2
    assert result.patterns[0].codes == pytest.approx((0, 0, 2), abs=0.01)
    assert "period of 2 px" in result.findings[0].sentence
    gradient = lutkit.probe(lambda images: images + torch.linspace(0, 0.3, 128))
    assert max(max(one.codes) for one in gradient.patterns) < 0.1


def test_drift_in_bf16_and_int8_is_that_of_torch_s_own_rounding():
    network = Residual()
    found = {one.rounding: one for one in lutkit.probe(network).drifts}
    assert list(found) == ["bf16", "int8 by tensor", "int8 by channel"]
    picture, halved = _scene(), Residual().to(torch.bfloat16)
    with torch.inference_mode():
        half = halved(picture.bfloat16()).float()
        off = 255 * (half - network(picture))
    assert found["bf16"].rms == pytest.approx(off.square().mean((0, 2, 3)).sqrt().tolist(), rel=0.5)
    assert max(found["int8 by channel"].rms) < max(found["int8 by tensor"].rms)


def _scene():
    from lutkit.probing.responses import scene

    return scene(ImageNetwork("function", None, lambda _, images: images))


def test_a_folder_an_exported_program_and_a_python_name_are_probed(tmp_path, monkeypatch):
    folder = save_adaptive(tmp_path / "adaptive")
    result = lutkit.probe(folder)
    assert (result.kind, result.findings, result.model) == ("adaptive-lut", (), str(folder))
    exported = torch.export.export(Depthwise().eval(), (torch.rand(1, 3, 96, 128),))
    torch.export.save(exported, tmp_path / "depthwise.pt2")
    result = lutkit.probe(tmp_path / "depthwise.pt2")
    assert (result.kind, result.findings[0].name) == ("exported program", "channels without mixing")
    (tmp_path / "my_probed_network.py").write_text(
        "import torch\ndef grey(images):\n    return images.mean(1, keepdim=True).expand(-1, 3, -1, -1)\n"
    )
    monkeypatch.chdir(tmp_path)
    result = lutkit.probe("my_probed_network:grey", plot="probe.png")
    assert (result.kind, result.findings[0].name) == ("function", "channels pooled together")
    assert result.drifts == ()
    with Image.open("probe.png") as picture:
        assert picture.size == (1300, 820)
    json.dumps(result.to_dict())
    sys.modules.pop("my_probed_network")


def test_a_colorizer_s_own_colours_are_no_fault(tmp_path):
    (tmp_path / "m").mkdir()
    torch.manual_seed(0)
    network = colorizer_of(uniform_weights(), 2).eval()
    # The darker half is yellow, the lighter one blue, more and more so.
    levels = torch.arange(50)[:, None]
    network.table.copy_((network.bins[:, 1] * (20 - levels) / 100).clamp(-30, 30))
    config = {
        "architecture": "colorizer",
        "grid": "16",
        "classes": 224,
        "width": 2,
        "side": 64,
        "temperature": 1.0,
    }
    save_model(network, tmp_path / "m", config, "")
    result = lutkit.probe(tmp_path / "m")
    assert (result.kind, result.findings) == ("colorizer", ())
    fine = next(one for one in result.waves if one.period_px == 4).gains
    assert max(fine) > 1.3 * min(fine)


def save_latent_balancer(folder, vae, shift):
    """A network that adds a number to the means of the first channel of latents."""
    folder.mkdir()
    network = LatentUnet(4, (8,)).eval()
    with torch.no_grad():
        network.change.last.bias[0] = shift
    about = {"name": "small", "revision": "", "sha256": find_vae(vae).sha256, "input_range": "-1,1"}
    config = {
        "architecture": "latent-balancer",
        "channels": 4,
        "widths": [8],
        "side": 32,
        "threshold": 0.0,
        "vae": about,
    }
    save_model(network, folder, config, "")
    return folder


def test_a_latent_balancer_is_probed_with_its_vae(tmp_path):
    vae = save_vae(tmp_path / "vae", seed=3)
    images = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with one_thread(), torch.no_grad():
        folder = save_latent_balancer(tmp_path / "m", tmp_path / "vae", 1.5)
        moments = vae.encode(2 * images - 1).latent_dist.mean
        moved = moments + torch.tensor([1.5, 0, 0, 0])[:, None, None]
        before, after = (((vae.decode(each).sample + 1) / 2).clamp(0, 1) for each in (moments, moved))
        assert (after - before).abs().max() > 0.05
        result = open_network(str(folder), vae=tmp_path / "vae").run(images)
        assert torch.allclose(result, images + after - before, atol=2e-3)
        nothing = lutkit.probe(
            save_latent_balancer(tmp_path / "none", tmp_path / "vae", 0.0), vae=tmp_path / "vae"
        )
    # The decodings of random weights have neither colours nor detail, which is not the balancer's fault.
    assert (nothing.kind, nothing.findings) == ("latent-balancer", ())
    assert nothing.answers.greys == pytest.approx((1, 1, 1), abs=1e-3)
    with pytest.raises(DatasetError, match="name that VAE with --vae"):
        lutkit.probe(folder)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda images: images[:, :1], "its result has 1 channels, not 3; probe takes networks from"),
        (nn.Conv2d(1, 3, 1), "it fails on an image of 1 x 3 x 128 x 128"),
        (lambda images: images[..., ::2, ::2], "its result is 1 x 3 x 64 x 64 for an image of 1 x 3 x 128"),
        (lambda images: images / 0, "its result is not finite"),
        (lambda images: None, "its result is a NoneType, not a tensor"),
        (3, "the model is a int; name a folder"),
        ("none", "none: no such folder"),
        ("none.pt2", "none.pt2: no such file"),
        ("json:nothing", "json:nothing: the module has no 'nothing'"),
        ("no_such_module_here:f", "no_such_module_here:f: cannot be imported"),
        ("json:__name__", "json:__name__: __name__ is a str, not a function"),
    ],
)  # fmt: skip
def test_what_cannot_be_probed_is_one_line(model, message):
    with pytest.raises(LutkitError) as caught:
        lutkit.probe(model)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["no archive", "another archive"])
def test_a_broken_program_is_one_line_and_torch_logs_nothing(kind, tmp_path):
    (tmp_path / "broken.pt2").write_bytes(b"no program")
    if kind == "another archive":
        with zipfile.ZipFile(tmp_path / "broken.pt2", "w") as archive:
            archive.writestr("archive/version", "3")
    told = []
    handler = logging.Handler()
    handler.emit = told.append
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch._export")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with pytest.raises(SourceError, match=r"broken\.pt2: cannot be read") as caught:
            lutkit.probe(tmp_path / "broken.pt2")
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert "\n" not in str(caught.value)
    assert "above" not in str(caught.value)
    assert told == []
    assert [logger.level for logger in loggers] == before


def test_a_model_of_another_kind_is_refused(tmp_path):
    folder = save_adaptive(tmp_path / "m")
    (folder / "config.json").write_text('{"architecture": "painter"}')
    with pytest.raises(SourceError, match="the architecture is 'painter', not one of adaptive-lut"):
        lutkit.probe(folder)
