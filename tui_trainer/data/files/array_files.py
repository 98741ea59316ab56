"""Finds the arrays in a file, or in the files of a folder, by magic bytes and names.

Layer: data. Files are opened here without their sums, because a folder may have arrays that nobody
uses; `sums_of` reads those that are.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tui_trainer.data.files.cache_store import KnownSum, find_sum, keep_sum, open_cache
from tui_trainer.data.files.cifar import has_labels, labels_per_record, read_cifar
from tui_trainer.data.files.disk import (
    MAX_BYTES,
    DataFile,
    content_on_disk,
    open_beginning,
    open_file,
    reason_of,
    sum_of,
)
from tui_trainer.data.files.idx import idx_size, is_idx, read_idx
from tui_trainer.data.files.npy import EMPTY_ZIP, NPY, ZIP, npy_size, read_npy, read_npz
from tui_trainer.data.files.safetensors import is_safetensors, read_safetensors
from tui_trainer.data.files.stored_arrays import StoredArray, beginning
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import size_text

SUFFIXES = (".npy", ".npz", ".safetensors", ".idx", "ubyte")
"""The endings of the names of arrays, in lower case; `.gz` may follow."""
_HEAD_BYTES = 1 << 16
_MOST_MAPPED = 1 << 50
_UNNAMED = "arr_0"
"""The name that numpy gives to the first array of an archive."""
_MOST_FILES = 1000
_PACKINGS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_IDX_ENDING = re.compile(r"[-._]?idx\d[-._]ubyte$")
_CIFAR_TRAIN = re.compile(r"(?:data_batch_\d+|train)\.bin")
_CIFAR_TEST = re.compile(r"(?:test_batch|test)\.bin")
_CIFAR_PICKLE = re.compile(r"data_batch_\d+|test_batch|train|test|meta|batches\.meta")
_CLASS_FILES = {
    "batches.meta.txt": "y",
    "fine_label_names.txt": "y",
    "coarse_label_names.txt": "coarse",
}
"""Files with the names of classes, and the targets that have them."""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MOST_CLASS_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class FoundArrays:
    """The arrays at a path, none of them read yet."""

    arrays: tuple[StoredArray, ...]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of classes from text files beside them, by the name of a target."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By name, why an array of an archive is not read."""


def is_array_file(path: str) -> bool:
    """Whether a file has arrays, by its name or its first bytes; False if it cannot be read."""
    if is_array_name(path) or is_cifar_file(path):
        return True
    try:
        content, _ = content_on_disk(path, _MOST_MAPPED)
    except BadInput:
        return False
    # Four bytes are few, so the name or the size must agree.
    return beginning(content, 6) == NPY or (is_idx(content) and _is_whole_idx(path))


def _is_whole_idx(path: str) -> bool:
    try:
        read_idx(_opened(path), "x", path)
    except BadInput:
        return False
    return True


def is_array_name(name: str) -> bool:
    """Whether a name is that of a file with arrays."""
    return name.lower().removesuffix(".gz").endswith(SUFFIXES)


def is_cifar_file(path: str) -> bool:
    """Whether a file has records of CIFAR, by its name, its size and its first labels."""
    name = os.path.basename(path)
    if not (_CIFAR_TRAIN.fullmatch(name) or _CIFAR_TEST.fullmatch(name)):
        return False
    try:
        content, _ = content_on_disk(path, _MOST_MAPPED)
    except BadInput:
        return False
    # Tokens of texts are in files of such names too.
    return has_labels(content, labels_per_record([content]))


def is_array_folder(folder: str, names: Iterable[str]) -> bool:
    """Whether the files of these names in a folder are arrays, at least some of them."""
    known = {*names}
    if any(is_array_name(name) for name in known):
        return True
    if {"data_batch_1", "test_batch"} <= known or {"train", "test", "meta"} <= known:
        return True
    records = [
        [name for name in known if pattern.fullmatch(name)]
        for pattern in (_CIFAR_TRAIN, _CIFAR_TEST)
    ]
    return all(any(is_cifar_file(os.path.join(folder, name)) for name in one) for one in records)


