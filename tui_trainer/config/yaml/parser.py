"""`parse_yaml`: builds plain data from the events of PyYAML's parser, and collects all problems.

Layer: config. Only PyYAML's reader, scanner and parser are used, so no tag can reach a constructor.
The limits are enforced while events arrive, so that a YAML bomb is refused before it is expanded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from tui_trainer.config.yaml.scalars import (
    CORE,
    has_scalar_tag,
    read_plain,
    read_quoted,
    read_tagged,
)
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import Problem

MOST_BYTES = 1_000_000
MOST_DEPTH = 20
MOST_NODES = 50_000
MOST_PROBLEMS = 50

KeyPath = tuple[str | int, ...]

# A pattern of the parser's message, our message, and whether to report the place where the
# construct began rather than where the parser stopped.
_PLAIN_WORDS: tuple[tuple[str, str, bool], ...] = (
    (r"character '\t'", "a tab; indent and separate with spaces", False),
    ("that cannot start any token", "a text cannot begin with this character; quote it", False),
    ("values are not allowed here", "a ':' out of place; check the indentation, or quote", False),
    ("entries are not allowed here", "a list cannot begin here; give '- ' its own line", False),
    ("expected ':'", "expected 'key: value', with a space after the ':'", True),
    ("a quoted scalar found unexpected", "this quote is never closed", True),
    ("expected ',' or ']'", "this '[' is not closed by ']', or a ',' is missing after it", True),
    ("expected ',' or '}'", "this '{' is not closed by '}', or a ',' is missing after it", True),
    ("a double-quoted scalar", "not an escape of YAML; for a \\ use single quotes", False),
    ("expected <block end>", "does not fit here; check indentation, brackets and quotes", False),
    ("expected '<document start>'", "does not fit here; check brackets and quotes", False),
    ("expected the node content", "a value is missing here; check the brackets", False),
    ("scanning an a", "a text cannot begin with & or *; quote it", True),
    (" tag", "tags (!name) are not allowed; leave it out, or quote the text", False),
)


@dataclass(frozen=True, slots=True)
class ParsedYaml:
    """Data (None if the text is empty), 1-based places of keys and items, and problems."""

    data: Any
    places: dict[KeyPath, tuple[int, int]]
    problems: tuple[Problem, ...]


def parse_yaml(text: str, source: str) -> ParsedYaml:
    """Parse a text of YAML into plain data; problems are in the order of lines, at most 51.

    A syntax error or an exceeded limit ends the parsing, and is reported as a problem too.
    """
    if unreadable := unreadable_text(text, source):
        return ParsedYaml(None, {}, (unreadable,))
    builder = _Builder(_Events(text), source)
    data = builder.document()
    ordered = sorted(builder.problems, key=lambda problem: (problem.line or 0, problem.column or 0))
    return ParsedYaml(data, builder.places, tuple(ordered))


def unreadable_text(text: str, source: str) -> Problem | None:
    """Return the problem of a text that cannot be scanned: its length, or a control character."""
    if len(text) > MOST_BYTES:
        return Problem(f"{len(text):,} characters; at most {MOST_BYTES:,} are read", "", source)
    found = Reader.NON_PRINTABLE.search(text)
    if found is None:
        return None
    line, column = place_after(text[: found.start()])
    message = f"the character U+{ord(found[0]):04X} is not allowed; remove it"
    return Problem(message, "", source, line, column)


def place_after(text: str) -> tuple[int, int]:
    """Return the 1-based line and column of the position after a text."""
    lines = re.split(r"\r\n|\r|\n", text)
    return len(lines), len(lines[-1]) + 1


def shown_key(path: KeyPath) -> str:
    """Return a path of keys as it is shown to the user."""
    return clean(".".join(map(str, path)), 120)


class _TooMuch(yaml.MarkedYAMLError):
    """A limit was exceeded; its message is in plain words already."""


class _Events(Reader, Scanner, Parser):
    """PyYAML's parser for a text, with a limit on the depth of flow collections."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        # The scanner looks up to 1024 characters ahead for a key, so checking the depth of events
        # would be too late.
        if self.flow_level >= MOST_DEPTH:
            raise _too_deep(self.get_mark())
        super().fetch_flow_collection_start(token_class)

    def upcoming(self) -> Any:
        """Return the next event without consuming it."""
        return self.peek_event()  # type: ignore[no-untyped-call]

    def take(self) -> Any:
        """Consume and return the next event."""
        return self.get_event()  # type: ignore[no-untyped-call]


