"""A fingerprint is of the data: a setting that a later version adds does not make them others."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

import pytest

from tui_trainer.config.sections.datasets import (
    DatasetSection,
    PixelsSection,
    RowsSection,
    SequencesSection,
    TableSection,
)
from tui_trainer.config.sections.section import setting
from tui_trainer.config.sections.text_datasets import TextFoldersSection, TextSection
from tui_trainer.data.base.fingerprint import fingerprint_of

SUM = "ab" * 32


class LaterTable(TableSection):
    """A table as a later version may know it."""

    later: str = setting("", "a setting of a later version")


class Plugged(RowsSection):
    """The section of a plugin."""

    type: Literal["plugged"] = "plugged"
    own: int = setting(3, "what it likes")


SECTIONS: tuple[DatasetSection, ...] = (
    PixelsSection(type="pixels", path="a.csv", shape=(1, 8, 8), shift_pixels=1.0),
    TableSection(type="table", path="a.csv", target="y", missing="mean"),
    SequencesSection(type="sequences", path="a.csv", sequence="s", step="t", target="y"),
    TextSection(type="text", path="a.txt"),
    TextFoldersSection(type="text_folders", path="a"),
    Plugged(path="a", own=4),
)


LATER = {
    *("label_separator", "group"),
    *("split_by", "split_from", "time"),
    *("separator", "encoding", "decimal", "thousands", "missing_values"),
    *("kinds", "buckets", "dates", "word_buckets", "max_text_bytes"),
    "missing_values_by_column",
    *("header", "comment", "label"),
    *("tokenizer", "vocabulary", "samples", "column"),
}
"""Settings that version 0.1 did not have."""


def of_the_first_version(section: DatasetSection, task: str = "auto") -> str:
    """What version 0.1 kept in its checkpoints."""
    later = {"split"} if section.type == "table" else set()
    settings = section.model_dump(mode="json", exclude={"path", *LATER, *later})
    if section.type in ("table", "sequences"):
        # It was a setting of the data set, and is one of the problem.
        settings["task"] = task
    return hashlib.sha256(json.dumps([SUM, settings], sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.type)
def test_what_the_first_version_kept_is_still_of_the_same_data(section: DatasetSection) -> None:
    now = fingerprint_of(section, SUM)

    assert now.is_same(of_the_first_version(section))
    assert now.is_same(now.value)
    assert not now.is_same(of_the_first_version(section.model_copy(update={"split_seed": 1})))
    assert not fingerprint_of(section, "cd" * 32).is_same(of_the_first_version(section))


def test_a_setting_that_is_added_later_changes_no_fingerprint_by_its_default() -> None:
    values = {"type": "table", "path": "a.csv", "target": "y"}
    before, later = (kind.model_validate(values) for kind in (TableSection, LaterTable))

    assert fingerprint_of(later, SUM) == fingerprint_of(before, SUM)
    assert fingerprint_of(later, SUM).is_same(of_the_first_version(before))
    changed = LaterTable.model_validate({**values, "later": "x"})
    assert not fingerprint_of(changed, SUM).is_same(fingerprint_of(before, SUM).value)


def test_no_other_text_is_a_fingerprint_of_the_data() -> None:
    now = fingerprint_of(SECTIONS[1], SUM)

    for odd in ("", "2-", None, 3, now.value[2:], f"3-{now.by_first_rule}"):
        assert not now.is_same(odd)
