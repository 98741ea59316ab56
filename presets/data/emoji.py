"""Draw emoji with the font Noto Color Emoji as PNG files, a folder per group of Unicode.

    python presets/data/emoji.py [FOLDER]

The folder is `emoji` beside this file, where the preset `emoji` looks for it. The font and the list
of groups are those of the Debian packages fonts-noto-color-emoji (SIL Open Font License 1.1) and
unicode-data (Unicode License); the notices of both are copied into the folder.
"""

import re
import shutil
import sys
from collections import Counter
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
GROUPS = Path("/usr/share/unicode/emoji/emoji-test.txt")
PACKAGES = {FONT: "fonts-noto-color-emoji", GROUPS: "unicode-data"}
DRAWN = 109
"""The only size that the font has its pictures in."""
SIDE = 64
LEAST = 30
"""A group with fewer emoji is left out."""


def main() -> int:
    here = Path(__file__).resolve().parent
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "emoji"
    if folder.exists():
        print(f"{folder}: exists already; remove it, or name another folder", file=sys.stderr)
        return 2
    for file, package in PACKAGES.items():
        if not file.is_file():
            print(
                f"{file} is not there: install the package {package}, as with "
                f"apt install {package}",
                file=sys.stderr,
            )
            return 2
    font = ImageFont.truetype(str(FONT), DRAWN)
    by_group = groups()
    counts = Counter()
    for group, emoji in by_group.items():
        if len(emoji) < LEAST:
            continue
        target = folder / group
        target.mkdir(parents=True)
        for text in emoji:
            name = "-".join(f"{ord(letter):x}" for letter in text)
            drawn(text, font).save(target / f"{name}.png")
            counts[group] += 1
    for package in PACKAGES.values():
        notice = Path("/usr/share/doc") / package / "copyright"
        if notice.is_file():
            shutil.copyfile(notice, folder / f"LICENSE.{package}")
    print(f"{counts.total():,} pictures of {len(counts)} groups in {folder}")
    return 0


def groups() -> dict[str, list[str]]:
    """Return the emoji of each group that are one sign, without those of skin tones."""
    found: dict[str, list[str]] = {}
    group = ""
    for line in GROUPS.read_text(encoding="utf-8").splitlines():
        if line.startswith("# group:"):
            group = re.sub(r"[^a-z]+", "-", line.partition(":")[2].strip().lower())
            continue
        codes, _, rest = line.partition(";")
        if not rest.startswith(" fully-qualified"):
            continue
        text = "".join(chr(int(code, 16)) for code in codes.split())
        if len(text.replace("\ufe0f", "")) == 1:
            found.setdefault(group, []).append(text)
    return found


def drawn(text: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Return an emoji on white, in its colours."""
    picture = Image.new("RGB", (DRAWN + 27, DRAWN + 27), "white")
    ImageDraw.Draw(picture).text((0, 4), text, font=font, embedded_color=True)
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    sys.exit(main())
