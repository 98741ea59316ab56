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
    return writer.represent_scalar(CORE + "str", text, style=style)


_Writer.add_representer(str, _represent_text)


def to_yaml(data: dict[str, Any]) -> str:
    """Plain data as a YAML document, its keys in their order."""
    text: str = yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True)
    return text
