"""The names of masks: why those of pictures and masks do not agree, and how to rename them.

Layer: data.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from tui_trainer.data.files.folders import ListedFile
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

_WORDS = "mask|masks|label|labels|seg|segmentation|gt|annotation|truth|matte"
_END = re.compile(rf"(?:^|.*?)([_\-. ]?(?:{_WORDS}))", re.IGNORECASE)
_BEGIN = re.compile(rf"((?:{_WORDS})[_\-. ]).+", re.IGNORECASE)
_LOOKED_AT = 1_000


def _words_of(name: str) -> tuple[str, str]:
    """Return the words for a mask at the beginning and at the end of a name without its ending."""
    begin, end = _BEGIN.fullmatch(name), _END.fullmatch(name)
    return begin[1] if begin else "", end[1] if end else ""


def _without_words(name: str) -> str:
    """Return what the picture of a mask is called, by its own name; the same if it says nothing."""
    begin, end = _words_of(name)
    return name.removesuffix(end) if end else name.removeprefix(begin)


def mask_name_hint(pictures: Collection[str], masks: Collection[str]) -> str:
    """Return how masks that have no picture are to be renamed; empty if that is not known.

    Both are names without their endings, of which a mask should have that of its picture.
    """
    for key in sorted(masks)[:_LOOKED_AT]:
        path = PurePosixPath(key)
        wanted = _without_words(path.name)
        if wanted and wanted != path.name and str(path.with_name(wanted)) in pictures:
            begin, end = _words_of(path.name)
            word = end or begin
            shown = clean(f"{path.name} belongs to {wanted}", 120)
            return (
                f": {shown}; rename the masks, as in the folder masks by: "
                f'for f in *; do mv "$f" "${{f/{clean(word, 40)}/}}"; done'
            )
    return ""


def check_has_no_masks(name: str, files: Sequence[ListedFile]) -> None:
    """Raise BadInput if many of the pictures in a folder are masks of others, by their names."""
    stems = {str(PurePosixPath(file.name).with_suffix("")): file.name for file in files}
    pairs = []
    for stem, file in sorted(stems.items()):
        path = PurePosixPath(stem)
        wanted = _without_words(path.name)
        if wanted and wanted != path.name and (picture := stems.get(str(path.with_name(wanted)))):
            pairs.append((file, picture))
    if pairs and 3 * len(pairs) >= len(files):
        mask, picture = (clean(one, 80) for one in pairs[0])
        raise BadInput(
            f"{name}: these look like pictures with a mask beside each, as {mask} for {picture}; "
            "put the pictures into a folder images and the masks into a folder masks beside it, "
            "and give a mask the name of its picture"
        )
