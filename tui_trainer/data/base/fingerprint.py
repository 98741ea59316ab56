"""`Fingerprint`: tells whether data are those that a checkpoint was trained on.

Layer: data. It covers the raw data and the settings of the section, but never the path. Only
settings that differ from their defaults count, so that a setting added by a later version does not
change the fingerprint of old data. The first rule counted all settings; fingerprints it wrote are
still compared by that rule.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tui_trainer.config.sections.datasets import DatasetSection, RowsSection

_SECOND = "2-"
"""The prefix of a fingerprint by the second rule."""
_THIRD = "3-"
"""The prefix of a fingerprint by the third rule, which is for data of plugins: it covers the data
as they describe themselves, and the code of the plugins no more."""
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
"""The settings that each type had when the first rule was in use. Never change them."""
_NOT_DATA = {"path", "split_by", "split_from"}
"""Settings that may differ for the same data: a run has a record of its split."""
_WITH_TOKENIZER = {"text", "text_folders", "table", "tokens", "huggingface"}
"""The sum of such data covers the tokenizer, so that the place of its file does not matter."""
_HOW_READ = {"pictures": {"decode"}, **{kind: {"tokenizer"} for kind in _WITH_TOKENIZER}}
"""Settings of some types that do not change what is read."""
_WITH_TASK = frozenset(kind for kind, names in _FIRST_RULE.items() if "task" in names)
_FIRST_RULE_OF_PLUGINS = frozenset(f"{_BASE} stratify".split())


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprint of some data, by each rule that has been in use."""

    value: str
    """The one saved in checkpoints and provenance.json."""
    by_first_rule: str
    by_second_rule: str = ""
    """Only for data of plugins, which have a third rule."""

    def is_same(self, saved: object) -> bool:
        """Whether a fingerprint saved in a checkpoint, by either rule, is that of these data."""
        if isinstance(saved, str) and saved.startswith((_SECOND, _THIRD)):
            return saved in (self.value, self.by_second_rule)
        return saved == self.by_first_rule


def fingerprint_of(section: DatasetSection, sha256: str, problem: str = "auto") -> Fingerprint:
    """Return the fingerprint of raw data with this sha256, read with the settings of a section.

    `problem` is what the settings say of the problem: `auto`, or its name.
    """
    left_out = _NOT_DATA | _HOW_READ.get(section.type, set())
    everything = section.model_dump(mode="json", exclude=left_out)
    changed = section.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    if section.type in _WITH_TASK:
        # It was a setting of the data set, called so.
        everything["task"] = problem
        changed |= {} if problem == "auto" else {"task": problem}
    names = (_names_of_first_rule(section) & everything.keys()) - left_out
    first_rule_settings = {name: everything[name] for name in names}
    return Fingerprint(
        _SECOND + _sum([sha256, {**changed, "type": section.type}]),
        _sum([sha256, first_rule_settings]),
    )


def fingerprint_of_plugin(section: DatasetSection, data: str, data_and_code: str) -> Fingerprint:
    """Return the fingerprint of a plugin's data from two sums; older rules cover the code too."""
    old, new = fingerprint_of(section, data_and_code), fingerprint_of(section, data)
    return Fingerprint(_THIRD + new.value.removeprefix(_SECOND), old.by_first_rule, old.value)


def _names_of_first_rule(section: DatasetSection) -> frozenset[str]:
    if section.type in _FIRST_RULE:
        return _FIRST_RULE[section.type]
    # A plugin's own settings all count; only the plugin knows which ones change its data.
    own_settings = set(type(section).model_fields) - set(RowsSection.model_fields)
    return _FIRST_RULE_OF_PLUGINS | own_settings


def _sum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
