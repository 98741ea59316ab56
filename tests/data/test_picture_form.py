"""Pictures of every mode become 8 bits per channel, of the size and shape that is asked for."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

from tui_trainer.data.files.picture_form import PictureForm, decode, decode_mask, is_grey
from tui_trainer.data.files.picture_opener import NotAPicture, picture_in

NOISE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes, form: PictureForm) -> Tensor:
    with picture_in(io.BytesIO(content)) as picture:
        return decode(picture, form)


def one_pixel(picture: Image.Image, channels: int = 3, kind: str = "PNG") -> list[int]:
    return decoded(saved(picture, kind), PictureForm(4, 4, channels))[:, 1, 1].tolist()


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_turned_as_the_camera_noted(turn: int) -> None:
    picture = Image.fromarray(NOISE)
    exif = picture.getexif()
    exif[0x0112] = turn
    content = saved(picture, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))

    found = decoded(content, PictureForm(upright.shape[0], upright.shape[1], 3))
    assert np.array_equal(found.permute(1, 2, 0).numpy(), upright)


def test_every_mode_has_its_colours() -> None:
    assert one_pixel(Image.new("L", (4, 4), 100)) == [100] * 3
    assert one_pixel(Image.new("1", (4, 4), 1)) == [255] * 3
    assert one_pixel(Image.new("P", (4, 4), 0).convert("RGB")) == [0] * 3
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert one_pixel(palette) == [10, 200, 30]
    assert one_pixel(palette, kind="GIF") == [10, 200, 30]
    deep = Image.fromarray(np.full((4, 4), 32768, dtype=np.uint16))
    assert one_pixel(deep, channels=1) == [127]
    assert one_pixel(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), kind="TIFF") == [255] * 3
    assert one_pixel(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), kind="JPEG") == [0] * 3


def test_what_is_transparent_lies_on_white() -> None:
    assert one_pixel(Image.new("RGBA", (4, 4), (0, 0, 0, 0))) == [255] * 3
    assert one_pixel(Image.new("RGBA", (4, 4), (200, 0, 0, 255))) == [200, 0, 0]
    assert one_pixel(Image.new("LA", (4, 4), (0, 0)), channels=1) == [255]
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    content = saved(palette, transparency=1)
    assert decoded(content, PictureForm(4, 4, 3))[:, 0, 0].tolist() == [255] * 3


def test_of_an_animation_the_first_picture_is_taken() -> None:
    first, second = (Image.new("L", (4, 4), shade) for shade in (200, 10))
    content = saved(first, "GIF", save_all=True, append_images=[second])
    assert decoded(content, PictureForm(4, 4, 1)).tolist() == [[[200] * 4] * 4]


def test_a_picture_of_another_shape_is_cropped_padded_or_stretched() -> None:
    halves = np.zeros((20, 60), dtype=np.uint8)
    halves[:, 20:40] = 255
    content = saved(Image.fromarray(halves))

    assert decoded(content, PictureForm(10, 10, 1, "crop")).tolist() == [[[255] * 10] * 10]
    padded = decoded(content, PictureForm(30, 30, 1, "pad"))[0]
    assert padded[:10].max() == padded[20:].max() == 0
    assert padded[15, 15] == 255
    assert padded[15, 2] == 0
    stretched = decoded(content, PictureForm(30, 30, 1, "stretch"))[0]
    assert stretched[0, [15, 2]].tolist() == [255, 0]


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_strip_of_one_pixel_is_a_picture(size: tuple[int, int], fit: str) -> None:
    content = saved(Image.new("L", size, 200))
    found = decoded(content, PictureForm(16, 16, 1, fit))  # type: ignore[arg-type]
    assert found.shape == (1, 16, 16)
    assert found.max() == 200


def test_a_large_jpeg_is_decoded_at_less_than_its_size_and_looks_the_same() -> None:
    small = Image.fromarray(NOISE[:6, :8]).resize((1600, 1200), Image.Resampling.BICUBIC)
    content = saved(small, "JPEG", quality=95)
    form = PictureForm(96, 128, 3)
    with picture_in(io.BytesIO(content)) as picture:
        found = decode(picture, form)
        assert picture.size == (400, 300)
    plain = small.resize((128, 96), Image.Resampling.BILINEAR)
    difference = found.permute(1, 2, 0).int() - torch.from_numpy(np.array(plain)).int()
    assert difference.abs().float().mean() < 1.5


def test_threads_make_no_difference() -> None:
    content = saved(Image.fromarray(NOISE).resize((500, 400)), "JPEG")
    form = PictureForm(64, 64, 3)
    alone = decoded(content, form)
    results: list[Tensor] = []
    threads = [
        threading.Thread(target=lambda: results.append(decoded(content, form))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(torch.equal(result, alone) for result in results)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a picture of a known format"),
        (b"only words", "not a picture of a known format"),
        (saved(Image.fromarray(NOISE), "JPEG")[:900], "truncated"),
        (saved(Image.fromarray(NOISE))[:900], "cannot be read as a picture"),
        (saved(Image.new("1", (9000, 9000))), "81000000|9000x9000 pixels"),
        (saved(Image.new("F", (4, 4), 0.5), "TIFF"), "floats"),
    ],
)
def test_what_is_no_picture_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(NotAPicture, match=reason):
        decoded(content, PictureForm(8, 8, 3))


def test_masks_keep_their_numbers() -> None:
    numbers = np.zeros((8, 8), dtype=np.uint8)
    numbers[:, 4:] = 7
    palette = Image.fromarray(numbers)
    palette.putpalette([*range(256)] * 3)
    form = PictureForm(4, 4, 3)
    for content in (saved(Image.fromarray(numbers)), saved(palette)):
        with picture_in(io.BytesIO(content)) as picture:
            assert decode_mask(picture, form).tolist() == [[0, 0, 7, 7]] * 4
    with (
        pytest.raises(NotAPicture, match="a mask in colours"),
        picture_in(io.BytesIO(saved(Image.fromarray(NOISE)))) as picture,
    ):
        decode_mask(picture, form)


def test_grey_is_told_by_the_mode_or_the_palette() -> None:
    grey = Image.new("P", (2, 2))
    grey.putpalette([0, 0, 0, 9, 9, 9])
    colours = Image.new("P", (2, 2))
    colours.putpalette([0, 0, 0, 9, 9, 10])
    assert [*map(is_grey, (grey, Image.new("LA", (1, 1)), Image.new("I;16", (1, 1))))] == [True] * 3
    assert [*map(is_grey, (colours, Image.new("RGB", (1, 1))))] == [False] * 2
