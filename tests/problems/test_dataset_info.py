"""The description of data in a checkpoint, also in those of older versions."""

from __future__ import annotations

from typing import Any

import pytest

from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Signature

TAGS = Signature("tokens", (6,), 3, vocabulary=9, places="step")
INFO = DatasetInfo(TAGS, "classification", ("a", "b", "c"))


def with_signature(**changes: Any) -> dict[str, Any]:
    plain = INFO.to_dict()
    signature = {**plain["signature"], **changes}
    return {**plain, "signature": {k: v for k, v in signature.items() if v is not None}}


def test_a_description_is_read_back() -> None:
    assert DatasetInfo.from_dict(INFO.to_dict()) == INFO


@pytest.mark.parametrize(
    ("per_step", "places", "causal"), [(True, "step", True), (False, "one", False)]
)
def test_older_versions_knew_only_of_steps(per_step: bool, places: str, causal: bool) -> None:
    plain = with_signature(places=None, causal=None, per_step=per_step)
    signature = DatasetInfo.from_dict(plain).signature
    assert (signature.places, signature.causal) == (places, causal)


@pytest.mark.parametrize("changes", [{"places": "corner"}, {"causal": 1}, {"places": ["one"]}])
def test_places_that_do_not_exist_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="predictions at"):
        DatasetInfo.from_dict(with_signature(**changes))
