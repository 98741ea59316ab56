"""The actions of the app and their keys: one table for bindings, footer, help, palette and keymap.

Layer: config, without Textual, so that `tui-trainer config` can check a keymap. Keys have Textual's
names; several are separated by commas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tui_trainer.text.clean import clean, suggest


@dataclass(frozen=True, slots=True)
class Action:
    """An action of the user. `id` names it in the keymap; `action_NAME` is its method."""

    id: str
    keys: str
    label: str
    """One or two words, for the footer."""
    text: str
    """A sentence without its full stop, for help and the palette."""
    in_footer: bool = True
    priority: bool = False
    """Whether it takes precedence over the focused widget, even a field that is being typed in."""
    does: str = ""
    """The name of the method, if it is that of another action, which has the same texts."""
    rank: int = 0
    """The order in which actions are dropped from a footer without room: highest first, 0 never."""

    @property
    def place(self) -> str:
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        return self.does or self.id.partition(".")[2]


ACTIONS: tuple[Action, ...] = (
    Action("app.help", "question_mark", "Help", "Show what the keys do here"),
    Action(
        "app.help_typing",
        "f1",
        "Help",
        "Show what the keys do here",
        priority=True,
        does="help",
    ),
    Action(
        "app.palette", "ctrl+p", "Palette", "Find any action by its name", priority=True, rank=20
    ),
    Action("app.quit", "q", "Quit", "Quit; asks first if a run is active"),
    Action(
        "app.quit_typing",
        "ctrl+q",
        "Quit",
        "Quit; asks first if a run is active",
        priority=True,
        does="quit",
    ),
    Action("app.interrupt", "ctrl+c", "Stop", "Stop or leave", in_footer=False, priority=True),
    Action(
        "app.suspend",
        "ctrl+z",
        "Shell",
        "Return to the shell until fg; training continues",
        in_footer=False,
        priority=True,
    ),
    Action("compose.start", "f5,ctrl+g", "Start", "Start this experiment", priority=True),
    Action("compose.save_preset", "ctrl+s", "Save", "Save as a preset of your own", priority=True),
    Action("compose.reset_field", "ctrl+r,r", "Reset", "Reset to the preset's value", rank=15),
    Action("compose.search", "slash", "Search", "Search in the presets or the fields"),
    # Takes precedence over a field, which would otherwise receive keys while the search opens.
    Action(
        "compose.search_typing",
        "f3",
        "Search",
        "Search in the presets or the fields",
        priority=True,
        does="search",
    ),
    Action("compose.end_search", "escape", "End", "End the search", in_footer=False),
    Action(
        "compose.copy_command",
        "y,ctrl+y",
        "Copy",
        "Copy the command line that does the same",
        rank=30,
    ),
    Action(
        "compose.next_pane", "f6", "Pane", "Go to the next pane", in_footer=False, priority=True
    ),
    Action(
        "compose.details",
        "d,f4",
        "Details",
        "Show the details of what is under the cursor",
        rank=25,
    ),
    Action("compose.data", "o,f7", "Data", "Choose a file or folder to train on", rank=12),
    Action("compose.runs", "ctrl+o,f2", "Runs", "List all runs", rank=15),
    Action("runs.open", "enter", "Open", "Open a run: watch and steer it, or see its results"),
    Action("runs.mark", "space", "Select", "Select for comparison, or unselect"),
    Action(
        "runs.filter", "slash,f3", "Filter", "Filter runs, such as lr<0.01 model=cnn state=ended"
    ),
    Action("runs.resume", "r", "Resume", "Resume a run that was interrupted", rank=5),
    Action("runs.fork", "f", "Fork...", "Start a new run from a checkpoint of this one", rank=8),
    Action(
        "runs.delete", "x,delete", "Delete...", "Delete a run that has ended; asks first", rank=15
    ),
    Action("runs.sort", "o", "Order", "Order by another column", rank=25),
    Action("runs.crosshair", "c", "Read", "Crosshair in the curves, or none", in_footer=False),
    Action("runs.earlier", "left,h", "Earlier", "Move the crosshair left", in_footer=False),
    Action("runs.later", "right,l", "Later", "Move the crosshair right", in_footer=False),
    Action("runs.unmark", "u", "Unselect", "Clear the selection", in_footer=False),
    Action("runs.cursor_down", "j", "Down", "Go down in the list", in_footer=False),
    Action("runs.cursor_up", "k", "Up", "Go up in the list", in_footer=False),
    Action("runs.back", "escape", "Back", "End the filter, or leave the list"),
    Action("run.runs", "ctrl+o,f2", "Runs", "List all runs; this one continues", rank=25),
    Action("run.pause", "p", "Pause", "Pause (saves first), or continue"),
    Action("run.offload", "P", "Off-load", "Pause and free the GPU's memory", in_footer=False),
    Action("run.stop", "s", "Stop...", "Stop: save, discard, or continue"),
    Action("run.save", "ctrl+s", "Save", "Write a checkpoint now", rank=5),
    Action("run.validate", "v", "Validate", "Validate now, for information only", rank=12),
    Action("run.edit", "e", "Edit", "Change a live setting"),
    Action("run.detach", "d", "Detach", "Leave the run training, and free the shell", rank=15),
    Action(
        "run.previews", "g", "Previews", "Show the newest previews of the recipe", in_footer=False
    ),
    Action("run.full_log", "l", "Log", "Show the whole log", in_footer=False),
    Action("run.search_log", "slash,f3", "Search", "Search in the log", in_footer=False),
    Action(
        "run.log_level",
        "i",
        "Levels",
        "All entries of the log, the important ones, or warnings and errors",
        in_footer=False,
    ),
    Action("run.back", "escape", "Back", "Close the log; at the end, results or plots"),
    Action("ending.resume", "r", "Train on", "Continue this run with more epochs"),
    Action("ending.again", "a", "Again", "Start it again as it was started, without later edits"),
    Action("ending.compose_from", "c", "Compose", "Compose from this run's experiment"),
    Action("ending.plots", "escape,tab", "Plots", "See the plots; escape returns"),
    Action("plot.smoothing", "S", "Smooth", "Cycle the smoothing", in_footer=False),
    Action("plot.log_axis", "y", "Log", "Logarithmic or linear axis", in_footer=False),
    Action("plot.x_axis", "x", "Axis", "Step, epoch or time", in_footer=False),
    Action("plot.window", "w", "Window", "The whole run, or the newest steps", in_footer=False),
    Action("plot.full_screen", "f", "Full", "One plot over the whole screen"),
    Action("plot.crosshair", "c", "Read", "Crosshair in all plots, or none", in_footer=False),
    Action("plot.outliers", "o", "Outliers", "Leave outliers out of the axis", in_footer=False),
    Action("plot.marks", "m", "Marks", "Mark all checkpoints, or only your own", in_footer=False),
    Action("panel.next", "tab", "Next plot", "Go to the next plot, then on", in_footer=False),
    Action("panel.previous", "shift+tab", "Previous", "Go to the previous plot", in_footer=False),
    Action("panel.earlier", "left,h", "Earlier", "Move the crosshair left", in_footer=False),
    Action("panel.later", "right,l", "Later", "Move the crosshair right", in_footer=False),
    Action(
        "panel.much_earlier",
        "shift+left,H",
        "Far left",
        "Move the crosshair far left",
        in_footer=False,
    ),
    Action(
        "panel.much_later",
        "shift+right,L",
        "Far right",
        "Move the crosshair far right",
        in_footer=False,
    ),
    Action("panel.end", "escape", "End", "End the crosshair or the whole screen", in_footer=False),
    Action("log.next_match", "n", "Next", "Go to the next match of the search", rank=10),
    Action(
        "log.previous_match", "N", "Previous", "Go to the previous match of the search", rank=10
    ),
    Action("log.older", "up,k", "Up", "Scroll up in the log", in_footer=False),
    Action("log.newer", "down,j", "Down", "Scroll down in the log", in_footer=False),
    Action("log.page_older", "pageup", "Page up", "Scroll up by a page", in_footer=False),
    Action("log.page_newer", "pagedown", "Page down", "Scroll down by a page", in_footer=False),
    Action("log.oldest", "home", "Oldest", "Go to the oldest entry", in_footer=False),
    Action("log.newest", "end", "Newest", "Follow the newest entry", in_footer=False),
    Action("list.select", "enter,space", "Choose", "Take the preset", in_footer=False),
    Action("list.cursor_down", "down,j", "Down", "Go down in the list", in_footer=False),
    Action("list.cursor_up", "up,k", "Up", "Go up in the list", in_footer=False),
    Action("form.next_field", "down,j", "Next", "Go to the next field", in_footer=False),
    Action("form.previous_field", "up,k", "Previous", "Go to the previous field", in_footer=False),
    Action("choice.next", "right,space,l", "Next", "Take the next choice", in_footer=False),
    Action("choice.previous", "left,h", "Previous", "Take the previous choice", in_footer=False),
    Action("choice.open", "enter", "Choices", "Show all choices", in_footer=False),
    Action("menu.cursor_down", "j", "Down", "Go down in the choices", in_footer=False),
    Action("menu.cursor_up", "k", "Up", "Go up in the choices", in_footer=False),
    Action("menu.close", "escape", "Close", "Keep the choice as it is", in_footer=False),
    Action("fold.turn", "enter,space,left,right", "More", "Show more or less", in_footer=False),
)

PLACES = {
    "compose": "Compose",
    "runs": "Runs",
    "run": "Run",
    "plot": "Plots",
    "panel": "In a plot",
    "log": "In the log",
    "ending": "At the end",
    "list": "In a list",
    "form": "In the fields",
    "choice": "In a field with choices",
    "menu": "In a list of choices",
    "fold": "On a line that unfolds",
    "app": "Everywhere",
}
"""The places of actions, each with its title in the help, in the order there."""


def actions_of(place: str) -> tuple[Action, ...]:
    """Return the actions of a place, in the order of the footer."""
    return tuple(action for action in ACTIONS if action.place == place)


# The user's keymap. Two actions that can be active on one screen must not share a key: the app
# would execute one of them and silently ignore the other.

SCREENS: tuple[frozenset[str], ...] = (
    frozenset({"app", "compose", "list"}),
    frozenset({"app", "compose", "form", "choice"}),
    frozenset({"app", "compose", "form", "fold"}),
    frozenset({"app", "menu"}),
    frozenset({"app", "run", "plot", "log"}),
    frozenset({"app", "runs"}),
    frozenset({"app", "ending"}),
    frozenset({"app", "panel"}),
)
"""Sets of places whose actions can be active together."""

NAMED = frozenset(
    {"space", "enter", "escape", "tab", "backspace", "insert", "delete", "home", "end"}
    | {"pageup", "pagedown", "left", "right", "up", "down"}
    | {f"f{number}" for number in range(1, 25)}
)
SIGNS = {"?": "question_mark", "/": "slash", "+": "plus", "-": "minus", ".": "full_stop"}
"""Characters that have a name as keys."""


def keys_in_force(keymap: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the keys of each action; those of a keymap replace those of the table."""
    return {
        action.id: tuple(map(_whole, keymap.get(action.id, action.keys).split(",")))
        for action in ACTIONS
    }


