"""config.yaml of a run: the experiment in it, and its settings, with the edits made since.

Layer: runs. `settings_of` validates nothing, so that runs of other versions and with other plugins
can be listed, filtered and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.plugin_loader import missing_plugins
from tui_trainer.config.tree import Tree, places_of
from tui_trainer.config.yaml.parser import MOST_BYTES
from tui_trainer.config.yaml.reader import Document, document_of
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import read_edits
from tui_trainer.runs.files import write_atomically
from tui_trainer.runs.paths import read_file
from tui_trainer.runs.provenance import read_provenance, settings_facts, settings_in
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, TrainerError


class NeedsPlugin(BadInput):
    """A run was made with a plugin that is not loaded; the message names it."""


def read_config(run: RunDirectory) -> Experiment:
    """Read the configuration a run was started with; raises ConfigError if that fails."""
    document = read_config_file(run)
    tree = Tree(document.data, places_of(document.places, run.config))
    try:
        return resolve(tree, run.path.name, is_new=False)
    except ConfigError as error:
        if missing := missing_plugins(read_provenance(run.provenance)):
            words = " ".join(f"--plugin {clean(path)}" for path in missing)
            raise NeedsPlugin(f"{run.path.name} needs its own code: add {words}") from error
        raise


def write_config(run: RunDirectory, experiment: Experiment) -> dict[str, Any]:
    """Write the configuration of a run, and return it as facts for provenance.json.

    Raises:
        CannotWrite: the file is as it was.
    """
    settings = experiment.to_dict()
    config = to_yaml(settings).encode()
    write_atomically(run.config, config)
    return settings_facts(flat(settings), config)


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
