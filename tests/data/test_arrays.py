"""Arrays as a data set: every format has the same samples, and what is inferred is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.array_files import (
    Array,
    cifar_bytes,
    labels,
    loaded,
    numbers,
    pictures,
    safetensors_bytes,
    write_mnist,
)
from tests.data.splits import tensors
from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.data.base.augment import InputsChanged, RandomAffine
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load
from tui_trainer.data.recognition import recognise
from tui_trainer.text.errors import BadInput, ConfigError


def stored(dataset: Dataset, name: str = "train") -> Array:
    """The samples of a split as they are stored, in its order."""
    split = tensors(getattr(dataset, name))
    assert split.places is not None
    return split.inputs[split.places].numpy()


def first_batch(dataset: Dataset) -> torch.Tensor:
    """The inputs of the first training samples as a model gets them."""
    batch = next(tensors(dataset.train).in_order(50))
    ready = dataset.train.ready
    return batch["input"] if ready is None else ready(batch)["input"]


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_have_pictures_and_the_split_that_they_are_in(
    tmp_path: Path, packed: bool
) -> None:
    images, classes = write_mnist(tmp_path / "m", packed=packed)
    dataset = loaded(tmp_path / "m")

    assert dataset.input_shape == (1, 6, 6)
    assert dataset.classes == ("0", "1", "2")
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [51, 9, 20]
    np.testing.assert_array_equal(stored(dataset, "test")[:, 0], images[60:])
    np.testing.assert_array_equal(tensors(dataset.test).targets.numpy(), classes[60:])
    rows = tensors(dataset.train).rows.numpy()
    np.testing.assert_array_equal(stored(dataset)[:, 0], images[rows])
    assert any("split as the arrays are: train train-images (60)" in one for one in dataset.notes)
    anew = loaded(tmp_path / "m", split_by="identity")
    assert [len(part) for part in (anew.train, anew.val, anew.test)] == [54, 10, 16]


def test_bytes_stay_bytes_and_are_standardised_on_the_device(tmp_path: Path) -> None:
    write_mnist(tmp_path / "m", packed=False)
    dataset = loaded(tmp_path / "m", shift_pixels=1.0)

    assert tensors(dataset.train).inputs.dtype == torch.uint8
    inputs = tensors(dataset.train).ready_inputs()
    assert inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert inputs.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    fitted = dataset.preprocessing["inputs"]
    assert isinstance(dataset.augment, InputsChanged)
    change = dataset.augment.changes[0]
    assert isinstance(change, RandomAffine)
    assert change.background == pytest.approx(-fitted["mean"] / fitted["std"])


def write_npy(folder: Path, **arrays: Array) -> Path:
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def write_npz(path: Path, **arrays: Array) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def write_packed(path: Path, **arrays: Array) -> Path:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path


def write_safetensors(path: Path, **arrays: Array) -> Path:
    path.write_bytes(safetensors_bytes(**arrays))
    return path


WRITERS: dict[str, Any] = {
    "folder": write_npy,
    "a.npz": write_npz,
    "packed.npz": write_packed,
    "a.safetensors": write_safetensors,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_has_the_same_samples_in_the_same_splits(tmp_path: Path, name: str) -> None:
    x, y = numbers(90, 5), labels(90)
    x[:, 4] = 7
    dataset = loaded(WRITERS[name](tmp_path / name, x=x, y=y))

    assert dataset.problem == "classification"
    assert dataset.input_shape == (5,)
    train = tensors(dataset.train)
    np.testing.assert_array_equal(stored(dataset), x[train.rows.numpy()])
    np.testing.assert_array_equal(train.targets.numpy(), y[train.rows.numpy()])
    inputs = train.ready_inputs().numpy()
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(inputs.std(axis=0), [1, 1, 1, 1, 0], atol=1e-6)
    other = loaded(write_npy(tmp_path / "other", x=x, y=y))
    assert torch.equal(tensors(other.train).rows, train.rows)
    assert "1 feature with one value in the training split" in dataset.notes


def test_big_endian_and_fortran_order_are_converted(tmp_path: Path) -> None:
    x, y = numbers(60, 7, 3), labels(60)
    plain = loaded(write_npy(tmp_path / "plain", x=x, y=y))
    odd = np.asfortranarray(x.astype(">f4"))
    converted = loaded(write_npy(tmp_path / "odd", x=odd, y=y.astype(">i2")))

    assert plain.signature.kind == "sequence"
    assert torch.equal(first_batch(plain), first_batch(converted))
    assert torch.equal(tensors(plain.train).targets, tensors(converted.train).targets)


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "u8", "u4", "u2", "u1", "?"])
def test_numbers_of_every_type_become_the_same_inputs(tmp_path: Path, dtype: str) -> None:
    x = (pictures(60, 4) % 2).astype(dtype)
    dataset = loaded(write_npy(tmp_path / dtype, x=x, y=labels(60)))

    inputs = tensors(dataset.train).ready_inputs()
    assert inputs.dtype == torch.float32
    wide = x[tensors(dataset.train).rows.numpy()].astype(np.float64)
    expected = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    np.testing.assert_allclose(inputs.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_pictures_of_16_bits_keep_all_shades(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 65536, (60, 5, 6, 1), dtype=np.uint16)
    x[0, 0, 0] = 65535
    dataset = loaded(write_npy(tmp_path / "x", x=x, y=labels(60)))

    rows = tensors(dataset.train).rows.numpy()
    fitted = dataset.preprocessing["inputs"]
    expected = (x[rows, :, :, 0].astype(np.float64) - fitted["mean"]) / fitted["std"]
    np.testing.assert_allclose(first_batch(dataset)[:, 0], expected[:50], rtol=1e-4, atol=1e-5)


def test_wide_numbers_lose_no_digits_before_their_mean_is_taken_off(tmp_path: Path) -> None:
    x = 1_700_000_000 + np.arange(180).reshape(60, 3)
    dataset = loaded(write_npy(tmp_path / "t", x=x, y=labels(60)))

    inputs = tensors(dataset.train).ready_inputs().numpy()
    assert len(np.unique(inputs[:, 0])) == len(inputs)


def test_bfloat16_is_read(tmp_path: Path) -> None:
    x = numbers(60, 4)
    halves = (x.view(np.uint32) >> 16).astype(np.uint16)
    content = safetensors_bytes(x=halves.view(np.float16), y=labels(60))
    (tmp_path / "b.safetensors").write_bytes(
        content.replace(b'"F16"', b'"BF16"').replace(
            content[:8], (int.from_bytes(content[:8], "little") + 1).to_bytes(8, "little"), 1
        )
    )
    dataset = loaded(tmp_path / "b.safetensors")

    rows = tensors(dataset.train).rows.numpy()
    np.testing.assert_allclose(stored(dataset), x[rows], rtol=0.01)


@pytest.mark.parametrize(("suffix", "marks"), [("10", 1), ("100", 2)])
def test_cifar_records_are_joined_and_their_classes_have_names(
    tmp_path: Path, suffix: str, marks: int
) -> None:
    images, fine = pictures(60, 3, 32, 32), labels(60, 4)
    coarse = [fine // 2] if marks == 2 else []
    names = {
        "10": (["data_batch_1.bin", "data_batch_2.bin"], "test_batch.bin", "batches.meta.txt"),
        "100": (["train.bin"], "test.bin", "fine_label_names.txt"),
    }[suffix]
    cuts = np.array_split(np.arange(40), len(names[0]))
    for name, rows in zip([*names[0], names[1]], [*cuts, np.arange(40, 60)], strict=True):
        content = cifar_bytes(images[rows], *(mark[rows] for mark in [*coarse, fine]))
        (tmp_path / name).write_bytes(content)
    (tmp_path / names[2]).write_text("bird\ncat\ndog\nant\n\n")
    dataset = loaded(tmp_path)

    assert dataset.classes == ("ant", "bird", "cat", "dog")
    np.testing.assert_array_equal(stored(dataset, "test"), images[40:])
    found = [dataset.classes[place] for place in tensors(dataset.test).targets.tolist()]
    assert found == [("bird", "cat", "dog", "ant")[place] for place in fine[40:]]
    rows = tensors(dataset.train).rows.numpy()
    np.testing.assert_array_equal(stored(dataset), images[rows])
    if marks == 2:
        assert loaded(tmp_path, target="coarse").classes == ("0", "1")


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "model_shape"),
    [
        ((9,), "f4", "features", (9,)),
        ((9, 4), "f4", "sequence", (9, 4)),
        ((9, 7), "u1", "image", (1, 9, 7)),
        ((9, 9), "?", "image", (1, 9, 9)),
        ((3, 9, 7), "u1", "image", (3, 9, 7)),
        ((9, 7, 3), "f4", "image", (3, 9, 7)),
        ((9, 7, 1), "f4", "image", (1, 9, 7)),
        ((4, 9, 7), "f2", "image", (4, 9, 7)),
    ],
)
def test_a_shape_says_what_the_samples_are_if_only_one_answer_is_possible(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, kind: str, model_shape: tuple[int, ...]
) -> None:
    x = (pictures(40, *shape) % 2).astype(dtype)
    dataset = loaded(write_npy(tmp_path / "x", x=x, y=labels(40)))

    assert (dataset.signature.kind, dataset.input_shape) == (kind, model_shape)
    assert tuple(first_batch(dataset).shape[1:]) == model_shape
    assert len(shape) == 1 or any("dataset.layout" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((3, 9, 3), "u1"), ((5, 9, 7), "u1"), ((4, 4, 1), "f4"), ((9, 9), "f4"), ((9, 4), "i4")],
)
def test_a_shape_with_two_answers_is_asked_about_and_never_guessed(
    tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    x = numbers(40, *shape).astype(dtype)
    folder = write_npy(tmp_path / "x", x=x, y=labels(40))
    with pytest.raises(BadInput, match=r"dataset\.layout="):
        loaded(folder)

    if len(shape) == 3:
        first, last = (loaded(folder, layout=f"channels_{end}") for end in ("first", "last"))
        assert first.input_shape == shape
        assert last.input_shape == (shape[2], *shape[:2])
        batches = [first_batch(dataset) for dataset in (first, last)]
        rows = tensors(first.train).rows[:50]
        expected = torch.from_numpy(x)[rows].float()
        mean, std = (first.preprocessing["inputs"][key] for key in ("mean", "std"))
        torch.testing.assert_close(batches[0], (expected - mean) / std)
        torch.testing.assert_close(batches[1], ((expected - mean) / std).permute(0, 3, 1, 2))
    else:
        assert loaded(folder, layout="sequences").signature.kind == "sequence"
        assert loaded(folder, layout="pictures").input_shape == (1, *shape)
    assert loaded(folder, layout="features").input_shape == (int(np.prod(shape)),)


def test_rows_of_numbers_are_pictures_only_if_a_shape_says_so(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", data=pictures(40, 64), target=labels(40))
    features = loaded(path)

    assert features.signature.kind == "features"
    assert any("dataset.shape=[1,8,8]" in note for note in features.notes)
    assert loaded(path, shape=[1, 8, 8]).input_shape == (1, 8, 8)
    with pytest.raises(ConfigError, match="a sample has 64"):
        loaded(path, shape=[1, 9, 9])
    with pytest.raises(ConfigError, match="is for pictures, and these are features"):
        loaded(path, flip_horizontal=True)


TARGETS: list[tuple[Any, str, tuple[str, ...]]] = [
    (labels(60), "classification", ("0", "1", "2")),
    (labels(60)[:, None], "classification", ("0", "1", "2")),
    (labels(60) * 2 - 1, "classification", ("-1", "1", "3")),
    (labels(60, 2).astype(bool), "classification", ("0", "1")),
    (np.array(["b", "a", "c"])[labels(60)], "classification", ("a", "b", "c")),
    (np.array([b"b", b"a", b"c"])[labels(60)], "classification", ("a", "b", "c")),
    (np.eye(3)[labels(60)], "classification", ("0", "1", "2")),
    (np.arange(60) + 100, "regression", ()),
    (labels(60).astype(np.float32), "regression", ()),
    (numbers(60), "regression", ()),
    (numbers(60, 2), "regression", ()),
    (numbers(60, 3) > 0, "multilabel", ("0", "1", "2")),
]


@pytest.mark.parametrize(("y", "problem", "classes"), TARGETS)
def test_the_form_of_a_target_says_what_is_predicted(
    tmp_path: Path, y: Array, problem: str, classes: tuple[str, ...]
) -> None:
    dataset = loaded(write_npy(tmp_path / "x", x=numbers(60, 4), y=y))

    assert (dataset.problem, dataset.classes) == (problem, classes)
    if problem == "classification" and y.dtype.kind in "US":
        rows = tensors(dataset.train).rows.numpy()
        found = [classes[place] for place in tensors(dataset.train).targets.tolist()]
        assert found == [one.decode() if isinstance(one, bytes) else one for one in y[rows]]


@pytest.mark.parametrize(
    ("dtype", "shape", "scale"),
    [
        ("u1", (9, 9), 1),
        ("i8", (9, 9), 1),
        ("f4", (1, 9, 9), 1),
        ("?", (9, 9, 1), 1),
        ("u1", (9, 9), 255),
    ],
)
def test_masks_are_a_class_for_each_pixel(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], scale: int
) -> None:
    masks = (labels(40 * 81, 2) * scale).astype(dtype).reshape(40, *shape)
    folder = write_npy(tmp_path / "x", images=pictures(40, 9, 9), labels=masks)
    dataset = loaded(folder, flip_horizontal=True)

    assert dataset.problem == "segmentation"
    assert dataset.classes == ("0", str(scale))
    assert (dataset.signature.places, dataset.signature.outputs) == ("pixel", 2)
    train = tensors(dataset.train)
    batch = next(train.in_order(50))
    assert train.ready is not None
    ready = train.ready(batch)
    expected = labels(40 * 81, 2).reshape(40, 9, 9)[train.rows.numpy()]
    np.testing.assert_array_equal(ready["target"].numpy(), expected)
    assert dataset.augment is not None
    moved = dataset.augment(ready, torch.Generator().manual_seed(0))
    is_flipped = (moved["input"] != ready["input"]).flatten(1).any(dim=1)
    for place in torch.flatten(is_flipped.nonzero()).tolist():
        assert torch.equal(moved["target"][place], ready["target"][place].flip(-1))
    with pytest.raises(ConfigError, match="masks cannot be mixed"):
        loaded(folder, mixup=0.2)


def test_void_pixels_of_masks_are_not_measured(tmp_path: Path) -> None:
    masks = labels(40 * 81, 3).astype(np.uint8).reshape(40, 9, 9)
    masks[masks == 2] = 255
    dataset = loaded(write_npy(tmp_path / "x", x=pictures(40, 9, 9), y=masks))

    assert dataset.classes == ("0", "1")
    train = tensors(dataset.train)
    assert train.ready is not None
    target = train.ready(next(train.in_order(50)))["target"].numpy()
    expected = masks[train.rows.numpy()].astype(int)
    np.testing.assert_array_equal(target, np.where(expected == 255, -100, expected))
    assert any("pixels of 255 are not measured" in note for note in dataset.notes)


def test_names_of_classes_are_read_from_the_file(tmp_path: Path) -> None:
    names = np.array(["setosa", "virginica", "other"])
    path = write_npz(tmp_path / "a.npz", data=numbers(60, 4), target=labels(60), target_names=names)
    dataset = loaded(path)

    assert dataset.classes == ("other", "setosa", "virginica")
    rows = tensors(dataset.train).rows.numpy()
    found = [dataset.classes[place] for place in tensors(dataset.train).targets.tolist()]
    assert found == names[labels(60)[rows]].tolist()


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_TRAIN", "Y_TRAIN", "X_VALIDATION", "Y_VALIDATION"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("trainX", "trainY", "testX", "testY"),
        ("Xtrain", "ytrain", "Xtest", "ytest"),
        ("data_train", "target_train", "data_dev", "target_dev"),
        ("emnist-train-images", "emnist-train-labels", "emnist-test-images", "emnist-test-labels"),
    ],
)
def test_names_of_arrays_say_what_they_are_for(tmp_path: Path, names: tuple[str, ...]) -> None:
    x, y = numbers(80, 4), labels(80)
    arrays = dict(zip(names, (x[:60], y[:60], x[60:], y[60:]), strict=True))
    dataset = loaded(write_npz(tmp_path / "a.npz", **arrays))

    assert len(dataset.test) == 20
    np.testing.assert_array_equal(stored(dataset, "test"), x[60:])
    assert tensors(dataset.test).rows.tolist() == list(range(60, 80))


def test_archives_of_a_folder_have_the_names_of_their_files(tmp_path: Path) -> None:
    x, y = numbers(80, 4), labels(80)
    for folder, files in {
        "pairs": {"train": {"x": x[:60], "y": y[:60]}, "test": {"x": x[60:], "y": y[60:]}},
        "single": {
            "k49-train-imgs": {"arr_0": x[:60]},
            "k49-train-labels": {"arr_0": y[:60]},
            "k49-test-imgs": {"arr_0": x[60:]},
            "k49-test-labels": {"arr_0": y[60:]},
        },
    }.items():
        (tmp_path / folder).mkdir()
        for name, arrays in files.items():
            write_npz(tmp_path / folder / f"{name}.npz", **arrays)
        dataset = loaded(tmp_path / folder)
        np.testing.assert_array_equal(stored(dataset, "test"), x[60:])


def test_three_splits_are_taken_as_they_are(tmp_path: Path) -> None:
    x, y = numbers(90, 4), labels(90)
    parts = {"train": slice(60), "val": slice(60, 75), "test": slice(75, 90)}
    arrays = {f"x_{name}": x[part] for name, part in parts.items()}
    arrays |= {f"y_{name}": y[part] for name, part in parts.items()}
    dataset = loaded(write_npy(tmp_path / "x", **arrays))

    for name, part in parts.items():
        np.testing.assert_array_equal(stored(dataset, name), x[part])


def test_other_names_are_told_by_the_shapes_or_by_the_settings(tmp_path: Path) -> None:
    x, y = numbers(60, 4), labels(60)
    plain = loaded(write_npz(tmp_path / "a.npz", arr_0=x, arr_1=y))
    assert "inputs arr_0, target arr_1, by their shapes" in plain.notes[0]

    path = write_npz(tmp_path / "b.npz", emb=x, other=x * 2, kind=y)
    with pytest.raises(BadInput, match=r"dataset\.inputs=NAME; available: emb \(60, 4\) float32"):
        loaded(path)
    chosen = loaded(path, inputs="other", target="kind")
    rows = tensors(chosen.train).rows.numpy()
    np.testing.assert_array_equal(stored(chosen), 2 * x[rows])
    with pytest.raises(ConfigError, match=r"no array otter \(did you mean 'other'\?\)"):
        loaded(path, inputs="otter", target="kind")


def test_an_array_that_is_named_exactly_wins(tmp_path: Path) -> None:
    x, y = numbers(60, 4), labels(60)
    path = write_npz(tmp_path / "a.npz", x=x, X=2 * x, y=y)
    with pytest.raises(BadInput, match=r"x and X may both be the inputs; name one: "):
        loaded(path)
    for name, factor in (("x", 1), ("X", 2)):
        dataset = loaded(path, inputs=name)
        rows = tensors(dataset.train).rows.numpy()
        np.testing.assert_array_equal(stored(dataset), factor * x[rows])


def test_the_target_beside_a_file_is_found(tmp_path: Path) -> None:
    folder = write_npy(tmp_path / "f", X=numbers(60, 4), y=labels(60), z=numbers(60, 2))

    assert loaded(folder / "X.npy").classes == ("0", "1", "2")
    write_mnist(tmp_path / "m", packed=True)
    assert len(loaded(tmp_path / "m" / "t10k-images-idx3-ubyte.gz", val_fraction=0.3).train) < 20


def test_samples_are_mapped_from_the_file_and_not_copied(tmp_path: Path) -> None:
    x, y = numbers(60, 4), labels(60)
    for path in (
        write_npy(tmp_path / "f", x=x, y=y) / "x.npy",
        write_safetensors(tmp_path / "a.safetensors", x=x, y=y),
    ):
        dataset = loaded(path)
        shared = tensors(dataset.train).inputs
        assert shared.data_ptr() == tensors(dataset.test).inputs.data_ptr()
        changed = path.read_bytes().replace(x[3].tobytes(), np.zeros(4, np.float32).tobytes())
        with path.open("r+b") as file:
            file.write(changed)
        assert shared[3].tolist() == [0, 0, 0, 0]


def test_a_changed_file_ends_a_run_before_the_next_epoch(tmp_path: Path) -> None:
    folder = write_npy(tmp_path / "f", x=numbers(60, 4), y=labels(60))
    dataset = loaded(folder)
    with (folder / "x.npy").open("ab") as file:
        file.write(b"more")

    with pytest.raises(BadInput, match=r"x\.npy: changed while it is used"):
        next(tensors(dataset.val).in_order(5))


def test_rows_that_move_between_files_stay_in_their_split(tmp_path: Path) -> None:
    x, y = numbers(80, 4), labels(80)
    before = loaded(
        write_npz(tmp_path / "a.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    )
    moved = write_npz(
        tmp_path / "b.npz", x_train=x[:50], y_train=y[:50], x_test=x[50:], y_test=y[50:]
    )
    section = ArraysSection(type="arrays", path=str(moved))
    after = load(section, before.preprocessing, record=before.split_record)

    assert after.changes is not None
    assert (after.changes.gone, after.changes.new) == (0, 0)
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(stored(after, name), stored(before, name))


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.npy", b""), ("x.npz", b""), ("a-idx3-ubyte.gz", b""), ("a.safetensors", b"")],
)
def test_arrays_are_recognised_by_their_names(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert recognise(str(tmp_path / name), {}).type == "arrays"
    assert recognise(str(tmp_path), {}).type == "arrays"


def test_arrays_are_recognised_by_their_first_bytes(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", numbers(3, 4))
    (tmp_path / "x.npy").rename(tmp_path / "unnamed")
    assert recognise(str(tmp_path / "unnamed"), {}).type == "arrays"
    assert recognise(str(tmp_path / "unnamed"), {"type": "text"}).type != "arrays"
    (tmp_path / "other").write_bytes(b"\0\0\x08\x01 is no idx file")
    assert recognise(str(tmp_path / "other"), {}).type == "table"


def test_the_only_folder_of_arrays_in_a_folder_is_found(tmp_path: Path) -> None:
    write_mnist(tmp_path / "raw", packed=False)
    found = recognise(str(tmp_path), {})
    assert (found.type, found.settings["path"]) == ("arrays", str(tmp_path / "raw"))
    assert found.reasons == {"path": "the only folder of arrays in it"}


def test_more_pictures_than_arrays_are_the_data(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "cats").mkdir(exist_ok=True)
        (tmp_path / "cats" / f"{number}.png").write_bytes(b"")
    np.save(tmp_path / "x.npy", numbers(3, 4))
    assert recognise(str(tmp_path), {}).type == "pictures"
    assert recognise(str(tmp_path), {"type": "arrays"}).type == "arrays"


def test_records_of_cifar_are_told_from_tokens_of_the_same_name(tmp_path: Path) -> None:
    images = pictures(20, 3, 32, 32)
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(cifar_bytes(images, labels(20), labels(20, 7)))
    assert recognise(str(tmp_path), {}).type == "arrays"
    assert recognise(str(tmp_path / "train.bin"), {}).type == "arrays"
    assert recognise(str(tmp_path / "train.bin"), {"type": "tokens"}).type == "tokens"
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(cifar_bytes(images, labels(20) + 150, labels(20)))
    assert recognise(str(tmp_path), {}).type == "tokens"
    assert recognise(str(tmp_path / "train.bin"), {}).type == "tokens"
