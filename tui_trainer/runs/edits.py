"""Live edits in edits.jsonl, one per line, which are on the disk before they take effect.

Layer: runs. The configuration of step n is config.yaml plus the edits at earlier steps: an edit at
step n is in force from step n + 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited
from tui_trainer.config.yaml.parser import MOST_BYTES
from tui_trainer.config.yaml.reader import Document, document_of
from tui_trainer.runs.bounds import is_count, is_plain, is_text
from tui_trainer.runs.commands import Scalar
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import cannot_write, write_atomically
from tui_trainer.runs.journal import append_durably, encode, read_records
from tui_trainer.runs.paths import read_file
from tui_trainer.runs.provenance import read_provenance, settings_facts, settings_in
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, TrainerError


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a live setting."""

    id: str
    apply_at_step: int
    key: str
    old: Scalar
    new: Scalar
    origin: str


def from_record(record: dict[str, Any]) -> Edit:
    """Return the edit in a line; BadInput if it is not one."""
    try:
        edit = Edit(**record)
    except TypeError as error:
        raise BadInput(f"edits.jsonl: not an edit: {error}") from error
    if not is_count(edit.apply_at_step) or not is_text(edit.key):
        raise BadInput("edits.jsonl: not an edit: apply_at_step is a number and key a text")
    if not is_plain([edit.id, edit.old, edit.new, edit.origin]):
        raise BadInput(f"edits.jsonl: not an edit of {clean(edit.key, 80)}: out of bounds")
    return edit


def record_edit(path: Path, edit: Edit) -> None:
    """Append an edit to edits.jsonl and wait until it is on the disk; raises CannotWrite."""
    try:
        append_durably(path, asdict(edit))
    except OSError as error:
        raise cannot_write(path, error) from error


def read_edits(path: Path) -> list[Edit]:
    """Return the edits in a file in the order of their steps; BadInput if a line is not an edit."""
    try:
        edits = [from_record(record) for _, record in read_records(path)]
    except FileNotFoundError:
        return []
    return sorted(edits, key=lambda edit: edit.apply_at_step)


def rewrite_edits(path: Path, edits: Sequence[Edit]) -> None:
    """Replace the file by these edits, atomically; raises CannotWrite."""
    write_atomically(path, encode([asdict(edit) for edit in edits]))


def in_force(experiment: Experiment, edits: Iterable[Edit]) -> Experiment:
    """Return the experiment after the edits, in their order; BadInput if one no longer fits."""
    for edit in edits:
        experiment = edited(experiment, edit.key, edit.new, is_new=False)
    return experiment


# The settings of a run: those in its config.yaml, with the edits made since. Nothing is validated,
# so that runs of other versions and with other plugins can be listed, filtered and compared.


def read_config_file(run: RunDirectory) -> Document:
    """Read the config.yaml of a run; raises ConfigError, or BadInput if it cannot be read."""
    data, source = _bytes_of(run)
    return document_of(data, source)


def config_bytes(run: RunDirectory) -> bytes:
    """Return the content of config.yaml; empty if it cannot be read."""
    try:
        return _bytes_of(run)[0]
    except BadInput:
        return b""


def _bytes_of(run: RunDirectory) -> tuple[bytes, str]:
    source = clean(str(run.config))
    try:
        return read_file(run.config, MOST_BYTES), source
    except OSError as error:
        raise BadInput(f"{source}: {(error.strerror or str(error)).lower()}") from error


def settings_of(run: RunDirectory) -> dict[str, Any]:
    """Return the settings by key, such as `optimizer.lr`; empty if they cannot be read.

    They come from provenance.json if they are there, because YAML is slow to read. The YAML is read
    for runs that an older version made, or whose config.yaml was changed by hand.
    """
    try:
        config, source = _bytes_of(run)
        settings = settings_in(read_provenance(run.provenance), config)
        if settings is None:
            settings = flat(document_of(config, source).data)
    except TrainerError:
        return {}
    try:
        settings.update({edit.key: edit.new for edit in read_edits(run.edits)})
    except (TrainerError, OSError):
        # The damaged file is reported where it matters, when the run is opened.
        return settings
    return settings


def facts_of_settings(run: RunDirectory) -> dict[str, Any]:
    """Return the settings in config.yaml as facts for provenance.json; none if it is unreadable."""
    try:
        config, source = _bytes_of(run)
        return settings_facts(flat(document_of(config, source).data), config)
    except TrainerError:
        return {}


def flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten `{"optimizer": {"lr": 1}}` into `{"optimizer.lr": 1}`.

    A list of mappings becomes keys with numbers, as those of its edits: `optimizer.groups.0.lr`.
    """
    settings: dict[str, Any] = {}
    for section, values in sections.items():
        if isinstance(values, Mapping):
            for name, value in values.items():
                settings.update(_flat_setting(f"{section}.{name}", value))
        else:
            settings[str(section)] = values
    return settings


def _flat_setting(key: str, value: Any) -> dict[str, Any]:
    """Return the settings in a value: itself, or those of its mappings if it is a list of such."""
    if not value or not isinstance(value, list | tuple):
        return {key: value}
    if not all(isinstance(item, Mapping) for item in value):
        return {key: value}
    return {
        f"{key}.{number}.{name}": setting
        for number, item in enumerate(value)
        for name, setting in item.items()
    }
