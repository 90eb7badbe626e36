"""`lutkit verify`: check every byte of a dataset."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Check every byte of a dataset that `lutkit synth` wrote.

Checks checksums, tars, keys, images, metadata and splits. Prints each fault and
the shard that has it. Exit code 0: no faults. 1: faults were found. 2: the
folder is not a dataset.

\b
Examples:
  lutkit verify data/pairs
  lutkit verify data/pairs --json
"""


def verify(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The dataset folder.")],
    workers: Annotated[
        int | None, typer.Option("--workers", help="Worker processes.  [default: one per core]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the faults as JSON.")] = False,
) -> None:
    import json

    from lutkit.cli.arguments import require_no_more
    from lutkit.engine.stopping import stopping
    from lutkit.report.console import PlainConsole
    from lutkit.report.progress import shown_progress
    from lutkit.synthesis.verify import verify as verify_folder

    require_no_more(context.args, 1, "one folder")
    with stopping(), shown_progress(quiet=as_json) as on_progress:
        found = verify_folder(folder, workers=workers, on_progress=on_progress)
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(found.to_dict()))
    elif found.faults:
        for fault in found.faults:
            remedy = f"; {fault.remedy}" if fault.remedy else ""
            console.print(f"{fault.where}: {fault.what}{remedy}", soft_wrap=True)
        count = len(found.faults)
        console.print(f"{count} {'fault' if count == 1 else 'faults'} in {folder}.", soft_wrap=True)
    else:
        console.print(f"{found.samples:,} samples in {folder}: no faults.", soft_wrap=True)
    if found.faults:
        raise typer.Exit(1)


verify.__doc__ = HELP
