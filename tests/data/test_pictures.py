"""Pictures are opened by their content, only in plain formats, and as 8 bits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tui_trainer.data.files.picture_opener import open_picture, read_image
from tui_trainer.text.errors import BadInput

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n%%EOF\n"


def test_a_format_whose_reader_starts_a_program_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(EPS)
    with pytest.raises(BadInput, match=r"x\.png: is not a picture of a known format"):
        read_image(str(tmp_path / "x.png"), (1, 4, 4), 1.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a picture of a known format"),
        (b"words", "is not a picture of a known format"),
        (None, "no such file"),
    ],
)
def test_what_is_no_picture_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=message), open_picture(str(path)):
        pass


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with (
        pytest.raises(BadInput, match="is not a regular file"),
        open_picture(str(tmp_path / "x.png")),
    ):
        pass


def test_a_picture_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(BadInput, match="cannot be read as a picture"):
        read_image(str(path), (1, 40, 40), 1.0)


def test_sixteen_bits_keep_their_shades(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    shades = np.array([[0, 257 * 100], [257 * 200, 65535]], dtype=np.uint16)
    Image.fromarray(shades).save(path)
    pixels, _ = read_image(str(path), (1, 2, 2), 255.0)
    assert pixels.tolist() == [[0, 100, 200, 255]]
    floats = tmp_path / "x.tif"
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(floats)
    with pytest.raises(BadInput, match="floats, so the value of white is unknown"):
        read_image(str(floats), (1, 2, 2), 255.0)
