"""Write the 1,797 handwritten digits that ship with the program as PNG files, a folder per class.

    python presets/data/digits_png.py [FOLDER]

The folder is `digits-png` beside this file, where the preset `digits-png` looks for it. The digits
are from the UCI machine learning repository (CC BY 4.0); `LICENSE` in the folder says so.
"""

import csv
import gzip
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

from PIL import Image

SIDE = 8
LARGEST = 16
TIMES = 4
"""Each pixel becomes a square of so many."""


def main() -> int:
    here = Path(__file__).resolve().parent
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "digits-png"
    if folder.exists():
        print(f"{folder}: exists already; remove it, or name another folder", file=sys.stderr)
        return 2
    source = files("tui_trainer") / "data" / "builtin"
    counts = Counter()
    with gzip.open(source / "digits.csv.gz", "rt", newline="") as file:
        for *pixels, label in csv.reader(file):
            levels = bytes(round(int(pixel) * 255 / LARGEST) for pixel in pixels)
            picture = Image.frombytes("L", (SIDE, SIDE), levels)
            large = picture.resize((TIMES * SIDE, TIMES * SIDE), Image.Resampling.NEAREST)
            target = folder / label
            target.mkdir(parents=True, exist_ok=True)
            large.save(target / f"{counts[label]:04d}.png")
            counts[label] += 1
    (folder / "LICENSE").write_text(
        "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak,\n"
        "UCI Machine Learning Repository, CC BY 4.0: https://creativecommons.org/licenses/by/4.0/\n"
    )
    print(f"{counts.total():,} pictures in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
