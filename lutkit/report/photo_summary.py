"""The summary of a command that writes photos: what was written, kept and skipped."""

from collections import Counter
from pathlib import Path

from lutkit.lutfiles.apply_photos import ApplyResult
from lutkit.photos.photo_list import shown_path, unread_text
from lutkit.report.console import PlainConsole
from lutkit.report.wording import photos_text


def print_photo_summary(console: PlainConsole, found: ApplyResult, out: Path) -> None:
    """Print each note with the number of its photos, the suffixes that were skipped, and the counts."""
    for note, count in Counter(note for photo in found.photos for note in photo.notes).most_common():
        console.print(f"{note}: {photos_text(count)}", soft_wrap=True)
    if found.plan.unread:
        console.print(f"Skipped: {unread_text(found.plan.unread)}.", soft_wrap=True)
    where = f" to {shown_path(str(out))}" if found.written else ""
    ends = [f"{photos_text(found.written)} written{where}"]
    if found.kept:
        ends.append(f"{found.kept:,} kept, which were there already (--overwrite replaces them)")
    if found.failed:
        ends.append(f"{found.failed:,} failed")
    console.print(f"{', '.join(ends)}.", soft_wrap=True)
