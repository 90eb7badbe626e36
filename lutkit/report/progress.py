"""How far a run has come, on the terminal: what commands give to functions that ask for `on_progress`.

Loads Rich only where a terminal is there to show a bar on.
"""

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from lutkit.engine.progress import OnProgress, Progress
from lutkit.report.plain_text import print_line, tell


@contextmanager
def shown_progress(*, quiet: bool = False, unit: str = "", wraps: bool = False) -> Generator[OnProgress]:
    """Show how a run goes: warnings on stderr, notes as lines, and on a terminal a bar, gone when it is done.

    Args:
        quiet: without notes and bar.
        unit: what the rate beside the bar counts a second; empty for none.
        wraps: whether long notes are wrapped where the terminal ends.
    Yields:
        What takes the reports.
    """
    on_terminal = not quiet and (sys.stdout.isatty() or "FORCE_COLOR" in os.environ)
    if on_terminal or (wraps and not quiet):
        with _bar(unit=unit, wraps=wraps) as on_progress:
            yield on_progress
        return

    def on_lines(now: Progress) -> None:
        for warning in now.warnings:
            tell(warning)
        for note in () if quiet else now.notes:
            print_line(note)

    yield on_lines


@contextmanager
def _bar(*, unit: str, wraps: bool) -> Generator[OnProgress]:
    import rich.progress

    from lutkit.report.console import PlainConsole

    console = PlainConsole()
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.fields[rate]}"),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    bars = rich.progress.Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    began: Progress | None = None
    started = 0.0
    with bars:
        bar: rich.progress.TaskID | None = None

        def on_progress(now: Progress) -> None:
            nonlocal bar, began, started
            for warning in now.warnings:
                tell(warning)
            for note in now.notes:
                console.print(note, soft_wrap=not wraps)
            if bar is None or began is None or began.stage != now.stage:
                began, started = now, time.monotonic()
                if bar is not None:
                    bars.remove_task(bar)  # one that is reset would keep the total of the stage before
                bar = bars.add_task(now.stage, total=now.total, rate="")
            made, spent = now.done - began.done, max(time.monotonic() - started, 1e-3)
            rate = f"{made / spent:,.3g} {unit}/s" if unit and made else ""
            bars.update(bar, completed=now.done, total=now.total, rate=rate)

        yield on_progress
