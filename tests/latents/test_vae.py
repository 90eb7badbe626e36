"""VAEs from their files: diffusers' own posteriors are the oracle, and everything that can be wrong."""

import hashlib
import inspect
import json
import re
import shutil

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from small_vaes import one_thread, oracle, save_vae, small_autoencoder

from lutkit.errors import ArrayError, VaeError
from lutkit.latents import precision, vae_files
from lutkit.latents.batches import BatchEncoder, BatchSize
from lutkit.latents.devices import require_device
from lutkit.latents.vae import load_vae
from lutkit.latents.vae_files import find_vae

WEIGHTS = "diffusion_pytorch_model.safetensors"


def images(count=3, height=16, width=24):
    return torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(1)).byte()


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(folder, model) of a VAE with 4 channels."""
    folder = tmp_path_factory.mktemp("vae") / "small"
    return folder, save_vae(folder)


@pytest.fixture
def copied(saved, tmp_path):
    """A copy of a folder that a test may damage."""
    return shutil.copytree(saved[0], tmp_path / "vae")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": 16, "use_quant_conv": False, "use_post_quant_conv": False, "shift_factor": 0.1159},
        {"block_out_channels": (4, 4, 4, 8)},
        {"block_out_channels": (4, 8, 8), "mid_block_add_attention": False, "scaling_factor": 0.13025},
    ],
)
def test_posteriors_and_decodings_are_diffusers_own(changes, tmp_path):
    model = save_vae(tmp_path / "vae", **changes)
    vae = load_vae(str(tmp_path / "vae"))
    expected = oracle(model, images())
    torch.testing.assert_close(vae.encode(images()), expected, rtol=0, atol=1e-5)
    means = expected.chunk(2, 1)[0]
    with torch.no_grad():
        decoded = (model.decode(means).sample / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(vae.decode(means), decoded, rtol=0, atol=1e-5)
    assert vae.factor == 2 ** (len(model.config.block_out_channels) - 1)
    identity = vae.identity
    assert identity.scaling_factor == model.config.scaling_factor
    assert identity.shift_factor == (changes.get("shift_factor") or 0)
    assert identity.latent_channels == changes.get("channels", 4)


# The fields that matter of configs in use: Stable Diffusion 1.x, SDXL, SD3 and FLUX.
CONFIGS = {
    "sd": {"scaling_factor": 0.18215},
    "sdxl": {"scaling_factor": 0.13025, "force_upcast": True, "latents_mean": None, "latents_std": None},
    "flux": {
        "channels": 16,
        "scaling_factor": 0.3611,
        "shift_factor": 0.1159,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "force_upcast": True,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_what_overflows_float16_is_float32s_by_trial_and_by_force(name, tmp_path, monkeypatch):
    model = small_autoencoder(**CONFIGS[name])
    with torch.no_grad():
        # As SDXL's: of what the first layers give, the next norm leaves nothing of the scale.
        for weights in model.encoder.conv_in.parameters():
            weights.mul_(3e5)
    model.save_pretrained(tmp_path / "vae")
    vae, true = load_vae(str(tmp_path / "vae")), oracle(model, images())
    assert vae.in_dtype("float16").encode(images()).isnan().any()
    seconds = {"float32": 9.0, "bfloat16": 2.0, "float16": 1.0}
    timed = precision.timed
    monkeypatch.setattr(precision, "timed", lambda vae, some: (timed(vae, some)[0], seconds[vae.dtype]))
    taken, trials = precision.choose_dtype(vae, images(), ("float16", "bfloat16"))
    assert [(trial.dtype, trial.finite) for trial in trials] == [
        ("float32", True), ("float16", False), ("bfloat16", True),
    ]  # fmt: skip
    assert taken.dtype == "bfloat16"
    assert (taken.encode(images()) - true).norm() < 3e-2 * true.norm()
    asked = BatchEncoder(vae.in_dtype("float16"), BatchSize(3, fixed=True), load_float32=lambda: vae)
    pictures = [image.permute(1, 2, 0).numpy() for image in images()]
    found = torch.from_numpy(asked.fetch(asked.launch(pictures)).moments)
    torch.testing.assert_close(found, true, rtol=1e-5, atol=1e-4)
    assert asked.again == 3
    assert (vae.identity.scaling_factor, vae.identity.latent_channels) == (
        CONFIGS[name]["scaling_factor"], CONFIGS[name].get("channels", 4),
    )  # fmt: skip


def test_float32_is_exact_where_groups_lie_far_from_0(tmp_path):
    # Variances as the mean of squares less the squared mean would lose most of their digits.
    model = small_autoencoder()
    with torch.no_grad():
        model.encoder.conv_in.bias.add_(30)
    model.save_pretrained(tmp_path / "vae")
    vae = load_vae(str(tmp_path / "vae"))
    with torch.no_grad():
        moments = model.double().encode(images().double() / 255 * 2 - 1).latent_dist.parameters
    assert (vae.encode(images()) - moments).norm() < 1e-5 * moments.norm()


def test_floats_and_bytes_are_the_same_images(saved):
    vae = load_vae(str(saved[0]))
    as_floats = vae.encode(images().float() / 255)
    torch.testing.assert_close(as_floats, vae.encode(images()), rtol=0, atol=1e-6)


def test_the_range_0_to_1_is_fed_as_it_is(saved):
    folder, model = saved
    vae = load_vae(str(folder)).in_range("0,1")
    with torch.no_grad():
        expected = model.encode(images().float() / 255).latent_dist.mean
    torch.testing.assert_close(vae.encode(images()).chunk(2, 1)[0], expected, rtol=0, atol=1e-5)
    with torch.no_grad():
        decoded = model.decode(expected).sample.clamp(0, 1)
    torch.testing.assert_close(vae.decode(expected), decoded, rtol=0, atol=1e-5)


def test_log_variances_are_clamped_as_diffusers_does_and_overflow_is_no_number(saved):
    folder, _ = saved
    vae = load_vae(str(folder))
    lowest, highest, endless = (torch.full((1, 8, 2, 2), value) for value in (-1e6, 1e6, torch.inf))
    for moments, logvar in ((lowest, -30.0), (highest, 20.0)):
        object.__setattr__(vae, "encoder", lambda _, moments=moments: moments)
        assert (vae.encode(images())[:, 4:] == logvar).all()
    object.__setattr__(vae, "encoder", lambda _: endless)
    assert vae.encode(images())[:, 4:].isnan().all()
    object.__setattr__(vae, "decoder", lambda _: torch.full((1, 3, 2, 2), torch.inf))
    assert vae.decode(torch.zeros(1, 4, 1, 1)).isnan().all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_floats_are_near_and_come_back_as_float32(dtype, saved):
    vae = load_vae(str(saved[0]))
    exact, half = vae.encode(images()), vae.in_dtype(dtype).encode(images())
    assert half.dtype == torch.float32
    assert vae.in_dtype(dtype).decode(exact[:, :4]).dtype == torch.float32
    ratio = (half - exact).norm() / exact.norm()
    assert 0 < ratio < 3e-2
    assert torch.equal(vae.encode(images()), exact)  # the copy has not touched the original


def test_a_lone_file_needs_its_config(saved, copied):
    lone = copied / WEIGHTS
    with pytest.raises(VaeError, match="--vae-config FILE"):
        find_vae(str(lone))
    vae = load_vae(str(lone), config=copied / "config.json")
    torch.testing.assert_close(vae.encode(images()), oracle(saved[1], images()), rtol=0, atol=1e-5)
    assert vae.identity.name == WEIGHTS


def test_the_folder_of_a_whole_pipeline_will_do(saved, copied, tmp_path):
    (tmp_path / "pipeline").mkdir()
    copied.rename(tmp_path / "pipeline/vae")
    found = find_vae(str(tmp_path / "pipeline"))
    assert (found.name, found.sha256) == ("pipeline", find_vae(str(saved[0])).sha256)


def test_attention_by_its_old_names_is_known(saved, copied):
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in load_file(copied / WEIGHTS).items():
        for new, before in old.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")
        renamed[name] = tensor.contiguous()
    assert any(".query." in name for name in renamed)
    save_file(renamed, copied / WEIGHTS)
    vae = load_vae(str(copied))
    torch.testing.assert_close(vae.encode(images()), oracle(saved[1], images()), rtol=0, atol=1e-5)


def original_name(name, blocks):
    """The name that latent diffusion's own code gives to a weight of its autoencoder."""
    name = re.sub(r"up_blocks\.(\d+)", lambda found: f"up.{blocks - 1 - int(found[1])}", name)
    for new, old in (
        (r"down_blocks\.(\d+)", r"down.\1"),
        (r"mid_block\.resnets\.0", "mid.block_1"),
        (r"mid_block\.resnets\.1", "mid.block_2"),
        (r"mid_block\.attentions\.0", "mid.attn_1"),
        (r"attn_1\.group_norm", "attn_1.norm"),
        (r"attn_1\.to_([qkv])", r"attn_1.\1"),
        (r"attn_1\.to_out\.0", "attn_1.proj_out"),
        (r"resnets\.", "block."),
        (r"(down|up)samplers\.0", r"\1sample"),
        ("conv_norm_out", "norm_out"),
        ("conv_shortcut", "nin_shortcut"),
    ):
        name = re.sub(new, old, name)
    return name


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
def test_weights_by_latent_diffusions_own_names_are_known(prefix, tmp_path):
    model = save_vae(tmp_path / "vae", block_out_channels=(4, 8))
    renamed = {"cond_stage_model.text": torch.zeros(3)} if prefix else {}
    for name, tensor in model.state_dict().items():
        original = f"{prefix}{original_name(name, 2)}"
        is_linear = "attn_1" in original and tensor.ndim == 2
        renamed[original] = tensor[..., None, None].contiguous() if is_linear else tensor.contiguous()
    save_file(renamed, tmp_path / "lone.safetensors")
    vae = load_vae(str(tmp_path / "lone.safetensors"), config=tmp_path / "vae/config.json")
    expected = oracle(model, images())
    torch.testing.assert_close(vae.encode(images()), expected, rtol=0, atol=1e-5)
    with torch.no_grad():
        decoded = (model.decode(expected[:, :4]).sample / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(vae.decode(expected[:, :4]), decoded, rtol=0, atol=1e-5)


def test_a_suffix_in_capitals_is_one(saved, copied, tmp_path):
    lone = tmp_path / "LONE.SAFETENSORS"
    (copied / WEIGHTS).rename(lone)
    vae = load_vae(str(lone), config=copied / "config.json")
    torch.testing.assert_close(vae.encode(images()), oracle(saved[1], images()), rtol=0, atol=1e-5)
    (tmp_path / "LONE.CKPT").touch()
    assert_vae_error(tmp_path / "LONE.CKPT", ".CKPT weights", "run code")


def test_a_folder_is_named_as_it_is_called_wherever_one_stands(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(saved[0])
    assert find_vae(".").name == "small"
    (tmp_path / "link").symlink_to(saved[0])
    found = find_vae(str(tmp_path / "link"))
    assert (found.name, found.sha256) == ("small", find_vae(str(saved[0])).sha256)
    # Files that are links, as the hub's cache has them.
    (tmp_path / "linked").mkdir()
    for name in ("config.json", WEIGHTS):
        (tmp_path / "linked" / name).symlink_to(saved[0] / name)
    assert find_vae(str(tmp_path / "linked")).sha256 == found.sha256
    (tmp_path / "linked" / WEIGHTS).unlink()
    (tmp_path / "linked" / WEIGHTS).symlink_to(tmp_path / "gone")
    assert_vae_error(tmp_path / "linked", f"{WEIGHTS}: cannot be read", "No such file")


def test_half_floats_in_the_file_are_read_as_float32(saved, copied):
    halves = {name: tensor.half() for name, tensor in load_file(copied / WEIGHTS).items()}
    save_file(halves, copied / WEIGHTS)
    vae = load_vae(str(copied))
    assert vae.dtype == "float32"
    torch.testing.assert_close(vae.encode(images()), oracle(saved[1], images()), rtol=0, atol=5e-2)


def test_a_config_without_factors_means_what_diffusers_means(copied):
    path = copied / "config.json"
    config = json.loads(path.read_text())
    config["_name_or_path"] = "/home/someone/vae"
    del config["scaling_factor"], config["shift_factor"], config["latent_channels"]
    path.write_text(json.dumps(config))
    identity = find_vae(str(copied)).identity()
    assert (identity.scaling_factor, identity.shift_factor) == (0.18215, 0.0)
    defaults = inspect.signature(AutoencoderKL.__init__).parameters
    assert identity.scaling_factor == defaults["scaling_factor"].default
    assert identity.latent_channels == defaults["latent_channels"].default
    load_vae(str(copied)).encode(images())
    assert "someone" not in json.dumps(dict(identity.config))


# What can be wrong.


def assert_vae_error(name, *words, **options):
    with pytest.raises(VaeError) as caught:
        load_vae(str(name), **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_hub_name_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = ("config.json", "some-one/no-such-vae", "revision v2", "hf download", "HF_HUB_OFFLINE")
    assert_vae_error("some-one/no-such-vae", *words, revision="v2")


def test_a_hub_that_does_not_answer_is_given_up(monkeypatch):
    from lutkit.latents import vae_files as hub

    monkeypatch.setattr(hub, "_PATIENCE_S", 0.05)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *_, **__: __import__("time").sleep(1))
    assert_vae_error("some-one/no-such-vae", "no answer")


def test_no_such_thing(tmp_path):
    assert_vae_error(tmp_path / "nothing", "no such folder")
    assert_vae_error(tmp_path / "nothing.safetensors", "no such file")


def test_a_folder_without_a_config(copied):
    (copied / "config.json").unlink()
    assert_vae_error(copied, "no config.json", str(copied))


def test_a_folder_without_weights(copied):
    (copied / WEIGHTS).unlink()
    assert_vae_error(copied, "no weights")
    (copied / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    assert_vae_error(copied, "diffusion_pytorch_model.bin", "run code")
    assert_vae_error(copied / "diffusion_pytorch_model.bin", "pickled")


def test_pickled_weights_are_named_only_where_there_is_nothing_else(copied):
    (copied / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    load_vae(str(copied))
    (copied / WEIGHTS).unlink()
    assert_vae_error(copied, "only diffusion_pytorch_model.bin here", "convert them to .safetensors")
    (copied / "a.PT").touch()
    assert_vae_error(copied, "only a.PT here")


def test_the_usual_name_is_preferred_to_others(saved, copied, tmp_path):
    save_vae(tmp_path / "other", seed=1)
    for name in ("a.safetensors", "diffusion_pytorch_model.fp16.safetensors"):
        shutil.copy(tmp_path / "other" / WEIGHTS, copied / name)
    assert find_vae(str(copied)).sha256 == find_vae(str(saved[0])).sha256
    vae = load_vae(str(copied))
    torch.testing.assert_close(vae.encode(images()), oracle(saved[1], images()), rtol=0, atol=1e-5)


def test_weights_that_diffusers_split_are_one_line(tmp_path):
    small_autoencoder().save_pretrained(tmp_path / "vae", max_shard_size="20KB")
    assert len(list((tmp_path / "vae").glob("*.safetensors"))) > 1
    assert_vae_error(
        tmp_path / "vae", "the weights are in several files", f"{WEIGHTS}.index.json", "max_shard_size"
    )
    for path in sorted((tmp_path / "vae").glob("*.safetensors"))[1:]:
        path.unlink()
    assert_vae_error(tmp_path / "vae", "the weights are in several files")


def test_several_weights(copied):
    (copied / WEIGHTS).rename(copied / "a.safetensors")
    load_vae(str(copied))
    shutil.copy(copied / "a.safetensors", copied / "b.safetensors")
    assert_vae_error(copied, "a.safetensors, b.safetensors")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["not JSON"]),
        ("[]", ["not a VAE's config"]),
        (
            '{"_class_name": "VQModel"}',
            ["a config of the class VQModel", "AutoencoderKL, AutoencoderKLFlux2, "],
        ),
        ('{"latent_channels": "four"}', ["an invalid config: "]),
        ('{"block_out_channels": 8}', ["block_out_channels is 8", "saved with the weights"]),
        ('{"block_out_channels": []}', ["block_out_channels is []"]),
        (
            f'{{"block_out_channels": {[4] * 40}}}',
            ["an invalid config: block_out_channels is [4, 4,", "saved with"],
        ),
        (
            '{"layers_per_block": 1000000000}',
            ["an invalid config: layers_per_block is 1000000000", "saved with"],
        ),
        ('{"scaling_factor": 0}', ["scaling_factor is 0"]),
        ('{"latent_chanels": 4}', ["latent_chanels", "newer diffusers"]),
        ('{"block_out_channels": [6], "norm_num_groups": 4}', ["no VAE can be built"]),
    ],
)
def test_bad_configs(text, words, copied):
    (copied / "config.json").write_text(text)
    assert_vae_error(copied, *words)


def test_weights_of_another_architecture(copied, tmp_path):
    save_vae(tmp_path / "other", channels=16, use_quant_conv=False)
    shutil.copy(tmp_path / "other" / WEIGHTS, copied / WEIGHTS)
    words = (
        "do not have the architecture",
        "2 missing (quant_conv.weight",
        "encoder.conv_out.weight (32, 8, 3, 3)",
    )
    assert_vae_error(copied, *words)


def test_weights_with_more_than_the_architecture_has(copied):
    weights = load_file(copied / WEIGHTS)
    extra = {f"encoder.more.{i}": torch.zeros(2) for i in range(3)}
    save_file({**weights, **extra}, copied / WEIGHTS)
    words = ("do not have the architecture", "3 unexpected (encoder.more.0, encoder.more.1, ...)")
    assert_vae_error(copied, *words)


def test_weights_that_cannot_be_read(copied, monkeypatch):
    files = find_vae(str(copied))
    (copied / WEIGHTS).unlink()
    with pytest.raises(
        VaeError, match=rf"{WEIGHTS}: cannot be read as safetensors: .*download the file again"
    ):
        load_vae(files)


def test_damaged_weights(copied):
    data = (copied / WEIGHTS).read_bytes()
    (copied / WEIGHTS).write_bytes(data[: len(data) // 2])
    assert_vae_error(copied, "cannot be read as safetensors")


def test_options_that_do_not_belong(copied):
    assert_vae_error(copied, "--vae-config", config=copied / "config.json")
    assert_vae_error(copied, "no revisions", revision="main")
    lone = copied / WEIGHTS
    assert_vae_error(lone, "no revisions", "--revision", revision="main", config=copied / "config.json")


# The hub.


def hub_of(monkeypatch, *files):
    """Fake a hub with these files of a repository `some-one/vae`, and record the requests."""
    asked = []

    def fetch(name, file, revision):
        asked.append((name, file, revision))
        return next((path for path in files if str(path).endswith(f"/snapshots/{COMMIT}/{file}")), None)

    monkeypatch.setattr(vae_files, "fetched", lambda *_: None)
    monkeypatch.setattr(vae_files, "fetch", fetch)
    return asked


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("part", ["", "vae/"])
def test_a_vae_on_the_hub_is_of_one_commit(part, saved, tmp_path, monkeypatch):
    snapshot = tmp_path / "models--some-one--vae/snapshots" / COMMIT
    shutil.copytree(saved[0], snapshot / part)
    files = [snapshot / part / name for name in ("config.json", WEIGHTS)]
    asked = hub_of(monkeypatch, *files)
    found = find_vae("some-one/vae", revision="v2")
    # Weights are asked for at the commit that the config was of: a branch may move in between.
    tried = [("some-one/vae", f"{part}config.json", "v2"), ("some-one/vae", f"{part}{WEIGHTS}", COMMIT)]
    assert asked == [*([("some-one/vae", "config.json", "v2")] if part else []), *tried]
    assert (found.name, found.revision, found.weights) == ("some-one/vae", COMMIT, files[1])
    assert found.sha256 == hashlib.sha256(files[1].read_bytes()).hexdigest()
    assert found.identity().revision == COMMIT
    hub_of(monkeypatch, files[0])
    assert_vae_error("some-one/vae", f"no {part}{WEIGHTS} there", "pickled weights")
    hub_of(monkeypatch, files[1])
    assert_vae_error("some-one/vae", "neither config.json nor vae/config.json there")


def test_devices_that_are_not_there(saved):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert_vae_error(saved[0], "CUDA is requested", "--device cpu", device="cuda")
    with pytest.raises(VaeError, match="choose cpu, cuda"):
        require_device("gpu")


@pytest.mark.parametrize(("height", "width"), [(15, 16), (16, 17)])
def test_sizes_that_the_factor_does_not_divide(height, width, saved):
    vae = load_vae(str(saved[0]))
    with pytest.raises(
        VaeError, match=rf"{width} x {height} px, but this VAE needs multiples of 2, such as 16 x 16"
    ):
        vae.encode(images(1, height, width))


def test_what_is_no_image(saved):
    vae = load_vae(str(saved[0]))
    with pytest.raises(ArrayError, match=r"\(B, 3, H, W\)"):
        vae.encode(torch.zeros(1, 16, 16, 3, dtype=torch.uint8))
    with pytest.raises(ArrayError, match="int64"):
        vae.encode(torch.zeros(1, 3, 16, 16, dtype=torch.int64))
    with pytest.raises(ArrayError, match=r"\(B, 4, h, w\)"):
        vae.decode(torch.zeros(1, 8, 4, 4))


@pytest.mark.parametrize("part", ["", "vae/"])
@pytest.mark.parametrize("revision", ["", "v2", COMMIT])
def test_what_was_fetched_once_needs_no_network(part, revision, saved, tmp_path, monkeypatch):
    # As huggingface_hub lays its cache out: files by their content, and links by commit.
    home = tmp_path / "models--some-one--vae"
    blobs, snapshot = home / "blobs", home / "snapshots" / COMMIT / part
    for folder in (blobs, snapshot, home / "refs"):
        folder.mkdir(parents=True)
    for name in ("config.json", WEIGHTS):
        blob = blobs / hashlib.sha256((saved[0] / name).read_bytes()).hexdigest()
        shutil.copy(saved[0] / name, blob)
        (snapshot / name).symlink_to(blob)
    for name in ("main", "v2"):
        (home / "refs" / name).write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = find_vae("some-one/vae", revision=revision)
    assert (found.name, found.revision) == ("some-one/vae", COMMIT)
    assert found.sha256 == find_vae(str(saved[0])).sha256
    torch.testing.assert_close(
        load_vae(found).encode(images()), oracle(saved[1], images()), rtol=0, atol=1e-5
    )
    with pytest.raises(VaeError, match="the hub cannot be reached"):
        find_vae("some-one/vae", revision="v3")
