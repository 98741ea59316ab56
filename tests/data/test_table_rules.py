"""A run of a version that recorded no rules goes on to read its table as that version read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import (
    DatasetSection,
    ForecastSection,
    SequencesSection,
    TableSection,
)
from tui_trainer.config.sections.problems import AUTO, ProblemSection
from tui_trainer.config.sections.text_datasets import TextSection
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.labelled import read_labelled
from tui_trainer.data.load import load
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError

ROWS: dict[str, tuple[str, Callable[[int], str]]] = {
    "texts in quotes": ("a,text,y", lambda n: f'{n % 7}, "a text of many words {n}",{"uv"[n % 2]}'),
    "decimal commas": ("a,1;y", lambda n: f"{n % 7},{n % 3};{n % 5}"),
    "money": ("a,y", lambda n: f"{n},{n % 3 + 1} EUR"),
    "members": ("s,a,y", lambda n: f"{n // 4},{n % 7},{n // 4 % 3 + 1} EUR"),
    "shares": ("s,a,y", lambda n: f"{n // 4},{n % 7}{'%' if n % 2 else '.5'},{'uv'[n // 4 % 2]}"),
    "times": ("t,0.5,1.5", lambda n: f"2020-01-{n % 28 + 1:02} {n // 28:02}:00,{n % 7}.25,{n % 5}"),
}
CLASSES = ProblemSection(type="classification")


def table(folder: Path, name: str) -> dict[str, str]:
    header, row = ROWS[name]
    path = folder / "t.csv"
    path.write_text("\n".join([header, *map(row, range(160))]) + "\n")
    return {"path": str(path)}


def check_goes_on(section: DatasetSection, began: DatasetSection, problem: ProblemSection) -> None:
    """Check that a run which began with the settings `began` goes on with `section` as it was."""
    before = load(began.for_earlier_run(), None, problem)
    preprocessing = dict(before.preprocessing)
    assert preprocessing.pop("table_rules") == 2
    now = load(section, preprocessing, record=before.split_record)
    # It records no rules later on.
    assert (now.preprocessing, now.classes) == (preprocessing, before.classes)
    for split, earlier in ((now.train, before.train), (now.test, before.test)):
        assert torch.equal(tensors(split).inputs, tensors(earlier).inputs)
        assert torch.equal(tensors(split).targets, tensors(earlier).targets)


@pytest.mark.parametrize(("name", "target"), [("texts in quotes", "y"), ("decimal commas", "1;y")])
def test_separators_and_quotes_stay_what_they_were(tmp_path: Path, name: str, target: str) -> None:
    values = {"type": "table", "target": target, **table(tmp_path, name)}
    section = TableSection.model_validate(values)
    check_goes_on(section, section, AUTO)
    before = load(section.for_earlier_run())
    with pytest.raises((CheckpointUnusable, ConfigError)):
        load(section, before.preprocessing, record=before.split_record)
    old = {key: value for key, value in before.preprocessing.items() if key != "table_rules"}
    # Another file is read in the same way, to be measured and to be predicted.
    measured = read_labelled(section, old, section.path, before.info).split
    unseen = read_unseen(section, old, section.path, before.info)
    assert isinstance(measured, TensorSplit)
    assert torch.equal(measured.inputs, unseen.inputs)
    order = tensors(before.train).rows
    assert torch.equal(unseen.inputs[order], tensors(before.train).inputs)


def test_amounts_of_money_stay_names_of_classes(tmp_path: Path) -> None:
    section = TableSection.model_validate(
        {"type": "table", "target": "y", **table(tmp_path, "money")}
    )
    check_goes_on(section, section, CLASSES)
    members = SequencesSection.model_validate(
        {"type": "sequences", "sequence": "s", "target": "y", **table(tmp_path, "members")}
    )
    check_goes_on(members, members, CLASSES)


def test_channels_may_have_different_units(tmp_path: Path) -> None:
    values = {"type": "sequences", "sequence": "s", "target": "y", **table(tmp_path, "shares")}
    section = SequencesSection.model_validate(values)
    with pytest.raises(BadInput, match="its numbers may have different units"):
        load(section)
    check_goes_on(section, section, AUTO)


def test_a_header_with_decimals_stays_one(tmp_path: Path) -> None:
    values = {"type": "forecast", "time": "t", "target": "0.5", "window": 4, "horizon": 1}
    section = ForecastSection.model_validate({**values, **table(tmp_path, "times")})
    with pytest.raises(ConfigError, match=r"no column '0\.5'"):
        load(section)
    check_goes_on(section, section.model_copy(update={"header": "yes"}), AUTO)


def test_texts_of_a_column_keep_their_quotes(tmp_path: Path) -> None:
    section = TextSection.model_validate(
        {
            "type": "text",
            "column": "text",
            "sequence_length": 8,
            **table(tmp_path, "texts in quotes"),
        }
    )
    before = load(section.for_earlier_run())
    old = {key: value for key, value in before.preprocessing.items() if key != "table_rules"}
    now = load(section, old, record=before.split_record)
    assert now.fingerprint == before.fingerprint
    assert [len(split) for split in (now.train, now.val, now.test)] == [
        len(split) for split in (before.train, before.val, before.test)
    ]
    assert len(load(section).train) < len(before.train)
