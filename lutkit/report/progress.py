"""Show the progress of a run: the callbacks that commands pass as `on_progress`.

Rich is loaded only if there is a terminal to draw a bar on, or text to wrap.
"""

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from lutkit.engine.progress import OnProgress, Progress
from lutkit.report.plain_text import print_line, tell

# How often a run prints its progress if its output is not a terminal, in seconds.
LOG_SECONDS = 60.0


@contextmanager
def shown_progress(*, quiet: bool = False, unit: str = "", wraps: bool = False) -> Generator[OnProgress]:
    """Show warnings on stderr, notes as lines, and a bar on a terminal until the run is done.

    If the output is not a terminal, a line on stderr every `LOG_SECONDS` replaces the bar.

    Args:
        quiet: show warnings only.
        unit: the unit of the rate per second, such as `pairs`; empty for no rate.
        wraps: whether long notes are wrapped at the terminal's width.
    Yields:
        The callback for progress reports.
    """
    on_terminal = not quiet and (sys.stdout.isatty() or "FORCE_COLOR" in os.environ)
    logs = not on_terminal and not quiet
    pace = _Pace(unit)

    @contextmanager
    def without_bar() -> Generator[tuple[Callable[[str], None], Callable[[Progress], None]]]:
        yield print_line, lambda _: None

    screen = _bar(pace, wraps=wraps) if on_terminal or (wraps and not quiet) else without_bar()
    with screen as (print_note, draw):

        def on_progress(now: Progress) -> None:
            for warning in now.warnings:
                tell(warning)
            for note in () if quiet else now.notes:
                print_note(note)
            pace.take(now)
            draw(now)
            if logs and pace.is_due():
                tell(pace.line())

        yield on_progress


class _Pace:
    """The speed of a stage, and the time of its next line in a log."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._began = self._now = Progress("")
        self._started = self._logged = 0.0

    @property
    def is_new_stage(self) -> bool:
        """True if the last report is the first of its stage."""
        return self._now is self._began

    def take(self, now: Progress) -> None:
        if now.stage != self._began.stage:
            self._began = now
            self._started = self._logged = time.monotonic()
        self._now = now

    def is_due(self) -> bool:
        if time.monotonic() - self._logged < LOG_SECONDS:
            return False
        self._logged = time.monotonic()
        return True

    def rate(self) -> str:
        """Return the rate as `140 pairs/s`; empty if there is no unit, or nothing is done yet."""
        made = self._now.done - self._began.done
        spent = max(time.monotonic() - self._started, 1e-3)
        return f"{made / spent:,.3g} {self._unit}/s" if self._unit and made else ""

    def line(self) -> str:
        """Return the line `pairs: 12,000 of 50,000, 140 pairs/s, 5 min left`."""
        now, made = self._now, self._now.done - self._began.done
        total = "" if now.total is None else f" of {now.total:,}"
        parts = [f"{now.stage}: {now.done:,}{total}", self.rate()]
        if made and now.total is not None:
            left = max(now.total - now.done, 0) * (time.monotonic() - self._started) / made
            parts.append(f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left")
        return ", ".join(filter(None, parts))


@contextmanager
def _bar(pace: _Pace, *, wraps: bool) -> Generator[tuple[Callable[[str], None], Callable[[Progress], None]]]:
    """Yield two functions: one prints a note above the bar, the other moves the bar."""
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
    with bars:
        bar: rich.progress.TaskID | None = None

        def draw(now: Progress) -> None:
            nonlocal bar
            if bar is None or pace.is_new_stage:
                if bar is not None:
                    bars.remove_task(bar)  # resetting the bar would keep the total of the previous stage
                bar = bars.add_task(now.stage, total=now.total, rate="")
            bars.update(bar, completed=now.done, total=now.total, rate=pace.rate())

        yield lambda note: console.print(note, soft_wrap=not wraps), draw
