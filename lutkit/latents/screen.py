"""What `lutkit encode-latents` shows: what it found out, the progress, the summary."""

import json
import sys
from pathlib import Path

from rich.table import Table

from lutkit.dataset.latent_index import Encoding
from lutkit.latents.encode import EncodeResult, EncodeSettings, Listening, encode_latents
from lutkit.latents.ranks import Ranks
from lutkit.latents.show import done_json, done_rows, next_line, ready_lines
from lutkit.latents.sources import Source
from lutkit.latents.stream import Heard
from lutkit.latents.vae_files import VaeFiles
from lutkit.report.console import PlainConsole, rated_progress


def encode(
    source: Source, files: VaeFiles, settings: EncodeSettings, out: tuple[Path, Ranks], *, quiet: bool
) -> EncodeResult:
    """Encode, showing how it goes."""
    folder, ranks = out
    console = PlainConsole(quiet=quiet or ranks.rank > 0)
    with rated_progress(console) as progress:
        bar = progress.add_task("loading the VAE", total=None, rate="")

        def on_start(there: int, total: int) -> None:
            if there:
                console.print(f"{there:,} samples are there already.")
            # Each rank shows its own share.
            left = max(total - there, 0) // ranks.world if total else None
            progress.update(bar, total=left)

        def on_ready(encoding: Encoding) -> None:
            for line in ready_lines(encoding):
                console.print(line, soft_wrap=True)
            progress.reset(bar, description="samples", rate="")

        def on_samples(count: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(bar, advance=count, rate=f"{speed:,.3g} samples/s" if speed else "")

        def on_note(text: str) -> None:
            # Loudly: a wrong range spoils every latent, and nothing else tells.
            print(f"lutkit: {text}", file=sys.stderr)

        listening = Listening(on_start, on_ready, Heard(on_samples, on_note))
        return encode_latents(source, files, settings, (folder, ranks), listening)


def show(result: EncodeResult, *, quiet: bool, as_json: bool) -> None:
    """Print the summary."""
    if as_json:
        PlainConsole().out(json.dumps(done_json(result)))
        return
    title = "Done already" if result.spent is None else "Done"
    table = Table(title=title, show_header=False, title_justify="left")
    for name, text in done_rows(result):
        table.add_row(name, text)
    console = PlainConsole(quiet=quiet)
    console.print(table)
    console.print(next_line(result), soft_wrap=True)