def keymap_problems(keymap: Mapping[str, str]) -> dict[str, str]:
    """Return the problems of a keymap, by action."""
    known = [action.id for action in ACTIONS]
    problems: dict[str, str] = {}
    for name, keys in keymap.items():
        if name not in known:
            hint = suggest(name, known) or "; tui-trainer config lists them"
            problems[name] = f"no action {clean(name, 40)!r}{hint}"
        else:
            wrong = [key for key in keys.split(",") if not _is_key(key.strip())]
            if wrong:
                problems[name] = (
                    f"no key {clean(wrong[0], 40)!r}; keys are a character, a name such as space, "
                    "f5 or left, or one of these after ctrl+, alt+ or shift+; several are "
                    "separated by ,"
                )
    if not problems:
        problems = _clashes(keymap)
    return problems


def _clashes(keymap: Mapping[str, str]) -> dict[str, str]:
    """Return keys that two actions of one screen share, by the action that the keymap changed."""
    in_force = keys_in_force(keymap)
    places = {action.id: action.place for action in ACTIONS}
    problems: dict[str, str] = {}
    for name in keymap:
        for other, keys in in_force.items():
            shared = set(in_force[name]) & set(keys)
            together = any({places[name], places[other]} <= screen for screen in SCREENS)
            if other != name and shared and together:
                key = sorted(shared)[0]
                problems[name] = f"{key} is also the key of {other}, on the same screen"
    return problems


def _whole(key: str) -> str:
    """Return a key's name in the form used in the table."""
    stripped = key.strip()
    return SIGNS.get(stripped, stripped)


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+") if key != "+" else [key]
    if len(set(modifiers)) != len(modifiers) or not {"ctrl", "alt", "shift"} >= set(modifiers):
        return False
    is_character = len(last) == 1 and last.isprintable() and last != ","
    return (
        is_character
        or last in NAMED
        or bool(re.fullmatch(r"[a-z]+(_[a-z]+)+|slash|plus|minus", last))
    )
