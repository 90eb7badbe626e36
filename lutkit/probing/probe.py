"""`probe`: measure a network from image to image, and say why its colours are wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lutkit.dataset.outputs import require_picture
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.extras import require_installed
from lutkit.results import CommandResult

if TYPE_CHECKING:
    from lutkit.probing.findings import Answers, ProbeFinding
    from lutkit.probing.responses import ColorJacobian, FlatPattern, RangeError, WaveGain
    from lutkit.probing.rounding import ChannelDrift

PROBING_NEEDS = ("torch", "diffusers", "huggingface_hub", "safetensors")


@dataclass(frozen=True)
class ProbeResult(CommandResult):
    """The measures of a network, and what they say.

    Args:
        model: its name.
        kind: `adaptive-lut`, `latent-balancer`, `direct`, `colorizer`, `exported program`, `module` or
            `function`.
        answers: what greys and differences between channels become.
        jacobians: between channels, for greys and saturated colours.
        waves: the frequency response of each channel.
        patterns: what is left in flat areas.
        ranges: for input in other ranges.
        drifts: by channel in bf16 and int8; empty for a network without weights.
        sentences: what each of these says.
        findings: the faults that stand out; empty for a sound network.
        plot: the picture that was drawn; None if there is none.
    """

    model: str
    kind: str
    answers: "Answers"
    jacobians: "tuple[ColorJacobian, ...]"
    waves: "tuple[WaveGain, ...]"
    patterns: "tuple[FlatPattern, ...]"
    ranges: "tuple[RangeError, ...]"
    drifts: "tuple[ChannelDrift, ...]"
    sentences: tuple[str, ...]
    findings: "tuple[ProbeFinding, ...]"
    plot: Path | None


def probe(
    model: object,
    *,
    vae: Path | str = "",
    plot: Path | str | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> ProbeResult:
    """Measure a network from image to image, as `lutkit probe` does.

    It measures the Jacobian between channels at greys and at saturated colours, the frequency response of
    each channel, patterns in flat areas, the response to input in other ranges, and the drift of each channel
    in bf16 and int8. All of it is measured on the CPU, on images of 128 px that are made for the purpose.

    Args:
        model: a folder that `lutkit train` wrote or its name on the Hugging Face hub, a `.pt2` that
            torch.export wrote, `module:name` of a function or a torch module, or such an object itself: from
            images (B, 3, H, W), sRGB-encoded, 0..1, to the same shape. A module is moved to the CPU and set
            to evaluation.
        vae: of a latent balancer, its VAE: a folder, a .safetensors file or a hub name; empty for the hub
            name in the model's config.json.
        plot: a PNG to draw.
        overwrite: whether an existing picture is replaced.
        on_progress: called with what is measured.
    Raises:
        SourceError: if there is no such model, or it cannot be read.
        LutkitError: if it is something else, fails, or gives other channels than it was given; if a package
            is not installed, or the picture exists.

    >>> import lutkit, torch
    >>> found = lutkit.probe(lambda images: images.mean(1, keepdim=True).expand(-1, 3, -1, -1))
    >>> [finding.name for finding in found.findings]
    ['channels pooled together']
    """
    require_installed(PROBING_NEEDS, "train")
    plot = None if plot is None else Path(plot)
    if plot is not None:
        require_picture(plot, overwrite=overwrite)
    report = on_progress or unheard
    report(Progress("loading the model"))
    from lutkit.probing.findings import Measures, answers_of, findings_of, other_range, sentences_of
    from lutkit.probing.opening import open_network
    from lutkit.probing.responses import flat_patterns, in_range, jacobians, range_errors, wave_gains
    from lutkit.probing.rounding import channel_drifts, few_values

    network = open_network(model, vae=vae)
    ranges = range_errors(network)
    other = other_range(ranges)
    if other is not None:
        network = in_range(network, other)
    report(Progress("Jacobians"))
    matrices = jacobians(network)
    report(Progress("waves and flat areas"))
    waves, patterns = wave_gains(network), flat_patterns(network)
    report(Progress("rounding"))
    drifts, values = channel_drifts(network), few_values(network)
    measures = Measures(matrices, waves, patterns, ranges, drifts, values, network.invents_colors)
    result = ProbeResult(
        model=str(model) if isinstance(model, Path | str) else type(model).__name__,
        kind=network.kind,
        answers=answers_of(matrices),
        jacobians=matrices,
        waves=waves,
        patterns=patterns,
        ranges=ranges,
        drifts=drifts,
        sentences=sentences_of(measures),
        findings=findings_of(measures),
        plot=plot,
    )
    if plot is not None:
        from lutkit.probing.picture import draw_probe
        from lutkit.report.page import write_picture

        write_picture(draw_probe(result), plot)
    return result
