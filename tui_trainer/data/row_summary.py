"""`summarise`: the summary of the rows of a source.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tui_trainer.data.base.dataset import DataSummary, shares_text
from tui_trainer.data.sources.source import Source, Target
from tui_trainer.data.splits.position import SplitRows
from tui_trainer.data.tokenizers.tokenizer_choice import unit_of
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted

_MOST_CLASSES = 6
"""That many classes are named, those with the most rows first."""
_MOST_COLUMNS = 3
"""That many columns of a kind are named."""
_NOUNS = {
    "number": ("number", "numbers"),
    "category": ("category", "categories"),
    "boolean": ("yes or no", "yes or no"),
    "date": ("date", "dates"),
    "text": ("text", "texts"),
    "words": ("text as counts of its words", "texts as counts of their words"),
    "hash": ("category with many values", "categories with many values"),
}


def summarise(
    source: Source, inputs: Mapping[str, Any], parts: SplitRows, shape: Sequence[int]
) -> DataSummary:
    """Summarise the rows of a source.

    Args:
        source: the rows that are kept.
        inputs: what was fitted on them; by column if they are columns.
        parts: how they are split.
        shape: of a sample's inputs.
    """
    sizes = (len(parts.train), len(parts.val), len(parts.test))
    # Rows that came after a run began are in none of its splits.
    rows = np.concatenate([parts.train, parts.val, parts.test])
    target = replace(source.target, values=source.target.values[rows])
    return DataSummary(
        contents=source.contents,
        target=_target_text(target),
        inputs=_inputs_text(inputs) or _shape_text(source, inputs, shape),
        split=shares_text(sizes),
        sizes=sizes,
    )


def _target_text(target: Target) -> str:
    if target.masks is not None:
        shown = clean(", ".join(target.classes[:_MOST_CLASSES]), 80)
        rest = ", ..." if len(target.classes) > _MOST_CLASSES else ""
        count = counted(len(target.classes), "class", "classes")
        return f"one of {count} per pixel: {shown}{rest}"
    if target.classes:
        is_multilabel = target.values.ndim == 2
        counts = (
            target.values.sum(axis=0).astype(np.int64)
            if is_multilabel
            else np.bincount(target.values, minlength=len(target.classes))
        )
        noun, plural = ("label", "labels") if is_multilabel else ("class", "classes")
        order = np.argsort(-counts, kind="stable")[:_MOST_CLASSES].tolist()
        shown = ", ".join(
            f"{clean(target.classes[place], 40)} ({counts[place]:,})" for place in order
        )
        rest = ", ..." if len(target.classes) > _MOST_CLASSES else ""
        return f"{counted(len(target.classes), noun, plural)}: {shown}{rest}"
    numbers = target.values.reshape(len(target.values), -1)
    lowest, highest, mean = numbers.min(), numbers.max(), numbers[:, 0].mean()
    several = f"{numbers.shape[1]} numbers per row" if numbers.shape[1] > 1 else "numbers"
    average = "" if numbers.shape[1] > 1 else f", {_shown(mean)} on average"
    return f"{several} from {_shown(lowest)} to {_shown(highest)}{average}"


def _shown(number: float) -> str:
    """Write a number of a table in about four digits, but thousands in full."""
    return f"{number:,.0f}" if 1_000 <= abs(number) < 1e12 else f"{number:.4g}"


def _inputs_text(inputs: Mapping[str, Any]) -> str:
    """Return how many columns of each kind there are; empty if the inputs are no columns."""
    kinds: dict[str, list[str]] = {}
    for name, settings in inputs.items():
        if isinstance(settings, Mapping) and "kind" in settings:
            kinds.setdefault(settings["kind"], []).append(name)
    return ", ".join(
        f"{counted(len(names), *_NOUNS.get(kind, (kind,)))} ({_some_of(names)})"
        for kind, names in kinds.items()
    )


def _some_of(names: Sequence[str]) -> str:
    shown = clean(", ".join(names[:_MOST_COLUMNS]), 40)
    return f"{shown}, ..." if len(names) > _MOST_COLUMNS else shown


def _shape_text(source: Source, inputs: Mapping[str, Any], shape: Sequence[int]) -> str:
    size = "x".join(map(str, shape))
    return {
        "image": f"pictures of {size} (channels, height, width)",
        "sequence": f"sequences of {counted(shape[-1], 'channel')}, up to {shape[0]:,} steps",
        "tokens": f"texts of up to {counted(shape[0], unit_of(inputs.get('tokenizer')))}",
    }.get(source.kind, f"{size} numbers")
