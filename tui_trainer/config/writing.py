"""Writing YAML so that the strict reader reads the same data back.

Layer: config. The reader follows YAML 1.2 and refuses aliases, so texts that it would take for
numbers (`1e3`, `08`) are quoted, and what occurs twice is written twice.
"""

from __future__ import annotations

from typing import Any

import yaml

from tui_trainer.config.scalars import CORE, read_plain


class _Writer(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(writer: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if isinstance(read_plain(text)[0], str) else "'"
    if not text.isprintable():
        style = '"'  # line breaks, U+0085 among them, change in every other style
    return writer.represent_scalar(CORE + "str", text, style=style)


_Writer.add_representer(str, _represent_text)


def to_yaml(data: dict[str, Any]) -> str:
    """Plain data as a YAML document, its keys in their order."""
    text: str = yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True)
    return text


def to_flow(value: Any) -> str:
    """A value on one line, in brackets, braces or quotes, so that it can stand in a flow list."""
    # In a list of one a text is written as it must be inside of lists.
    text: str = yaml.dump(
        [value],
        Dumper=_Writer,
        sort_keys=False,
        default_flow_style=True,
        allow_unicode=True,
        width=2**31,
    )
    return text.strip().removeprefix("[").removesuffix("]")
