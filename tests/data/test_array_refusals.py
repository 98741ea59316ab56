"""What is wrong with arrays is said in one message with the way out, and nothing in them is run."""

from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.array_files import (
    cifar_bytes,
    idx_bytes,
    labels,
    loaded,
    numbers,
    pictures,
    safetensors_bytes,
    write_mnist,
)
from tui_trainer.data.files import npy
from tui_trainer.text.errors import BadInput, TrainerError


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        loaded(path, **settings)
    return str(caught.value).replace(f"{path}/", "").replace(str(path), path.name)


def npy_bytes(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), **options)
    return file.getvalue()


def of_header(header: str, content: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (open, (str(self.path), "w"))


def test_no_pickle_is_run_and_the_message_has_the_way_out(tmp_path: Path) -> None:
    canary = tmp_path / "fired"
    trap = pickle.dumps({b"data": Canary(canary), b"labels": [1]})
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        (folder / name).write_bytes(trap)
    (tmp_path / "x.npy").write_bytes(trap)
    (tmp_path / "x.npz").write_bytes(trap)
    objects = np.array([Canary(canary), None], dtype=object)
    (tmp_path / "objects.npy").write_bytes(npy_bytes(objects, allow_pickle=True))
    np.savez(tmp_path / "objects.npz", x=objects, y=labels(2))

    for name in ("cifar-10-batches-py", "x.npy", "x.npz"):
        message = refusal(tmp_path / name)
        assert "is a pickle, which is never read" in message
        assert "np.savez(" in message
        assert "binary version" in message
    for name in ("objects.npy", "objects.npz"):
        message = refusal(tmp_path / name)
        assert "holds Python objects, which could run code when they are read" in message
    assert not canary.exists()


def test_objects_that_are_neither_inputs_nor_target_are_left_out_unread(tmp_path: Path) -> None:
    canary = tmp_path / "fired"
    trap = np.array([Canary(canary), None], dtype=object)
    np.savez(tmp_path / "a.npz", x=numbers(30, 4), y=labels(30), meta=trap)

    dataset = loaded(tmp_path / "a.npz")
    assert "left out, neither numbers nor texts: meta" in dataset.notes
    assert "holds Python objects" in refusal(tmp_path / "a.npz", target="meta")
    np.savez(tmp_path / "b.npz", x=numbers(30, 4), kind=labels(30), meta=trap)
    assert "meta: holds Python objects" in refusal(tmp_path / "b.npz")
    assert not canary.exists()


def test_a_file_of_torch_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02.")
    assert "was written by torch.save, as a pickle; save its tensors" in refusal(tmp_path / "x.npz")


X, Y = npy_bytes(numbers(30, 4)), npy_bytes(labels(30))
BAD_NPY: list[tuple[bytes, str]] = [
    (b"", "x.npy: is empty"),
    (b"\x93NUMPY", "is damaged, or not a .npy file"),
    (b"\x93NUMPY\x01\x00\x76\x00{", "is damaged, or not a .npy file"),
    (b"\x93NUMPY\x09\x00\x76\x00{", "version 9.0 of the format"),
    (b"a,b\n1,2\n", "begins with 61 2c 62 0a 31 2c, which is not the header of a .npy file"),
    (X[:-1], "x.npy: is cut short: 479 of 480 bytes are there"),
    (X + b"1", "x.npy: 1 byte more than its header says"),
    (of_header("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 99999)}"), "is cut"),
    (of_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}"), "file is damaged"),
    (of_header("{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}"), "is damaged"),
    (npy_bytes(np.float32(3)), "x.npy: () float32 has no rows of numbers"),
    (npy_bytes(numbers(0, 4)), "x.npy: (0, 4) float32 has no rows of numbers"),
    (npy_bytes(numbers(30, 0)), "x.npy: (30, 0) float32 has no rows of numbers"),
    (npy_bytes(numbers(30, 4).astype(complex)), "holds complex numbers; save their real"),
    (npy_bytes(np.zeros(30, "M8[s]")), "holds dates; save them as numbers"),
    (npy_bytes(np.zeros(30, "i4,f4")), "holds records of several fields"),
    (npy_bytes(np.array(["a"] * 30)), "the inputs are texts"),
    (npy_bytes(numbers(29, 4)), "29 rows of inputs (x), but 30 of the target (y)"),
    (npy_bytes(numbers(30, 2, 3, 4, 5)), "is neither that of pictures nor of sequences"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_NPY)
def test_a_wrong_npy_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    (tmp_path / "y.npy").write_bytes(Y)
    assert reason in refusal(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["x", "y"])
def test_a_number_that_is_not_finite_is_named_by_its_row(
    tmp_path: Path, value: float, name: str
) -> None:
    arrays = {"x": numbers(30, 4), "y": numbers(30, 1)}
    arrays[name][17, 0] = value
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]

    message = refusal(tmp_path / "a.npz")
    assert "row 17 (from 0)" in message
    assert name == "y" or f"is {'NaN' if np.isnan(value) else 'infinite'}" in message


def test_arrays_of_other_lengths_or_forms_are_refused(tmp_path: Path) -> None:
    arrays = {"x_train": numbers(30, 4), "y_train": labels(30), "x_test": numbers(9, 5)}
    np.savez(tmp_path / "a.npz", **arrays, y_test=labels(9))  # type: ignore[arg-type]
    assert "x_test is (9, 5) float32, and x_train is (30, 4)" in refusal(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **arrays)  # type: ignore[arg-type]
    assert "x_test has no target of the same split" in refusal(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", x=numbers(30, 4), y=np.zeros((30, 5, 5)))
    assert "a target of shape (N, 5, 5)" in refusal(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", x=numbers(30, 4), y=np.array(["a", ""] * 15))
    assert "row 1 (from 0) has no class" in refusal(tmp_path / "d.npz")


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        (np.zeros((30, 9, 9), int), "the masks have only the number 0"),
        (np.full((30, 9, 9), 300), "row 0 (from 0) has a pixel of 300; the classes of pixels are"),
        (np.full((30, 9, 9), 0.5), "has a pixel of 0.5"),
        (np.full((30, 9, 9), np.nan), "has a pixel of nan"),
        (np.zeros((30, 9, 8), int), "masks of 9x8, and pictures of 9x9"),
    ],
)
def test_wrong_masks_are_refused(tmp_path: Path, masks: Any, reason: str) -> None:
    np.savez(tmp_path / "a.npz", x=pictures(30, 9, 9), y=masks)
    assert reason in refusal(tmp_path / "a.npz")


def packed(size: int, name: str = "x.npy") -> bytes:
    """An archive with an array of zeros, of so many bytes."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size // 8}, 8)}}"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w") as member:
            member.write(of_header(header))
            member.write(bytes(size))
        archive.writestr("y.npy", npy_bytes(labels(size // 8).astype(np.uint8)))
    return file.getvalue()


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "MAX_BYTES", 1 << 20)
    (tmp_path / "x.npz").write_bytes(packed(2 << 20))
    assert "unpacked, more than the" in refusal(tmp_path / "x.npz")


def test_sizes_in_an_archive_that_are_not_true_are_found(tmp_path: Path) -> None:
    content = packed(1 << 16)
    size = len(of_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({8192}, 8)}}"))
    true = struct.pack("<I", (1 << 16) + size)
    for wrong, reason in ((999, "cut short"), (1 << 17, "bytes more than its header says")):
        (tmp_path / "x.npz").write_bytes(content.replace(true, struct.pack("<I", wrong)))
        assert reason in refusal(tmp_path / "x.npz")


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_an_archive_that_is_cut_short_or_altered_is_refused(
    tmp_path: Path, at: float, write: Callable[..., None]
) -> None:
    write(tmp_path / "x.npz", x=numbers(300, 4), y=labels(300))
    content = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(content[: int(len(content) * at)])
    assert "is damaged or cut short" in refusal(tmp_path / "x.npz")


def test_an_altered_packed_array_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=numbers(300, 4), y=labels(300))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[2000] ^= 0xFF
    (tmp_path / "x.npz").write_bytes(content)
    assert "is damaged or cut short" in refusal(tmp_path / "x.npz")


IMAGES = idx_bytes(pictures(60, 6, 6))
BAD_IDX: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b"\0\0\x08", "begins with 00 00 08, which is not the header of an IDX file"),
    (b"\0\0\x08\x03\0\0", "it ends within its header"),
    (b"\0\1\x08\x03" + IMAGES[4:], "begins with 00 01 08 03"),
    (b"\0\0\x07\x03" + IMAGES[4:], "begins with 00 00 07 03"),
    (IMAGES[:-1], "is cut short: 2,159 of 2,160 bytes are there"),
    (IMAGES + b"x", "1 byte more than its header says"),
    (gzip.compress(IMAGES)[:-9], "is damaged or cut short"),
    (gzip.compress(IMAGES[:-9]), "is cut short"),
    (b"\0\0\x08\x03" + b"\xff" * 12 + b"1", "is cut short"),
    (b"<html>404</html>", "begins with 3c 68 74 6d"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_IDX)
def test_a_wrong_idx_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    write_mnist(tmp_path, packed=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    assert reason in refusal(tmp_path)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "x.npy.gz"])
def test_a_packed_file_is_unpacked_no_further_than_its_header_says(
    tmp_path: Path, name: str
) -> None:
    content = IMAGES if "idx" in name else X
    (tmp_path / name).write_bytes(gzip.compress(content + bytes(10_000_000)))
    more = re.search(r": ([\d,]+) bytes more than its header says", refusal(tmp_path / name))
    assert more is not None
    assert int(more[1].replace(",", "")) < 100_000


def test_a_packed_file_that_cannot_be_held_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\0\0\0\x50" * 3))
    assert "is cut short: 0 of 512,000 bytes are there" in refusal(path)
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\1\0\0\0" * 3 + bytes(1000)))
    assert "in memory; unpack the file, so that it is mapped" in refusal(path)


def test_wrong_records_of_cifar_are_refused(tmp_path: Path) -> None:
    images = pictures(20, 3, 32, 32)
    good = cifar_bytes(images, labels(20))
    (tmp_path / "test_batch.bin").write_bytes(good)
    (tmp_path / "data_batch_1.bin").write_bytes(good[:-1])
    assert "are not records of 3,073 bytes; it is cut short" in refusal(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(cifar_bytes(images, labels(20) + 8))
    assert "data_batch_1.bin: the label of record 2 is 10, and there are 10" in refusal(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(b"")
    assert "0 bytes are not records" in refusal(tmp_path)


GOOD = safetensors_bytes(x=numbers(30, 4), y=labels(30))
BAD_SAFETENSORS: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (GOOD[:5], "is cut short, or not a safetensors file"),
    (GOOD[:40], "is cut short, or not a safetensors file"),
    (GOOD[:-1], "y: is cut short: the file ends before it"),
    (b"\xff" * 8 + GOOD[8:], "is cut short, or not a safetensors file"),
    (GOOD.replace(b'"shape": [30, 4]', b'"shape": [31, 4]'), "its size does not fit its shape"),
    (GOOD.replace(b'"shape": [30, 4]', b'"shape": [-30,4]'), "its header is damaged"),
    (GOOD.replace(b'"shape": [30, 4]', b'"shape": "30, 4"'), "its header is damaged"),
    (GOOD.replace(b"[480, 720]", b"[400, 640]"), "lies over another tensor"),
    (GOOD.replace(b'"F32"', b'"F8_"'), "x: holds F8_; save it as float32"),
    (GOOD.replace(b'{"__', b'["__'), "its header is damaged"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_SAFETENSORS)
def test_a_wrong_safetensors_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    assert reason in refusal(tmp_path / "a.safetensors")


def test_an_hdf5_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "is an HDF5 file; save its arrays with numpy" in refusal(tmp_path / "x.npy")
    (tmp_path / "empty").mkdir()
    assert "no arrays in this folder" in refusal(tmp_path / "empty")
    np.save(tmp_path / "empty" / "x.npy", numbers(30, 4))
    assert "one array, x (30, 4) float32, and none that says what is" in refusal(tmp_path / "empty")
    assert "no such file" in refusal(tmp_path / "nothing.npy")
    (tmp_path / "many").mkdir()
    for number in range(3):
        np.savez(tmp_path / "many" / f"{number}.npz", a=numbers(3, 4))
    assert (
        "3 files have an array called 'a', so the folder is not one data set: name one"
        in refusal(tmp_path / "many")
    )


@pytest.mark.parametrize("seed", range(4))
def test_altered_headers_never_end_in_anything_but_a_message(tmp_path: Path, seed: int) -> None:
    """Bytes of headers are changed at random: the data are read, or refused in one message."""
    generator = np.random.default_rng(seed)
    np.savez(tmp_path / "a.npz", x=numbers(30, 4), y=labels(30))
    files = {
        "x.npy": X,
        "a.npz": (tmp_path / "a.npz").read_bytes(),
        "a.safetensors": GOOD,
        "x-idx3-ubyte": IMAGES,
    }
    for name, content in files.items():
        for _ in range(25):
            altered = bytearray(content)
            for place in generator.integers(0, min(len(content), 200), 3).tolist():
                altered[place] = int(generator.integers(256))
            folder = tmp_path / "altered"
            folder.mkdir(exist_ok=True)
            (folder / "y.npy").write_bytes(Y)
            (folder / name).write_bytes(altered)
            with contextlib.suppress(TrainerError):
                loaded(folder / name)
            (folder / name).unlink()