class _Builder:
    """Builds one document by recursion of limited depth."""

    def __init__(self, events: _Events, source: str) -> None:
        self._events = events
        self._source = source
        self._nodes = 0
        self.places: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[Problem] = []

    def document(self) -> Any:
        """Build the whole text as one value."""
        try:
            return self._only_document()
        except yaml.MarkedYAMLError as error:
            message, mark = _in_plain_words(error)
        except (ValueError, OverflowError):
            # PyYAML converts the digits of escapes and of %YAML without checking their range.
            message, mark = "a number out of range in an escape", self._events.get_mark()
        self.problems.append(self._problem(mark, (), message))
        return None

    def _only_document(self) -> Any:
        events = self._events
        events.take()
        if events.check_event(yaml.StreamEndEvent):
            return None
        events.take()
        value = self._value((), 0)
        events.take()
        if not events.check_event(yaml.StreamEndEvent):
            mark = events.upcoming().start_mark
            self._blame(mark, (), "a second document begins; a file can hold only one")
        return value

    def _value(self, path: KeyPath, depth: int) -> Any:
        event = self._next_node(path)
        if isinstance(event, yaml.AliasEvent):
            return None
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, CORE + ("map" if is_mapping else "seq")):
            self._blame_tag(event, path)
        if depth >= MOST_DEPTH:
            raise _too_deep(event.start_mark)
        if is_mapping:
            return self._mapping(path, depth + 1, flow=bool(event.flow_style))
        return self._sequence(path, depth + 1)

    def _sequence(self, path: KeyPath, depth: int) -> list[Any]:
        built: list[Any] = []
        while not self._events.check_event(yaml.SequenceEndEvent):
            below = (*path, len(built))
            self.places[below] = _place(self._events.upcoming().start_mark)
            built.append(self._value(below, depth))
        self._events.take()
        return built

    def _mapping(self, path: KeyPath, depth: int, *, flow: bool) -> dict[str, Any]:
        built: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while not self._events.check_event(yaml.MappingEndEvent):
            event = self._events.upcoming()
            key = self._key(path, depth)
            below = path if key is None else (*path, key)
            if key in lines:
                message = f"duplicate key, first in line {lines[key]}"
                self._blame(event.start_mark, below, message)
            elif key is not None:
                self.places[below] = _place(event.start_mark)
                lines[key] = self.places[below][0]
            if flow and key and ":" in key and not event.style and self._nothing_follows():
                self._blame(event.start_mark, below, "a space is missing after the ':'")
            value = self._value(below, depth)
            if key is not None:
                built.setdefault(key, value)
        self._events.take()
        return built

    def _nothing_follows(self) -> bool:
        event = self._events.upcoming()
        return isinstance(event, yaml.ScalarEvent) and not event.value and not event.style

    def _key(self, path: KeyPath, depth: int) -> str | None:
        """Return the key, or None after reporting a problem."""
        if not self._events.check_event(yaml.ScalarEvent):
            if not self._events.check_event(yaml.AliasEvent):
                mark = self._events.upcoming().start_mark
                self._blame(mark, path, "a key should be a text, not a list or a mapping")
            self._value(path, depth)
            return None
        event = self._next_node(path)
        key = str(event.value)
        is_plain = not event.style and event.tag is None
        _, wrong = read_quoted(key)
        if event.tag not in (None, CORE + "str"):
            self._blame_tag(event, path)
        elif is_plain and key == "<<":
            self._blame(event.start_mark, path, "merge keys (<<) are not allowed; write it out")
        elif is_plain and not isinstance(read_plain(key)[0], str):
            message = f"the key '{clean(key, 40)}' is not read as a text; put it in quotes"
            self._blame(event.start_mark, path, message)
        elif wrong:
            self._blame(event.start_mark, path, f"the key is {wrong}")
        else:
            return key
        return None

    def _scalar(self, event: Any, path: KeyPath) -> Any:
        if event.tag is None:
            value, wrong = (read_quoted if event.style else read_plain)(event.value)
        elif has_scalar_tag(event.tag):
            value, wrong = read_tagged(event.tag, event.value)
        else:
            self._blame_tag(event, path)
            return None
        if wrong:
            self._blame(event.start_mark, path, wrong)
        return value

    def _next_node(self, path: KeyPath) -> Any:
        """Consume the event that begins a node, and count it; aliases and anchors are refused."""
        event = self._events.take()
        self._nodes += 1
        if self._nodes > MOST_NODES:
            words = f"more than {MOST_NODES:,} keys and values"
            raise _TooMuch(problem=words, problem_mark=event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            message = "aliases (*name) are not allowed; write it out, or quote the text"
            self._blame(event.start_mark, path, message)
        elif event.anchor is not None:
            self._blame(event.start_mark, path, "anchors (&name) are not allowed; leave it out")
        return event

    def _blame_tag(self, event: Any, path: KeyPath) -> None:
        shown = clean(event.tag.replace(CORE, "!!", 1), 80)
        message = f"the tag {shown} is not allowed here; leave it out, or quote the text"
        self._blame(event.start_mark, path, message)

    def _blame(self, mark: Any, path: KeyPath, message: str) -> None:
        self.problems.append(self._problem(mark, path, message))
        if len(self.problems) >= MOST_PROBLEMS:
            raise _TooMuch(problem="too many problems; the rest was not read", problem_mark=mark)

    def _problem(self, mark: Any, path: KeyPath, message: str) -> Problem:
        return Problem(message, shown_key(path), self._source, *_place(mark))


def _too_deep(mark: Any) -> _TooMuch:
    return _TooMuch(problem=f"nested deeper than {MOST_DEPTH} levels", problem_mark=mark)


def _place(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _in_plain_words(error: yaml.MarkedYAMLError) -> tuple[str, Any]:
    """Translate an error of the parser, and return it with its place."""
    said = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    if isinstance(error, _TooMuch):
        return said, mark
    for pattern, words, is_where_it_began in _PLAIN_WORDS:
        if pattern in said:
            return words, error.context_mark or mark if is_where_it_began else mark
    return f"not YAML: {clean(said, 200)}", mark