def find_arrays(path: str) -> FoundArrays:
    """Return the arrays in a file, or in the files of a folder.

    Raises:
        NoSuchData: there is no such file.
        BadInput: a file is damaged or is no array, as a pickle, which is never run.
    """
    if os.path.isdir(path):
        return _folder(path)
    name = os.path.basename(path)
    if _CIFAR_TRAIN.fullmatch(name) or _CIFAR_TEST.fullmatch(name):
        return FoundArrays(tuple(_cifar([path], "")), _class_names(os.path.dirname(path)))
    arrays, refused = _arrays_of(path)
    return FoundArrays(tuple(arrays), refused=refused)


def _arrays_of(path: str) -> tuple[list[StoredArray], dict[str, str]]:
    """Return the arrays of a file, and by name why others of an archive are not read."""
    file = _opened(path)
    content = file.content
    head = beginning(content, 8)
    name = array_name(path)
    if not head:
        raise BadInput(f"{file.name}: is empty")
    suffix = Path(path.lower().removesuffix(".gz")).suffix
    if head.startswith(NPY):
        return [read_npy(file, name, path)], {}
    if head.startswith((ZIP, EMPTY_ZIP)):
        return read_npz(file, path)
    if is_safetensors(content) or suffix == ".safetensors":
        return read_safetensors(file, path), {}
    _refuse_others(file, head)
    if suffix in (".npy", ".npz"):
        raise BadInput(
            f"{file.name}: begins with {head[:6].hex(' ')}, which is not the header of a {suffix} "
            "file; it is damaged, or of another format"
        )
    return [read_idx(file, name, path)], {}


def _refuse_others(file: DataFile, head: bytes) -> None:
    """Raise BadInput for formats that are known and not read."""
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise BadInput(
            f"{file.name}: is a pickle, which is never read, because it could run code; save "
            "its arrays with numpy: np.savez('data.npz', x=x, y=y); for CIFAR, download the "
            "binary version"
        )
    if head == _HDF5:
        raise BadInput(
            f"{file.name}: is an HDF5 file; save its arrays with numpy: "
            "np.savez('data.npz', x=file['x'][:], y=file['y'][:])"
        )


def _opened(path: str) -> DataFile:
    """Open a file without its sum, unless it is packed."""
    content, state = content_on_disk(path, _MOST_MAPPED)
    if beginning(content, 4).startswith(_PACKINGS):
        return _unpacked(path, len(content))
    return DataFile(clean(path, 200), content, "", state=state)


def _unpacked(path: str, packed_bytes: int) -> DataFile:
    """Open a packed file, which is unpacked no further than its header says."""
    head = open_beginning(path, _HEAD_BYTES, whole_lines=False)
    size = None
    if head.content[:6] == NPY:
        size = npy_size(head)
    elif is_idx(head.content):
        size = idx_size(head)
    if size is None:
        return open_file(path)
    if size > MAX_BYTES:
        raise BadInput(
            f"{head.name}: {size_text(size)} unpacked, more than the {size_text(MAX_BYTES)} that "
            "may be held in memory; unpack the file, so that it is mapped"
        )
    # What has more is refused by its size, once it is cut off.
    return open_file(path, max_bytes=max(size + 1, packed_bytes), cut=True)


def array_name(path: str) -> str:
    """Return the name of the array in a file, without the endings of the file."""
    name = os.path.basename(path)
    for ending in (".gz", ".zst", ".npy", ".idx"):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return _IDX_ENDING.sub("", name.lower()) if _IDX_ENDING.search(name.lower()) else name


