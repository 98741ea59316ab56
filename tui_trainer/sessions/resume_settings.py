"""The settings that are given to a resume: which may change, and which become edits at its step.

Layer: sessions. `EditPlan` is decided before anything is written, and its `write` brings the file
of edits up to date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tui_trainer.config.experiment import SECTIONS, Experiment
from tui_trainer.config.overrides import (
    DATA_PLACE,
    Override,
    check_live,
    edited,
    overrides_of,
    with_value,
)
from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.runs.commands import new_id
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import Edit, in_force, read_edits, record_edit, rewrite_edits
from tui_trainer.text.errors import BadInput
from tui_trainer.text.shell import program_line

RUNTIME = (
    DATA_PLACE,
    "training.device",
    "training.threads",
    "training.cuda_graphs",
    "training.on_hangup",
    "training.preempt_signals",
    "training.preempt_exit_code",
    *(f"loader.{name}" for name in LoaderSection.model_fields),
)
"""Settings for where and how a run is executed: a resume may change them, and they are no edits."""


def live_overrides(
    run: RunDirectory, config: Experiment, overrides: Sequence[Override]
) -> tuple[Override, ...]:
    """Return the overrides with their full keys, each for a setting that may change in this run.

    Raises:
        BadInput: one is for a setting that cannot change, which says how a new run takes it; or its
            value is invalid.
    """
    complete = overrides_of(config, overrides)
    for override in complete:
        _check_can_change(run, config, override.key)
        with_value(config, override.key, override.value)
    return complete


def _check_can_change(run: RunDirectory, config: Experiment, key: str) -> None:
    """Raise BadInput unless a setting may change in this run."""
    if key in RUNTIME:
        return
    try:
        check_live(config, key)
    except BadInput as error:
        known = (*SECTIONS, *config.all_keys())
        if key not in known or key == "training.init_from":
            raise
        words = ("train", str(run.config), f"training.init_from={run.path}")
        new = f"{program_line(*words)} {key}=..."
        raise BadInput(f"{error}; start a new run from its weights to change it: {new}") from error


def with_runtime(experiment: Experiment, overrides: Sequence[Override]) -> Experiment:
    """Apply the overrides that say where and how the run is executed."""
    for override in overrides:
        if override.key in RUNTIME:
            experiment = with_value(experiment, override.key, override.value)
    return experiment


@dataclass(frozen=True, slots=True)
class EditPlan:
    """The edits of a resumed run, and how to record them in its file of edits."""

    kept: tuple[Edit, ...]
    """Recorded edits that stay."""
    new: tuple[Edit, ...]
    """Edits for the settings given to the resume itself."""
    superseded: tuple[Edit, ...]
    """Later edits of settings that were given to the resume; they are not repeated."""
    step: int
    drops_later: bool
    in_force: Experiment
    """The configuration after all edits."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits in the order of their steps; at the same step the new ones come last."""
        early = (edit for edit in self.kept if edit.apply_at_step <= self.step)
        later = (edit for edit in self.kept if edit.apply_at_step > self.step)
        return (*early, *self.new, *later)

    @property
    def notes(self) -> list[str]:
        """Notes for the user."""
        return [
            f"{edit.key} is set by this resume: its edit to {edit.new} at step "
            f"{edit.apply_at_step:,} is not repeated"
            for edit in self.superseded
        ]

    def write(self, run: RunDirectory) -> None:
        """Bring the run's file of edits up to date."""
        if self.drops_later or self.superseded:
            # Rewritten, or the next resume would bring the dropped edits back.
            rewrite_edits(run.edits, (*self.kept, *self.new))
        else:
            for edit in self.new:
                record_edit(run.edits, edit)


def plan_edits(
    run: RunDirectory,
    experiment: Experiment,
    overrides: Sequence[Override],
    step: int,
    *,
    drop_later: bool,
    origin: str = "resume",
) -> EditPlan:
    """Turn overrides of live settings into edits at `step`, and merge them with the recorded ones.

    `drop_later` leaves out the edits that were made after `step`.

    Raises:
        BadInput: an override is for a setting that is not live, or an edit no longer fits.
    """
    recorded = read_edits(run.edits)
    kept = [edit for edit in recorded if not drop_later or edit.apply_at_step <= step]
    made = [override for override in overrides if override.key not in RUNTIME]
    new = _as_edits(experiment, kept, made, step, origin)
    given = {edit.key for edit in new}
    superseded = [edit for edit in kept if edit.apply_at_step > step and edit.key in given]
    plan = EditPlan(
        kept=tuple(edit for edit in kept if edit not in superseded),
        new=tuple(new),
        superseded=tuple(superseded),
        step=step,
        drops_later=drop_later,
        in_force=experiment,
    )
    try:
        return replace(plan, in_force=in_force(experiment, plan.edits))
    except BadInput as error:
        # Better to fail now than when training reaches its step.
        hint = "--drop-edits leaves out the edits that come later"
        raise BadInput(f"an edit of this run no longer fits: {error}; {hint}") from error


def _as_edits(
    experiment: Experiment,
    edits: Sequence[Edit],
    overrides: Sequence[Override],
    step: int,
    origin: str,
) -> list[Edit]:
    """Turn the overrides of a resume into edits at the step of its checkpoint."""
    now = in_force(experiment, [edit for edit in edits if edit.apply_at_step <= step])
    made = []
    for override in overrides:
        changed = edited(now, override.key, override.value)
        old, new = now.get(override.key), changed.get(override.key)
        made.append(Edit(new_id(), step, override.key, old, new, origin))
        now = changed
    return made
