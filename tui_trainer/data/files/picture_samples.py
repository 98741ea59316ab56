"""`PictureSamples`: reads single pictures again while training, in any process.

Layer: data. A picture is held against what was known of it before the first step, so that a file
that was changed since is never trained on.
"""

from __future__ import annotations

import errno
import warnings
import zlib
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.data.base.split import SampleLost
from tui_trainer.data.files.mask_colours import ColourNumbers
from tui_trainer.data.files.picture_form import PictureForm, decode, decode_mask
from tui_trainer.data.files.picture_opener import NotAPicture, picture_in
from tui_trainer.data.files.picture_reader import PictureFiles, content_of
from tui_trainer.data.files.stored_pictures import StoredPictures
from tui_trainer.text.clean import clean

_OF_THE_MACHINE = frozenset(
    {
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        *(errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    }
)
"""Errors that say nothing about a file: a limit of the process, or a disk of another machine."""


@dataclass(frozen=True, slots=True, eq=False)
class PictureSamples:
    """The pictures of some rows; implements `SampleReader`."""

    files: PictureFiles
    form: PictureForm
    places: NDArray[np.int64]
    """(N,) the place of the picture of each row among the files."""
    checks: NDArray[np.uint32]
    """(N,) the CRC-32 of its numbers, with those of its mask."""
    colours: tuple[int, ...] = ()
    """The colour that each number in a mask stands for, if colours are the classes."""
    is_ready: list[bool] = field(default_factory=list)
    """Not empty once the readers of all formats are imported in this process."""

    @staticmethod
    def of(files: PictureFiles, stored: StoredPictures) -> PictureSamples:
        records = stored.records
        places, checks = records["place"].copy(), records["check_all"].copy()
        return PictureSamples(files, stored.form, places, checks, stored.colours)

    def name(self, row: int) -> str:
        return self.files.pictures[int(self.places[row])].name

    def read(self, row: int) -> tuple[Tensor, Tensor | None]:
        """Return the picture (C, H, W) of a row, and its mask (H, W) if it has one, as uint8.

        Raises:
            SampleLost: it cannot be read, or is another one by now.
            OSError: no file can be read at the moment.
        """
        self._import_readers()
        place = int(self.places[row])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parts = self._decoded(place)
        except NotAPicture as error:
            raise SampleLost(str(error)) from error
        except OSError as error:
            if error.errno in _OF_THE_MACHINE:
                raise
            reason = clean(error.strerror or str(error), 120).lower()
            raise SampleLost(f"cannot be read: {reason}") from error
        check = 0
        for part in parts:
            check = zlib.crc32(part.numpy().data, check)
        if check != self.checks[row]:
            raise SampleLost("was changed since the run began")
        return parts[0], parts[1] if len(parts) > 1 else None

    def _decoded(self, place: int) -> list[Tensor]:
        files = self.files
        with picture_in(BytesIO(content_of(files, files.pictures[place])[0])) as picture:
            parts = [decode(picture, self.form)]
        if files.masks:
            with picture_in(BytesIO(content_of(files, files.masks[place])[0])) as picture:
                mask = decode_mask(picture, self.form)
            if self.form.mask_values == "colours":
                numbers = ColourNumbers(self.colours, has_all=True)
                mask = torch.from_numpy(numbers.of(mask.numpy()))
            parts.append(mask)
        return parts

    def _import_readers(self) -> None:
        if not self.is_ready:
            from PIL import Image

            Image.init()
            self.is_ready.append(True)