def _folder(path: str) -> FoundArrays:
    try:
        names = sorted(entry.name for entry in os.scandir(path) if entry.is_file())
    except OSError as error:
        raise BadInput(f"{clean(path, 200)}: cannot be read: {reason_of(error)}") from error
    train = [name for name in names if _CIFAR_TRAIN.fullmatch(name)]
    test = [name for name in names if _CIFAR_TEST.fullmatch(name)]
    if train and test:
        arrays: list[StoredArray] = []
        for split, files in (("train", train), ("test", test)):
            arrays += _cifar([os.path.join(path, name) for name in files], split)
        return FoundArrays(tuple(arrays), _class_names(path))
    chosen = [name for name in names if is_array_name(name)]
    if not chosen:
        pickles = [name for name in names if _CIFAR_PICKLE.fullmatch(name)]
        if pickles:
            _arrays_of(os.path.join(path, pickles[0]))
        raise BadInput(f"{clean(path, 200)}: no arrays in this folder (.npy, .npz, IDX or CIFAR)")
    if len(chosen) > _MOST_FILES:
        raise BadInput(
            f"{clean(path, 200)}: {len(chosen):,} arrays; at most {_MOST_FILES:,} are read, each "
            "with all samples of a split"
        )
    arrays = []
    refused: dict[str, str] = {}
    for name in _without_doubles(chosen):
        own, others = _arrays_of(os.path.join(path, name))
        arrays += _with_prefix(name, own, len(chosen))
        refused |= others
    return FoundArrays(tuple(arrays), _class_names(path), refused)


def array_names_beside(path: str) -> list[str]:
    """Return the names of the other files with arrays in the folder of a file."""
    own = os.path.basename(path)
    names = sorted(os.listdir(os.path.dirname(os.path.abspath(path))))
    return [name for name in _without_doubles(names) if is_array_name(name) and name != own]


def _without_doubles(names: Sequence[str]) -> list[str]:
    """Return the names without packed files that are there unpacked as well."""
    known = {*names}
    return [name for name in names if name.removesuffix(".gz") == name or name[:-3] not in known]


def _with_prefix(name: str, arrays: list[StoredArray], files: int) -> list[StoredArray]:
    """Return arrays of a file, with its name in front where several files have such arrays.

    The only array of a file that has no name of its own has that of the file.
    """
    stem = name.partition(".")[0]
    if files < 2:
        return arrays
    if len(arrays) == 1:
        own = stem if arrays[0].name == _UNNAMED else arrays[0].name
        return [replace(arrays[0], name=own)]
    return [replace(array, name=f"{stem}/{array.name}") for array in arrays]


def _cifar(paths: Sequence[str], split: str) -> list[StoredArray]:
    files = [_opened(path) for path in paths]
    names = {os.path.basename(path) for path in paths}
    is_of_100 = bool(names & {"train.bin", "test.bin"})
    known = labels_per_record([file.content for file in files])
    return read_cifar(files, split, of_100=known == 2 if known else is_of_100)


def _class_names(folder: str) -> dict[str, tuple[str, ...]]:
    """Return the names of classes in texts beside the arrays, one in a line, by target."""
    names = {}
    for name, target in _CLASS_FILES.items():
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            content, _ = content_on_disk(path, _MOST_CLASS_BYTES)
            lines = content[: len(content)].decode("utf-8", "replace").split("\n")
            names[target] = tuple(line.strip() for line in lines if line.strip())
    return names


def sums_of(array: StoredArray) -> list[str]:
    """Return the sha256 of each file of an array, reading those that are not known.

    They are kept in the cache, so that a second start is fast.
    """
    return [file.sha256 or _sum(file) for file in (array.file, *array.more_files)]


def _sum(file: DataFile) -> str:
    known = None if file.state is None else find_sum(file.state)
    if known is not None:
        return known.sha256
    digest = sum_of(file.content, file.name)
    if file.state is not None and file.state.is_cached:
        # Without a cache it is computed again.
        with contextlib.suppress(OSError), open_cache(writing=True) as folder:
            keep_sum(folder, file.state, KnownSum(digest, is_text=False))
    return digest
