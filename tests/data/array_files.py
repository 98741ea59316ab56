"""Writes small files of arrays for tests, each in the format that others write."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load

Array = NDArray[Any]


def loaded(path: Path, **settings: Any) -> Dataset:
    return load(ArraysSection.model_validate({"type": "arrays", "path": str(path), **settings}))


def pictures(count: int, *shape: int, seed: int = 0) -> Array:
    """Random bytes of pictures."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, *shape), dtype=np.uint8)


def labels(count: int, classes: int = 3) -> Array:
    return np.arange(count) % classes


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def idx_bytes(array: Array) -> bytes:
    kinds = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    head = bytes([0, 0, kinds[array.dtype.str[1:]], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_mnist(folder: Path, *, packed: bool) -> tuple[Array, Array]:
    """Write 60 pictures for training and 20 for the test; returns them, training first."""
    folder.mkdir(exist_ok=True)
    images, classes = pictures(80, 6, 6), labels(80).astype(np.uint8)
    for name, part in (("train", slice(60)), ("t10k", slice(60, 80))):
        for kind, array in (("images-idx3", images), ("labels-idx1", classes)):
            content = idx_bytes(array[part])
            path = folder / f"{name}-{kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    return images, classes


def cifar_bytes(images: Array, *marks: Array) -> bytes:
    columns = [mark.astype(np.uint8)[:, None] for mark in marks]
    return bytes(np.concatenate([*columns, images.reshape(len(images), -1)], axis=1).tobytes())


def safetensors_bytes(**arrays: Array) -> bytes:
    kinds = {"f4": "F32", "i8": "I64", "u1": "U8", "f2": "F16"}
    header, content = {}, b""
    for name, array in arrays.items():
        begin, content = len(content), content + array.tobytes()
        header[name] = {
            "dtype": kinds[array.dtype.str[1:]],
            "shape": list(array.shape),
            "data_offsets": [begin, len(content)],
        }
    text = json.dumps({"__metadata__": {"format": "np"}, **header}).encode()
    return struct.pack("<Q", len(text)) + text + content
