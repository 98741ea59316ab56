"""Fills a draft with the experiment that was proposed for a file, or for the data of a plugin.

Layer: ui. The experiment is in no file: the library of presets keeps it, with the words that name
it on a command line.
"""

from __future__ import annotations

import os

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.sessions.plugin_proposal import reference_of, words_for
from tui_trainer.sessions.proposal import Proposal


def take_file(draft: Draft, proposal: Proposal, target: str = "") -> None:
    """Start the draft over from what is made of a file or folder, for a target if one is named."""
    library, path = draft.library, proposal.path
    word = path if os.sep in path else f"./{path}"
    # A file may have the name of a preset.
    reference = os.path.abspath(path) if library.has("experiment", path) else path
    library.add_unwritten(reference, proposal.document, [word])
    draft.choose_experiment(reference)
    if target:
        draft.set("dataset.target", target)


def take_own(draft: Draft, proposal: Proposal) -> None:
    """Start the draft over from what is made for a plugin's data, whose settings are kept."""
    name = proposal.path
    typed = draft.overrides_of("dataset") if draft.own_type("dataset") == name else []
    kept = {override.key: draft.text(override.key) for override in typed}
    reference = reference_of(name)
    draft.library.add_unwritten(reference, proposal.document, words_for(name))
    draft.choose_experiment(reference)
    for key, text in kept.items():
        draft.set(key, text)
