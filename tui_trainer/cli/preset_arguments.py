"""The arguments of the commands on presets, plugins and the cache.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.cli.plugin_templates import KINDS
from tui_trainer.cli.shared_arguments import add_command, add_plugin, add_preset_dir

if TYPE_CHECKING:
    from tui_trainer.cli.shared_arguments import Commands


def add_plugin_commands(commands: Commands) -> None:
    plugin = commands.add_parser(
        "plugin",
        help="check a file with your own code, or start one",
        description="Check a file with your own code, or start one.",
    )
    actions = plugin.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = add_command(
        actions,
        "check",
        "prove that it trains, and that an interrupted and resumed run equals an uninterrupted one",
    )
    check.add_argument("file", type=Path, metavar="FILE", help="a Python file with your own code")
    check.add_argument(
        "overrides",
        nargs="*",
        metavar="[EXPERIMENT] KEY=VALUE",
        help="the experiment to check it with; default: the file's own data set and types",
    )
    check.add_argument(
        "--steps", type=int, default=6, metavar="N", help="steps of each training (default: 6)"
    )
    add_plugin(check)
    add_preset_dir(check)
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(action="plugin check")
    new = add_command(actions, "new", "write a file to start from, which passes the check")
    new.add_argument(
        "kind", choices=tuple(KINDS), metavar="|".join(KINDS), help="what the file adds"
    )
    new.add_argument("name", metavar="NAME", help="its name: lower-case letters, digits, _ and -")
    new.set_defaults(action="plugin new")


def add_cache(commands: Commands) -> None:
    cache = commands.add_parser(
        "cache",
        help="list or clear the cached tables and pictures",
        description="List or clear the cache of tables and pictures that take long to read.",
    )
    actions = cache.add_subparsers(title="commands", metavar="COMMAND", required=True)
    list_ = add_command(actions, "list", "list the data sets, and the files they come from")
    list_.add_argument("--json", action="store_true", help="print JSON")
    list_.set_defaults(action="cache list")
    clear = add_command(actions, "clear", "remove all of them; they are made again if needed")
    clear.set_defaults(action="cache clear")


def add_presets(commands: Commands) -> None:
    text = "list, show, check and copy presets"
    presets = commands.add_parser("presets", help=text, description=text)
    actions = presets.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = add_command(actions, "list", "list the presets")
    listing.add_argument("kind", nargs="?", help="experiment, dataset, model or optimizer")
    listing.add_argument("--json", action="store_true", help="print JSON")
    show = add_command(actions, "show", "print a preset; an experiment with all its settings")
    show.add_argument("name", help="NAME of an experiment, or KIND/NAME")
    validate = add_command(actions, "validate", "check experiment files, or all presets")
    validate.add_argument("files", nargs="*", help="experiment files; none: every preset")
    copy = add_command(actions, "copy", "copy a preset, to change the copy")
    copy.add_argument("name", help="NAME of an experiment, or KIND/NAME")
    copy.add_argument("target", nargs="?", type=Path, help="file or folder; default: ./presets")
    schema = add_command(actions, "schema", "print the JSON schema for editors")
    for parser in (listing, schema):
        add_plugin(parser)
    for parser in (listing, show, validate, copy, schema):
        add_preset_dir(parser)
        parser.set_defaults(action=f"presets {parser.get_default('action')}")
