"""Each command is one public function: its options are the function's parameters, and the other way round."""

import inspect

import pytest
import typer

import lutkit
from lutkit.cli.app import app

# What is only of the screen, of the command line and its shell, or of Python.
OF_THE_SCREEN = {"json", "quiet", "help", "version", "install_completion", "show_completion"}
OF_PYTHON = {"on_progress", "on_error"}

# By the command's name: the function, and its parameters that are arguments of the command.
COMMANDS = {
    "synth": ("synth", {"preset"}),
    "verify": ("verify", {"folder"}),
    "apply": ("apply_photos", {"photos"}),
    "balance": ("balance_photos", {"photos"}),
    "colorize": ("colorize_photos", {"photos"}),
    "probe": ("probe", {"model"}),
    "train adaptive-lut": ("train_adaptive_lut", {"data"}),
    "train balancer": ("train_balancer", {"data"}),
    "train direct": ("train_direct", {"data"}),
    "train colorizer": ("train_colorizer", {"data"}),
    "ab-hist": ("count_colors", {"source"}),
    "ab-weights": ("ab_weights", {"counts"}),
    "stats": ("stats", {"source"}),
    "compare": ("compare", {"reference", "sets"}),
    "encode-latents": ("encode_latents", {"source"}),
    "decode-latents": ("decode_latents", {"folder"}),
    "lut check": ("inspect_lut", {"lut"}),
    "lut compose": ("compose", {"luts"}),
    "lut convert": ("convert", {"lut"}),
    "lut fit": ("fit", {"before", "after"}),
    "lut identity": ("identity", set()),
    "lut info": ("lut_info", {"lut"}),
    "lut invert": ("invert", {"lut"}),
    "lut random": ("random_luts", set()),
    "lut resize": ("resize", {"lut"}),
}


def commands(group, before=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


EVERY = dict(commands(typer.main.get_command(app)))


def test_every_command_is_a_function():
    assert sorted(EVERY) == sorted(COMMANDS)
    assert all(callable(getattr(lutkit, name)) for name, _ in COMMANDS.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_parameters_and_the_other_way_round(command):
    name, arguments = COMMANDS[command]
    options = {
        option.lstrip("-").replace("-", "_")
        for parameter in EVERY[command].params
        if parameter.param_type_name == "option"
        for option in parameter.opts
        if option.startswith("--")
    }
    parameters = set(inspect.signature(getattr(lutkit, name)).parameters)
    assert arguments <= parameters
    assert options - OF_THE_SCREEN == parameters - arguments - OF_PYTHON


def test_each_process_of_several_devices_is_given_every_option(monkeypatch):
    pytest.importorskip("diffusers")
    import lutkit.latents.latents as latents
    from lutkit.latents.ranks import RanksEnded

    given = {}

    def capture(count, threads, arguments):
        command = EVERY["encode-latents"]
        given.update(command.make_context("encode-latents", arguments[1:]).params)
        assert (count, arguments[0]) == (2, "encode-latents")
        return RanksEnded(3, 1, "no luck")

    monkeypatch.setattr(latents, "run_on_devices", capture)
    with pytest.raises(
        lutkit.LutkitError, match="cpu, process 1: its process ended with exit code 3: no luck; read"
    ):
        lutkit.encode_latents(
            "-in", "to", vae="v", revision="r", vae_config="c.json", fields=["a", "b"], size=32, dtype="fp32",
            store_dtype="fp16", input_range="0,1", device="cpu", devices=[0, 1], batch_size=5, compile=True,
            workers=3, mirror=True,
        )  # fmt: skip
    told = {name: str(value) for name, value in given.items()}
    assert told == {
        "source": "-in", "out": "to", "vae": "v", "revision": "r", "vae_config": "c.json", "fields": "a,b",
        "size": "32", "dtype": "fp32", "store_dtype": "fp16", "input_range": "0,1", "device": "cpu",
        "devices": "0,1", "batch_size": "5", "compiled": "True", "workers": "3", "quiet": "True",
        "as_json": "False", "mirror": "True",
    }  # fmt: skip
