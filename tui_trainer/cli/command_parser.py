"""`Parser`: argparse with hints in its errors, and with examples below its help.

Layer: cli. An error is raised instead of printed: `main` prints it as it prints every other.
"""

from __future__ import annotations

import argparse
import shutil
from functools import cache, partial
from typing import Any, NoReturn

from tui_trainer.cli import hints
from tui_trainer.cli.examples import EXAMPLES, examples_of
from tui_trainer.text.clean import harmless
from tui_trainer.text.errors import BadInput


@cache
def _help_width() -> int:
    """Return the width that argparse would ask the system for at each argument."""
    return shutil.get_terminal_size().columns - 2


class Parser(argparse.ArgumentParser):
    """A parser that raises BadInput with a hint, and whose help ends with examples."""

    def __init__(self, prog: str, **options: Any) -> None:
        options["formatter_class"] = partial(
            argparse.RawDescriptionHelpFormatter, width=_help_width()
        )
        options["allow_abbrev"] = False
        super().__init__(prog, **options)
        self.epilog = examples_of(self.command)

    def explain(self, text: str) -> None:
        """Add a text to the help, before the examples."""
        self.epilog = f"{text}\n\n{self.epilog or ''}".rstrip()

    @property
    def takes_settings(self) -> bool:
        """Whether any setting may be given, not just the place of the data."""
        return any(argument.metavar == "KEY=VALUE" for argument in self.positionals)

    @property
    def command(self) -> str:
        """The words of the command, such as `presets list`; empty for the program itself."""
        return self.prog.partition(" ")[2]

    @property
    def options(self) -> list[str]:
        """The names of its options, with their dashes."""
        return list(self._option_string_actions)

    def option(self, name: str) -> argparse.Action | None:
        """Return the option of a name, or None."""
        return self._option_string_actions.get(name)

    @property
    def positionals(self) -> list[argparse.Action]:
        """The arguments that are no options, in their order."""
        return self._get_positional_actions()

    def error(self, message: str) -> NoReturn:
        """Raise BadInput; main prints it, and the exit status is 2."""
        text = harmless(hints.plainly(message, EXAMPLES[self.command][0]))
        raise BadInput(f"{self.command}: {text}" if self.command else text)
