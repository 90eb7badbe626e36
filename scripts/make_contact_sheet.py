"""Draw docs/contact-sheet.jpg, the image in the README: pairs made of the four sample photographs.

    python scripts/make_contact_sheet.py

The photographs and their licences are listed in lutkit/photos/samples/SOURCES.md. Run it again when the
default damage or the layout of contact sheets changes.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import lutkit
from lutkit.synthesis.contact_sheet import draw_contact_sheet

SHEET = Path(__file__).resolve().parents[1] / "docs" / "contact-sheet.jpg"
PAIRS = 12
QUALITY = 80
MOST_BYTES = 300_000


def main() -> None:
    """Build a small dataset, draw some of its pairs, and write the sheet."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lutkit", "synth", "--n", "48", "--codec", "png", "--quiet"]
        subprocess.run([*command, "--out", f"{folder}/pairs"], check=True)
        pairs = lutkit.pairs(f"{folder}/pairs")
        sheet = draw_contact_sheet(
            [pairs.read(number) for number in range(0, len(pairs), len(pairs) // PAIRS)]
        )
    Image.fromarray(sheet).save(SHEET, quality=QUALITY, optimize=True)
    size = SHEET.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{SHEET}: {size:,} bytes, more than {MOST_BYTES:,}; lower QUALITY")


if __name__ == "__main__":
    main()
