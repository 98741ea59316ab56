"""The strict reader of YAML: plain data with the place of every key, and nothing else.

Layer: config. Scalars are read as YAML 1.2's core schema has them (`1e-3` is a number, `no` is a
text). Caps on size and depth are checked before anything is built, tags are never constructed.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tui_trainer.config.errors import BadInput, ConfigError, Problem
from tui_trainer.config.text import clean

MOST_BYTES = 1_000_000
MOST_DEPTH = 20
MOST_NODES = 100_000

Path_ = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_CORE = "tag:yaml.org,2002:"
_TAGS = {_CORE + name for name in ("str", "int", "float", "bool", "null", "map", "seq")}


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: data, and the 1-based (line, column) of each key and list item."""

    source: str
    data: dict[str, Any]
    places: Mapping[Path_, tuple[int, int]]

    def problem(self, path: Path_, message: str) -> Problem:
        """A problem at the place of a key, or of the nearest one above it."""
        key = ".".join(map(str, path))
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                line, column = self.places[path[:length]]
                return Problem(message, key, self.source, line, column)
        return Problem(message, key, self.source)


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        BadInput: there is no such file, or it cannot be opened.
        ConfigError: its content is refused, with every problem that was found.
    """
    source = clean(str(path))
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise BadInput(f"{source}: not a file")
        if facts.st_size > MOST_BYTES:
            raise _refused(source, f"{facts.st_size:,} bytes; a preset has at most {MOST_BYTES:,}")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{source}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise BadInput(f"{source}: {error}") from error
    return parse_document(_decoded(data, source), source)


def parse_document(text: str, source: str) -> Document:
    """Read a document from a text; `source` names it in problems. Raises ConfigError."""
    if len(text) > MOST_BYTES:
        raise _refused(source, f"{len(text):,} characters are too many")
    node = _composed(text, source)
    if node is None:
        raise _refused(source, "empty; expected a mapping such as 'training: {epochs: 10}'")
    builder = _Builder(source)
    data = builder.build(node, ())
    if not isinstance(node, yaml.MappingNode):
        what = "list" if isinstance(node, yaml.SequenceNode) else "single value"
        raise _refused(source, f"a {what} at the top; expected a mapping of 'key: value' lines", 1)
    if builder.problems:
        raise ConfigError(sorted(builder.problems, key=lambda p: (p.line or 0, p.column or 0)))
    return Document(source, data, builder.places)


def parse_value(text: str) -> Any:
    """The value of an override: flow lists and mappings and scalars; raises BadInput.

    Whatever does not begin like a list, a mapping or a quoted text is one scalar as it stands, so
    that `C:\\data` and `builtin:x.csv` need no quotes.
    """
    stripped = text.strip()
    if stripped[:1] in ("[", "{", '"', "'"):
        try:
            document = parse_document(f"value: {stripped}", "")
        except ConfigError as error:
            problem = error.problems[0]
            raise BadInput(f"{clean(stripped, 60)!r}: {problem.message}") from error
        if set(document.data) != {"value"}:
            raise BadInput(f"{clean(stripped, 60)!r}: not one value")
        return document.data["value"]
    value, wrong = _scalar(stripped)
    if wrong:
        raise BadInput(f"{clean(stripped, 60)!r}: {wrong}")
    return value


def _refused(source: str, message: str, line: int | None = None) -> ConfigError:
    return ConfigError([Problem(message, "", source, line)])


def _decoded(data: bytes, source: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _refused(source, "UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(source, f"not UTF-8 (byte {error.start}); save it as UTF-8", line) from error
    return text


def _composed(text: str, source: str) -> yaml.Node | None:
    """The tree of nodes, with its depth and size capped while the events come in."""
    try:
        _check_size(yaml.parse(text, Loader=_Loader), source)
        node = yaml.compose(text, Loader=_Loader)
        return node if isinstance(node, yaml.Node) else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        if error.problem and "'\\t'" in error.problem:
            message = "a tab where spaces are needed"
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        problem = Problem(clean(message, 200), "", source, line, column)
        raise ConfigError([problem]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character[:1])
        raise _refused(source, f"character U+{code:04X} is not allowed", line) from error


def _check_size(events: Iterator[yaml.Event], source: str) -> None:
    depth = nodes = 0
    documents = 0
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refused(source, "a second document; a preset is one", line)
        if isinstance(event, yaml.AliasEvent):
            raise _refused(source, "aliases (*name) are not allowed; write it out", line)
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if event.anchor is not None:
                raise _refused(source, "anchors (&name) are not allowed; write it out", line)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise _refused(source, f"nested deeper than {MOST_DEPTH} levels", line)
        if nodes > MOST_NODES:
            raise _refused(source, f"more than {MOST_NODES:,} values", line)


class _Loader(yaml.SafeLoader):
    """Composes nodes without resolving what a plain scalar means: `_scalar` does that."""


_Loader.yaml_implicit_resolvers = {}


class _Builder:
    """Plain data from nodes, collecting places and problems."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.places: dict[Path_, tuple[int, int]] = {}
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node, path: Path_) -> Any:
        if node.tag not in _TAGS:
            self._blame(node, path, f"the tag {clean(str(node.tag), 80)} is not allowed")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode) or node.style is not None:
            return node.value
        value, wrong = _scalar(node.value)
        if wrong:
            self._blame(node, path, wrong)
        return value

    def _item(self, node: yaml.Node, path: Path_) -> Any:
        self.places[path] = _place(node)
        return self.build(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            plain = isinstance(key_node, yaml.ScalarNode) and key_node.tag == _CORE + "str"
            if plain and key_node.style is None:
                plain = isinstance(_scalar(key)[0], str)
            if not plain or key == "<<":
                self._blame(key_node, path, f"the key {clean(str(key), 40)} is not a plain text")
                continue
            below = (*path, key)
            if key in built:
                first = self.places[below][0]
                self._blame(key_node, below, f"duplicate key, first in line {first}")
                continue
            self.places[below] = _place(key_node)
            built[key] = self.build(value_node, below)
        return built

    def _blame(self, node: yaml.Node, path: Path_, message: str) -> None:
        line, column = _place(node)
        key = clean(".".join(map(str, path)), 120)
        self.problems.append(Problem(message, key, self._source, line, column))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _scalar(text: str) -> tuple[Any, str]:
    """A plain scalar's value, and what is wrong with it, or nothing."""
    if text in _WORDS:
        return _WORDS[text], ""
    if _INT.fullmatch(text):
        if len(text) > 40:
            return None, "a number of too many digits"
        value = int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        return (value, "") if abs(value) < 2**63 else (None, "a number too large (2^63 and more)")
    if _FLOAT.fullmatch(text):
        number = float(text)
        return (number, "") if math.isfinite(number) else (None, "a number too large for a float")
    if match := _INF.fullmatch(text):
        return (-math.inf if match[1] == "-" else math.inf), ""
    return text, ""
