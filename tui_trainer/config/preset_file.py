"""An experiment preset written from a draft: the presets it names, and the differences from them.

Layer: config. The file is complete before it has its name, and it is never outside of its folder.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from tui_trainer.config.composition import Composition
from tui_trainer.config.datasets import NO_FILES
from tui_trainer.config.experiment import REGISTRIES, SECTIONS, Experiment
from tui_trainer.config.presets import KINDS
from tui_trainer.config.section import extra_of
from tui_trainer.config.writing import to_yaml
from tui_trainer.text.clean import clean, is_safe_name
from tui_trainer.text.errors import BadInput, CannotWrite


def write_preset(composition: Composition, name: str, folder: Path, *, replace: bool) -> Path:
    """Write FOLDER/experiments/NAME.yaml; BadInput and CannotWrite say why not."""
    experiment, problems = composition.result
    if experiment is None:
        key, message = next(iter(problems.items()))
        raise BadInput(f"not saved: {key}: {message}")
    if not is_safe_name(name):
        raise BadInput(
            f"not the name of a preset: {clean(name, 60)!r}; "
            "take letters, digits, '-', '_' and '.', and no '.' or '-' at the beginning"
        )
    target = folder / "experiments" / f"{name}.yaml"
    shown = clean(str(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if folder.resolve() not in target.parent.resolve().parents:
            raise BadInput(f"{shown}: leads out of {clean(str(folder))}")
        if os.path.lexists(target) and not replace:
            raise BadInput(f"{shown}: exists already; take another name")
        _write(target, to_yaml(preset_data(composition, experiment)))
    except OSError as error:
        raise CannotWrite(f"{shown}: {(error.strerror or str(error)).lower()}") from error
    return target


def _write(target: Path, text: str) -> None:
    """Write beside the target first, so that no reader meets half a file."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=target.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def preset_data(composition: Composition, experiment: Experiment) -> dict[str, Any]:
    """The plain data of the preset, without a name: that is the file's."""
    written = composition.document[0].data if composition.document is not None else {}
    data: dict[str, Any] = {}
    if experiment.description:
        data["description"] = experiment.description
    for section in SECTIONS:
        value = _section_data(composition, experiment, section, written.get(section))
        if value not in (None, {}):
            data[section] = value
    return data


def _section_data(
    composition: Composition, experiment: Experiment, section: str, written: Any
) -> Any:
    """A section as it is written: as in the file, or with what was chosen and typed."""
    resolved = experiment.to_dict()[section]
    edits = [key.partition(".")[2] for key in composition.changed if key.startswith(f"{section}.")]
    value = composition.chosen.get(section, written)
    if isinstance(value, str) and edits:
        value = {_names(composition, section, value): value}
    if "type" in edits:
        value = {"type": resolved["type"]}
    if edits or isinstance(value, dict):
        value = {**(value or {}), **{name: resolved[name] for name in edits}}
        for name, info in type(getattr(experiment, section)).model_fields.items():
            # It was relative to the file that it stood in.
            is_file = "path" in extra_of(info) and not str(resolved[name]).startswith(NO_FILES)
            if is_file and name in value:
                value[name] = resolved[name]
    return value


def _names(composition: Composition, section: str, name: str) -> str:
    """Whether a bare name is that of a preset or of a type, as `compose` decides it."""
    if section not in KINDS:
        return "type"
    is_type = REGISTRIES[section].find(name) and not composition.library.has(section, name)
    return "type" if is_type else "preset"
