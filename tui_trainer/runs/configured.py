"""The settings of a run: those in its config.yaml, with the edits made since.

Layer: runs. Nothing is validated, so that runs of other versions and with other plugins can be
listed, filtered and compared like any other. A list takes the settings from provenance.json where
they are there, and reads the YAML only of runs that an older program made or somebody edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui_trainer.config.yaml.parser import MOST_BYTES
from tui_trainer.config.yaml.reader import Document, document_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import read_edits
from tui_trainer.runs.folder import read_file
from tui_trainer.runs.provenance import read_provenance, settings_facts, settings_in
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, TrainerError


def read_config_file(run: RunDirectory) -> Document:
    """The config.yaml of a run; raises ConfigError, and BadInput where it cannot be read."""
    data, source = _bytes_of(run)
    return document_of(data, source)


def config_bytes(run: RunDirectory) -> bytes:
    """The content of config.yaml; empty where it cannot be read."""
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
    """The settings by key, as `optimizer.lr`; empty where the file cannot be read."""
    try:
        config, source = _bytes_of(run)
        found = settings_in(read_provenance(run.provenance), config)
        if found is None:
            found = flat(document_of(config, source).data)
    except TrainerError:
        return {}
    try:
        found.update({edit.key: edit.new for edit in read_edits(run.edits)})
    except (TrainerError, OSError):
        # The damaged file is told of where it matters, when the run is opened.
        return found
    return found


def facts_of_settings(run: RunDirectory) -> dict[str, Any]:
    """Return the settings in config.yaml as facts for provenance.json; none if it is unreadable."""
    try:
        config, source = _bytes_of(run)
        return settings_facts(flat(document_of(config, source).data), config)
    except TrainerError:
        return {}


def flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    """`{"optimizer": {"lr": 1}}` as `{"optimizer.lr": 1}`."""
    found: dict[str, Any] = {}
    for section, values in sections.items():
        if isinstance(values, Mapping):
            found.update({f"{section}.{name}": value for name, value in values.items()})
        else:
            found[str(section)] = values
    return found
