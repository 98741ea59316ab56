"""The settings of a problem: checked against the data, and kept in checkpoints."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tui_trainer.config.sections.problems import PROBLEM_TYPES, ProblemSection
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import KINDS
from tui_trainer.problems.problem import SampleMismatch
from tui_trainer.problems.settings import with_settings
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import ConfigError

TWO = DatasetInfo(Signature("features", (3,), 2), "classification", ("no", "1"))
LABELS = DatasetInfo(Signature("features", (3,), 2), "multilabel", ("a", "b"))
MASKS = DatasetInfo(Signature("image", (1, 2, 2), 2, places="pixel"), "segmentation", ("a", "b"))
NUMBERS = DatasetInfo(Signature("features", (3,), 2), "regression", ())


def section(**settings: Any) -> ProblemSection:
    spec = PROBLEM_TYPES.find(settings.setdefault("type", "auto"))
    assert spec is not None
    made = spec.params.model_validate(settings)
    assert isinstance(made, ProblemSection)
    return made


def test_without_settings_the_data_stay_as_they_are() -> None:
    for info in (TWO, LABELS, NUMBERS):
        assert with_settings(info, section()) == info
        assert with_settings(info, section(type=info.problem)) == info


@pytest.mark.parametrize(
    ("info", "settings", "changes"),
    [
        (TWO, {"positive": "no"}, {"positive": 0}),
        (TWO, {"positive": 1, "threshold": 0.3}, {"positive": 1, "threshold": 0.3}),
        (TWO, {"threshold": 0.3}, {"positive": 1, "threshold": 0.3}),
        (LABELS, {"type": "multilabel", "threshold": 0.7}, {"threshold": 0.7}),
        (NUMBERS, {"type": "regression", "outputs": ["x", "y"]}, {"target_names": ("x", "y")}),
        (MASKS, {"type": "segmentation", "ignore": 255}, {"ignore": 255}),
    ],
    ids=str,
)
def test_settings_are_in_the_description_and_its_checkpoint(
    info: DatasetInfo, settings: dict[str, Any], changes: dict[str, Any]
) -> None:
    described = with_settings(info, section(**settings))
    assert described == replace(info, **changes)
    assert DatasetInfo.from_dict(described.to_dict()) == described


@pytest.mark.parametrize(
    ("info", "settings", "text"),
    [
        (TWO, {"type": "multilabel"}, "problem.type: is multilabel, and these data are for class"),
        (TWO, {"positive": "On"}, "problem.positive: no class 'On'; available: 'no', '1'"),
        (LABELS, {"positive": "a"}, "problem.positive: is for two classes, and these data are a m"),
        (NUMBERS, {"threshold": 0.2}, "problem.threshold: is for labels or two classes"),
        (NUMBERS, {"type": "regression", "outputs": ["x"]}, "1 names for 2 numbers"),
        (NUMBERS, {"type": "regression", "outputs": ["x", "x"]}, "2 names for 2 numbers"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_the_data_are_refused(
    info: DatasetInfo, settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(info, section(**settings))
    assert text in str(caught.value)


def test_an_ignored_number_counts_nowhere() -> None:
    masks = torch.tensor([[[0, 255], [1, -100]]])
    info = with_settings(MASKS, section(type="segmentation", ignore=255))
    checked = KINDS["segmentation"].check(masks, torch.zeros(1, 1, 2, 2), info)
    assert checked.tolist() == [[[0, -100], [1, -100]]]
    with pytest.raises(SampleMismatch, match="a target is 255"):
        KINDS["segmentation"].check(masks, torch.zeros(1, 1, 2, 2), MASKS)


def test_numbers_with_names_keep_them() -> None:
    named = replace(NUMBERS, target_names=("x", "y"))
    with pytest.raises(ConfigError, match="names of their own: x, y"):
        with_settings(named, section(type="regression", outputs=["a", "b"]))


@pytest.mark.parametrize(
    "changes",
    [{"ignore": "x"}, {"positive": 2}, {"positive": True}, {"threshold": 1.0}, {"threshold": "a"}],
    ids=str,
)
def test_a_checkpoint_with_other_values_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        DatasetInfo.from_dict(TWO.to_dict() | changes)


def test_an_older_checkpoint_has_neither() -> None:
    plain = TWO.to_dict()
    del plain["positive"], plain["threshold"]
    assert DatasetInfo.from_dict(plain) == TWO
