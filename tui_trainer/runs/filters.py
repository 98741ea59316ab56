"""Filters lists of runs: `lr<0.01 model=cnn state=stopped`.

Layer: runs. A single word is a part of a name. A key is one of the list's own, a metric, or a
setting, in full or by its last part. If several settings match a key, one that fits is enough.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tui_trainer.config.setting_names import suggest_key
from tui_trainer.runs.index import STATES, RunSummary
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput

Settings = Callable[[RunSummary], Mapping[str, Any]]

_TERM = re.compile(r"([\w.\-/]+)\s*(<=|>=|!=|==|=|<|>|~)\s*(.*)", re.DOTALL)
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_AROUND = re.compile(r"\s*(<=|>=|!=|==|=|<|>|~)\s*")
_OWN = ("name", "state", "device", "host", "pid", "step", "epoch", "progress", "elapsed_s")
_SECTIONS = frozenset({"dataset", "problem", "model", "optimizer", "schedule", "loss"})


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; `compare` is one of `= != < <= > >= ~`, where `~` means "contains"."""

    key: str
    compare: str
    value: str

    @property
    def asks_settings(self) -> bool:
        return self.key not in _OWN


def parse_filter(text: str) -> list[Term]:
    """Return the conditions of a filter, all of which must hold; an empty text has none.

    Raises:
        BadInput: a condition has no value, compares the order of something other than numbers, or
            names an unknown state.
    """
    terms = []
    for word in _AROUND.sub(r"\1", text).split():
        matched = _TERM.fullmatch(word)
        term = Term("name", "~", word) if matched is None else _term(*matched.groups())
        _check(term, word)
        terms.append(term)
    return terms


def select(runs: Iterable[RunSummary], terms: Sequence[Term], read: Settings) -> list[RunSummary]:
    """Return the runs that meet every condition, in their order; `read` returns a run's settings.

    Settings are read only if a condition needs them.

    Raises:
        BadInput: no run has such a key.
    """
    kept = list(runs)
    for term in terms:
        seen: set[str] = set()
        candidates = [_candidates(run, term, read, seen) for run in kept]
        if kept and term.asks_settings and not any(candidates):
            hint = suggest_key(term.key, seen)
            raise BadInput(f"no run here has a setting or metric {clean(term.key, 40)!r}{hint}")
        kept = [run for run, own in zip(kept, candidates, strict=True) if _holds(term, own)]
    return kept


def _term(key: str, compare: str, value: str) -> Term:
    return Term(key.lower(), "=" if compare == "==" else compare, value)


def _check(term: Term, word: str) -> None:
    shown = clean(word, 60)
    if not term.value:
        raise BadInput(f"{shown}: a value is missing, as in {term.key}{term.compare}0.01")
    if term.compare in _ORDER and _number(term.value) is None:
        raise BadInput(f"{shown}: {clean(term.value, 40)!r} is not a number")
    known = (*STATES, "lost", "live", "ended")
    if term.key == "state" and term.compare in ("=", "!=") and term.value not in known:
        hint = suggest(term.value, known)
        raise BadInput(f"no state {clean(term.value, 40)!r}{hint}; available: {', '.join(known)}")


def _candidates(run: RunSummary, term: Term, read: Settings, seen: set[str]) -> list[Any]:
    """Return all values of a run that a key may mean, and add its other keys to `seen`."""
    key = term.key
    if key == "state":
        return [run.state, run.state.rstrip("?"), "live" if run.is_live else "ended"]
    if key == "name":
        return [run.name]
    if key == "progress":
        return [run.progress]
    if key in _OWN:
        return [run.to_dict().get(key)]
    metrics = metrics_of(run)
    settings = read(run)
    seen.update(metrics, (name.rpartition(".")[2] for name in settings))
    candidates = [metrics[key]] if key in metrics else []
    for name, value in settings.items():
        section, _, last = name.partition(".")
        is_kind = key == section and section in _SECTIONS and last == "type"
        if key in (name, last) or is_kind:
            candidates.append(value)
    return candidates


def metrics_of(run: RunSummary) -> dict[str, float]:
    """Return the metrics of the best validation, or else of the last one, and those of the test.

    Validation metrics are there as `NAME` and as `val.NAME`, test metrics as `test.NAME`.
    """
    if run.status is None:
        return {}
    scores = run.status.scores
    validation = scores.best or scores.validation
    metrics = {**validation, **{f"val.{name}": value for name, value in validation.items()}}
    return metrics | {f"test.{name}": value for name, value in (scores.test or {}).items()}


def _holds(term: Term, candidates: Sequence[Any]) -> bool:
    if term.compare == "!=":
        # None of the values may be equal. A run without the key does not match either.
        return bool(candidates) and not any(_equal(own, term.value) for own in candidates)
    return any(_fits(own, term) for own in candidates)


def _fits(own: Any, term: Term) -> bool:
    if term.compare == "~":
        return term.value.lower() in _text(own)
    if term.compare == "=":
        return _equal(own, term.value)
    wanted = _number(term.value)
    is_number = isinstance(own, (int, float)) and not isinstance(own, bool)
    return is_number and wanted is not None and _ORDER[term.compare](own, wanted)


def _equal(own: Any, text: str) -> bool:
    number = _number(text)
    if number is not None and isinstance(own, (int, float)) and not isinstance(own, bool):
        return own == number
    return _text(own) == text.lower().strip("[]").replace(" ", "")


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value).lower()


def _number(text: str) -> float | None:
    """Return the number in a text, where `98%` is 0.98; None if it is not a number."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text.replace(",", ""))
    except ValueError:
        return None
