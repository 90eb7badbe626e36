"""The summary of a command that writes photos: what was written, kept and skipped."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lutkit.photos.grade_many import ApplyPlan
from lutkit.photos.photo_list import shown_path, unread_text
from lutkit.report.console import PlainConsole
from lutkit.report.wording import photos_text


def print_photo_summary(
    console: PlainConsole,
    *,
    written: int,
    kept: int,
    failed: int,
    notes: Iterable[str],
    plan: ApplyPlan,
    out: Path,
) -> None:
    """Print each note with the number of its photos, the suffixes that were skipped, and the counts."""
    for note, count in Counter(notes).most_common():
        console.print(f"{note}: {photos_text(count)}", soft_wrap=True)
    if plan.unread:
        console.print(f"Skipped: {unread_text(plan.unread)}.", soft_wrap=True)
    where = f" to {shown_path(str(out))}" if written else ""
    ends = [f"{photos_text(written)} written{where}"]
    if kept:
        ends.append(f"{kept:,} kept, which were there already (--overwrite replaces them)")
    if failed:
        ends.append(f"{failed:,} failed")
    console.print(f"{', '.join(ends)}.", soft_wrap=True)
