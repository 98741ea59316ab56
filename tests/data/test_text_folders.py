from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.splits import tensors
from tui_trainer.config.sections.text_datasets import TextFoldersSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.labelled import read_labelled
from tui_trainer.data.load import load
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.data.recognition import recognise
from tui_trainer.text.errors import BadInput, CheckpointUnusable


def section(path: Path | str, **settings: Any) -> TextFoldersSection:
    values = {"type": "text_folders", "path": str(path), "passage_lines": 3, **settings}
    return TextFoldersSection.model_validate(values)


def write(folder: Path, classes: str = "cat dog", files: int = 12, lines: int = 7) -> Path:
    for name in classes.split():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(files):
            content = "".join(f"{name} {number} line {line}\n" for line in range(lines))
            (folder / name / f"{number:02}.txt").write_text(content)
    return folder


def passages(dataset: Dataset) -> list[list[tuple[str, bytes]]]:
    """The class and the text of each passage of each split."""
    found = []
    for split in map(tensors, (dataset.train, dataset.val, dataset.test)):
        assert split.lengths is not None
        assert split.inputs.dtype == torch.uint8
        part = []
        for inputs, length, target in zip(
            split.inputs, split.lengths.tolist(), split.targets.tolist(), strict=True
        ):
            assert not inputs[length:].any()
            part.append((dataset.classes[target], bytes(inputs[:length].tolist())))
        found.append(part)
    return found


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        load(section(path, **settings))
    return str(caught.value)


def test_passages_have_the_class_of_their_folder(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cat" / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "cat" / "deep" / "deeper" / "more.txt").write_text("cat deep\n")
    dataset = load(section(tmp_path))

    found = [passage for part in passages(dataset) for passage in part]
    assert dataset.classes == ("cat", "dog")
    assert len(found) == 2 * 12 * 2 + 1
    assert all(text.startswith(name.encode()) for name, text in found)
    assert ("cat", b"cat deep\n") in found
    assert ("dog", b"dog 3 line 3\ndog 3 line 4\ndog 3 line 5\n") in found
    assert dataset.signature.kind == "tokens"
    assert (dataset.signature.vocabulary, dataset.signature.causal) == (256, False)
    assert "49 passages of 25 files in 2 classes, 24 to 25 per class" in dataset.notes


def test_no_file_is_in_two_splits_and_every_class_in_each(tmp_path: Path) -> None:
    dataset = load(section(write(tmp_path, files=20, lines=30)))
    parts = [{(name, text.split()[1]) for name, text in part} for part in passages(dataset)]

    assert sum(map(len, parts)) == 40
    assert not parts[0] & parts[1]
    assert not parts[2] & (parts[0] | parts[1])
    assert all({name for name, _ in part} == {"cat", "dog"} for part in parts)
    assert "400 passages of 40 files in 2 classes, 200 per class" in dataset.notes


def test_batches_are_tokens_with_lengths(tmp_path: Path) -> None:
    dataset = load(section(write(tmp_path)))
    batch = next(dataset.train.in_order(4))
    assert batch["input"].dtype == torch.int64
    assert "lengths" in batch
    assert batch["input"].shape == (4, int(batch["lengths"].max()))


def test_long_files_and_large_classes_are_thinned_out(tmp_path: Path) -> None:
    write(tmp_path, "cat", files=12, lines=60)
    write(tmp_path, "dog", files=12, lines=3)
    few = load(section(tmp_path, max_passages_file=5))
    assert any("12 to 60 per class" in note for note in few.notes)
    lines = {text.split()[3] for name, text in passages(few)[0] if name == "cat"}
    assert lines == {b"0", b"12", b"24", b"36", b"48"}, "from everywhere in the file"

    balanced = load(section(tmp_path, max_passages_class=13))
    assert any("12 to 13 per class" in note for note in balanced.notes)
    files = {text.split()[1] for part in passages(balanced) for name, text in part if name == "cat"}
    assert len(files) == 12, "in turn from each file"
    assert passages(load(section(tmp_path, max_passages_class=13))) == passages(balanced)


def test_a_passage_has_a_most_of_bytes(tmp_path: Path) -> None:
    dataset = load(section(write(tmp_path), max_passage_bytes=10))
    assert dataset.input_shape == (10,)
    assert "48 of 48 passages cut off after dataset.max_passage_bytes 10" in dataset.notes


def test_what_is_blank_or_there_twice_is_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cat" / "blank.txt").write_text("\n \n\n" + "cat\n" * 3 + "\n" * 9)
    (tmp_path / "dog" / "cat.txt").write_text("cat 1 line 0\ncat 1 line 1\ncat 1 line 2\nmore\n")
    dataset = load(section(tmp_path))
    found = [text for part in passages(dataset) for _, text in part]
    assert len(found) == len(set(found)) == 49
    assert "1 duplicate passages left out" in dataset.notes


def test_folders_with_few_files_and_files_beside_them_are_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "emu", 9)
    (tmp_path / "beside.txt").write_text("nothing of a class\n")
    dataset = load(section(tmp_path))
    assert dataset.classes == ("cat", "dog")
    assert "1 folders with fewer than 10 files left out: emu" in dataset.notes
    assert "1 files outside of the folders left out" in dataset.notes
    assert load(section(tmp_path, min_files=9)).classes == ("cat", "dog", "emu")


