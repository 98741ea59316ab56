"""`tui-trainer plugin`: proves that the code of a plugin can be trained exactly, and writes starts.

Layer: cli.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tui_trainer.cli import argument_values
from tui_trainer.cli.plugin_templates import KINDS, template
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.own_types import types_of_files
from tui_trainer.config.plugin_loader import load_plugins
from tui_trainer.text.clean import clean
from tui_trainer.text.console import print_json, print_line
from tui_trainer.text.errors import BadInput, CannotWrite, ExitCode


def check(arguments: argparse.Namespace) -> int:
    """Print what a plugin registers, and what was proved of it; 1 if something does not hold."""
    from tui_trainer.sessions.plugin_check import experiment_for, proofs

    load_plugins([arguments.file, *arguments.plugin])
    types = types_of_files()
    words = list(arguments.overrides)
    name = words.pop(0) if words and "=" not in words[0] else ""
    experiment = experiment_for(
        types, name, argument_values.library(arguments), parse_overrides(words)
    )
    if not arguments.json:
        for one in types:
            text = f"  {one.description}" if one.description else ""
            print_line(f"{one.kind} {one.name}  {clean(one.origin, 200)}{clean(text, 200)}")
    if experiment is None:
        raise BadInput(
            f"{clean(str(arguments.file), 200)} registers no data set, or several; name an "
            "experiment to check it with, as in: tui-trainer plugin check FILE digits-mlp loss=NAME"
        )
    found: list[dict[str, Any]] = []
    for proof in proofs(experiment, arguments.steps):
        found.append(asdict(proof))
        if not arguments.json:
            sign = "ok   " if proof.holds else "WRONG"
            print_line(f"{sign}  {clean(proof.name, 80)}: {clean(proof.text, 600)}")
    holds = all(one["holds"] for one in found)
    if arguments.json:
        print_json({"registered": [asdict(one) for one in types], "proofs": found, "ok": holds})
    return ExitCode.OK if holds else ExitCode.FAILED


def new(arguments: argparse.Namespace) -> int:
    """Write a file to start a plugin from."""
    kind, name = arguments.kind, arguments.name
    text = template(kind, name)
    path = Path(f"{name.replace('-', '_')}.py")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadInput(f"{path}: exists already; use another name, or remove it") from None
    except OSError as error:
        raise CannotWrite(f"{path}: {(error.strerror or str(error)).lower()}") from error
    experiment = f" {KINDS[kind].format(name=name)}".rstrip()
    print_line(f"{path}: a {kind} to start from; tui-trainer plugin check {path}{experiment}")
    return ExitCode.OK
