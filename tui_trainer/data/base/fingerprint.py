"""`Fingerprint`: whether data are those that a checkpoint was trained on.

Layer: data. It covers the raw data and the settings of the section, but never the path. A setting
that a later version adds must not make old data other data, so only settings that differ from
their defaults count. The first rule counted all of them; what it wrote is compared by that rule.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tui_trainer.config.sections.datasets import DatasetSection, RowsSection

_SECOND = "2-"
"""Begins what the second rule writes."""
_BASE = "type split_seed test_fraction val_fraction"
_IMAGES = "shift_pixels rotate_degrees flip_horizontal flip_vertical crop_padding cutout_pixels"
_FIRST_RULE: dict[str, frozenset[str]] = {
    kind: frozenset(f"{_BASE} {names}".split())
    for kind, names in {
        "pixels": f"stratify noise mixup {_IMAGES} shape max_value",
        "table": "stratify noise mixup target task categorical drop missing",
        "sequences": "stratify sequence step target split task drop missing noise",
        "text": "patterns sequence_length val_bytes max_file_bytes max_bytes",
        "text_folders": (
            "stratify patterns passage_lines max_passage_bytes min_files max_passages_file "
            "max_passages_class max_file_bytes"
        ),
    }.items()
}
"""The settings of each type when the first rule was in use. They stay as they are."""
_FIRST_RULE_OF_PLUGINS = frozenset(f"{_BASE} stratify".split())


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprint of some data, by each rule that ever was."""

    value: str
    """What a checkpoint and provenance.json keep."""
    by_first_rule: str

    def is_same(self, saved: object) -> bool:
        """Whether what a checkpoint kept, by whatever rule, is of these data."""
        if isinstance(saved, str) and saved.startswith(_SECOND):
            return saved == self.value
        return saved == self.by_first_rule


def fingerprint_of(section: DatasetSection, sha256: str) -> Fingerprint:
    """Return the fingerprint of raw data with this sum, read as the section says."""
    everything = section.model_dump(mode="json", exclude={"path"})
    changed = section.model_dump(mode="json", exclude={"path"}, exclude_defaults=True)
    first = {name: everything[name] for name in _names_of_first_rule(section)}
    return Fingerprint(
        _SECOND + _sum([sha256, {**changed, "type": section.type}]), _sum([sha256, first])
    )


def _names_of_first_rule(section: DatasetSection) -> frozenset[str]:
    if section.type in _FIRST_RULE:
        return _FIRST_RULE[section.type]
    # The settings that a plugin has itself are its own affair.
    own = set(type(section).model_fields) - set(RowsSection.model_fields)
    return _FIRST_RULE_OF_PLUGINS | own


def _sum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