def test_fault_21_fewer_than_two_classes_are_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "cat"))
    assert "1 of 1 folders have 10 texts or more, but at least two" in message
    for number in range(20):
        (tmp_path / "same" / "cat").mkdir(parents=True, exist_ok=True)
        (tmp_path / "same" / "cat" / f"{number}.txt").write_text("all alike")
    assert "; 19 left out: copy of another file" in refusal(tmp_path / "same")
    write(tmp_path / "other", "cat dog", 3)
    assert "lower dataset.min_files" in refusal(tmp_path / "other")
    assert "no file matches dataset.patterns *.md" in refusal(tmp_path, patterns=["*.md"])
    (tmp_path / "blank" / "cat").mkdir(parents=True)
    write(tmp_path / "blank", "dog")
    for number in range(10):
        (tmp_path / "blank" / "cat" / f"{number}.txt").write_text("\n" * (number + 1))
    assert "the class 'cat' has only texts that are blank" in refusal(tmp_path / "blank")


def test_fault_21_texts_without_folders_are_told_where_to_go(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    assert "put the texts of each class into a folder of their own" in refusal(tmp_path)


def test_preprocessing_goes_through_a_checkpoint_of_the_same_classes(tmp_path: Path) -> None:
    fresh = load(section(write(tmp_path / "a")))
    file = io.BytesIO()
    torch.save(fresh.preprocessing, file)
    file.seek(0)
    fitted = torch.load(file, weights_only=True)
    assert passages(load(section(tmp_path / "a"), fitted, record=fresh.split_record)) == passages(
        fresh
    )
    write(tmp_path / "b", "cat emu")
    with pytest.raises(CheckpointUnusable, match="class 1: 'dog' in the checkpoint, 'emu' in"):
        load(section(tmp_path / "b"), fitted)


def test_a_fingerprint_follows_files_and_settings(tmp_path: Path) -> None:
    first = load(section(write(tmp_path / "a"))).fingerprint
    assert load(section(write(tmp_path / "b"))).fingerprint == first
    assert load(section(tmp_path / "a", passage_lines=2)).fingerprint != first
    (tmp_path / "b" / "cat" / "00.txt").rename(tmp_path / "b" / "dog" / "cat.txt")
    assert load(section(tmp_path / "b")).fingerprint != first


@pytest.mark.timeout(30)
def test_packages_of_the_standard_library_are_classes() -> None:
    dataset = load(section("stdlib:", patterns=["*.py"], passage_lines=20))
    assert {"asyncio", "email", "encodings", "idlelib", "xml"} <= set(dataset.classes)
    assert "test" not in dataset.classes
    assert min(dataset.class_counts) >= 20
    assert max(dataset.class_counts) <= 500
    assert dataset.input_shape == (1024,)


def test_passages_become_words_that_training_knows(tmp_path: Path) -> None:
    write(tmp_path, files=20)
    dataset = load(section(tmp_path, tokenizer="words"))
    fitted = dataset.preprocessing["inputs"]
    assert fitted["tokenizer"]["type"] == "words"
    assert dataset.signature.vocabulary == 2 + len(fitted["tokenizer"]["known"])
    assert dataset.input_shape == (fitted["max_tokens"],)
    known = fitted["tokenizer"]["known"]
    train = tensors(dataset.train)
    assert train.lengths is not None
    words = [known[token - 2] for token in train.inputs[0, :3].tolist()]
    assert words[0] in ("cat", "dog")
    assert words[2] == "line"
    same = section(tmp_path, tokenizer="words")
    again = load(same, dataset.preprocessing, record=dataset.split_record)
    assert tensors(again.train).inputs.equal(train.inputs)
    batch = next(dataset.train.in_order(4))
    assert batch["input"].dtype == torch.int64
    assert any("have no token of their own" in note for note in dataset.notes)
    assert dataset.summary is not None
    assert dataset.summary.inputs == f"texts of up to {fitted['max_tokens']} words"


def test_a_small_file_is_a_sample_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, files=20, lines=7)
    (tmp_path / "cat" / "blank.txt").write_text("\n \n")
    (tmp_path / "cat" / "long.txt").write_text("cat " * 100)
    dataset = load(section(tmp_path, samples="files", max_passage_bytes=120, max_passages_class=3))
    found = [text for part in passages(dataset) for _, text in part]
    assert len(found) == 41, "no class is thinned out"
    assert b"".join(b"dog 3 line %d\n" % line for line in range(7)) in found
    assert "1 of 41 files cut off after dataset.max_passage_bytes 120" in dataset.notes
    assert "41 files in 2 classes, 20 to 21 per class" in dataset.notes
    assert dataset.input_shape == (120,)
    settings = section(tmp_path, samples="files", max_passage_bytes=120)
    unseen = read_unseen(
        settings, dataset.preprocessing, str(tmp_path / "dog/03.txt"), dataset.info
    )
    assert unseen.places == ("",)
    assert unseen.inputs.shape == (1, 7 * len("dog 3 line 0\n"))
    labelled = read_labelled(settings, dataset.preprocessing, str(tmp_path), dataset.info)
    assert labelled.count == "41 files"


def test_the_sizes_of_the_files_decide_what_a_sample_is(tmp_path: Path) -> None:
    write(tmp_path / "small", files=12)
    few = recognise(str(tmp_path / "small"), {})
    assert few.settings["samples"] == "files"
    assert few.settings["max_passage_bytes"] == 128
    assert "half of them have at most 91 bytes" in few.reasons["samples"]
    assert "samples" not in recognise(str(tmp_path / "small"), {"samples": "passages"}).settings
    write(tmp_path / "large", files=12, lines=900)
    assert recognise(str(tmp_path / "large"), {}).settings["samples"] == "passages"
    assert recognise(str(tmp_path / "large"), {"patterns": ["*.txt"]}).type == "text_folders"
