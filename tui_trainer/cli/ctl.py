"""`tui-trainer ctl`: puts a command into a run's mailbox and prints the answers.

Layer: cli. "Received" means that the run has seen the command, which it may still refuse;
"applied", that it took effect at a step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from tui_trainer.cli import argument_values
from tui_trainer.config.setting_names import full_key
from tui_trainer.config.yaml.reader import parse_value
from tui_trainer.runs.commands import COMMANDS, Command, Set, name_of, new_id, origin_of
from tui_trainer.runs.config_file import settings_of
from tui_trainer.runs.directory import RunDirectory, list_command
from tui_trainer.runs.events import ENDED_STATES, CommandAccepted, CommandApplied
from tui_trainer.runs.mailbox import send, wait_for
from tui_trainer.runs.outcome import way_on
from tui_trainer.runs.paths import size_of
from tui_trainer.runs.status import conclude, read_status
from tui_trainer.sessions.run_reader import read_run
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.console import ask, print_error, print_json, print_line
from tui_trainer.text.errors import BadInput, ExitCode

ACCEPTED_S = 5.0
ASK_S = 0.5


def ctl(arguments: argparse.Namespace) -> int:
    """Send the command that the arguments name to a run."""
    return control(
        argument_values.find_run(arguments),
        arguments.command,
        arguments.overrides,
        flags=arguments.flags,
        timeout_s=arguments.timeout,
        as_json=arguments.json,
    )


def control(
    run: RunDirectory,
    word: str,
    settings: Sequence[str],
    *,
    flags: Collection[str] = (),
    timeout_s: float = 30.0,
    as_json: bool = False,
    confirm: Callable[[str], bool] = ask,
) -> int:
    """Send one command, or one `set` per setting, and wait for the answers.

    `flags` are the names of the flags that were given, without dashes. `confirm` asks the user
    whether to force what the run has refused.
    """
    if not timeout_s >= 0:
        raise BadInput(f"--timeout: should be at least 0 seconds (got {timeout_s:g})")
    commands = _commands(word, settings, flags)
    _check_alive(run)
    commands = [_with_full_key(command, run) for command in commands]
    code = ExitCode.OK
    for command in commands:
        done = _send(run, command, timeout_s, as_json=as_json)
        if done is not None and done.can_force and not as_json:
            question = f"{_shown(command)}: {clean(done.refused)}. Do it anyway?"
            if confirm(question):
                done = _send(run, _forced(command), timeout_s, as_json=as_json)
        code = max(code, _tell(command, done, timeout_s, as_json=as_json))
    return code


def _send(
    run: RunDirectory, command: Command, timeout_s: float, *, as_json: bool
) -> CommandApplied | None:
    """Send a command and return its answer; None if it is received but not applied in time."""
    offset = size_of(run.events)
    send(run.control, command)
    _await_acceptance(run, command, offset)
    if not as_json:
        print_line(f"{_shown(command)}: received")
    return wait_for(run, command.id, CommandApplied, offset, timeout_s)


def _forced(command: Command) -> Command:
    """Return a command of its own that asks for the same without being refused."""
    return replace(command, id=new_id(), force=True) if isinstance(command, Set) else command


def _shown(command: Command) -> str:
    name = name_of(command)
    return f"{name} {clean(command.key, 80)}" if isinstance(command, Set) else name


def _await_acceptance(run: RunDirectory, command: Command, offset: int) -> None:
    until_s = time.monotonic() + ACCEPTED_S
    while time.monotonic() < until_s:
        if wait_for(run, command.id, CommandAccepted, offset, ASK_S):
            return
        status = read_status(run.status)
        state = conclude(run, status) if status is not None else ""
        if state in ENDED_STATES:
            # The run writes its acceptances before its last status, so one more look is enough.
            if wait_for(run, command.id, CommandAccepted, offset, 0.0):
                return
            raise BadInput(
                f"{run.path.name} is {state}: it ended before it saw the command; "
                f"{_way_on(run, state)}"
            )
    raise BadInput(
        f"{run.path.name} did not answer within {ACCEPTED_S:g} s; the command stays in its "
        f"mailbox and may still be accepted; {list_command(run.path.parent)} shows whether the run "
        "is alive"
    )


def _tell(
    command: Command, done: CommandApplied | None, timeout_s: float, *, as_json: bool
) -> ExitCode:
    what = _shown(command)
    refused = clean(done.refused) if done else ""
    if as_json:
        applied = done is not None and not refused
        step = done.step if done else None
        line = {"command": name_of(command), "applied": applied, "step": step, "refused": refused}
        of_key = {"key": clean(command.key, 80)} if isinstance(command, Set) else {}
        of_force = {"can_force": True} if done is not None and done.can_force else {}
        print_json({**line, **of_key, **of_force})
    elif done is None:
        print_line(
            f"{what}: not applied yet after {timeout_s:g} s; it takes effect between two steps"
        )
    elif not refused:
        print_line(f"{what}: applied at step {done.step:,}")
    if refused:
        how = "; --force does it anyway" if done is not None and done.can_force else ""
        print_error(f"tui-trainer: {what}: refused: {refused}{how}")
        return ExitCode.BAD_INPUT
    return ExitCode.OK


def _commands(word: str, settings: Sequence[str], flags: Collection[str]) -> list[Command]:
    if word not in COMMANDS:
        raise BadInput(
            f"no command {clean(word, 40)!r}{suggest(word, COMMANDS)}; available: "
            f"{', '.join(COMMANDS)}"
        )
    kind = COMMANDS[word]
    for other in COMMANDS.values():
        for flag in other.flags:
            if flag.name in flags and other is not kind:
                raise BadInput(f"--{flag.name} belongs to {other.word}; {word} has no such option")
    values: dict[str, Any] = {flag.field: flag.value for flag in kind.flags if flag.name in flags}
    values["origin"] = origin_of("ctl")
    if kind is Set:
        if not settings:
            raise BadInput("set: expected KEY=VALUE, as in: ctl RUN set optimizer.lr=3e-4")
        return [_setting(setting, values) for setting in settings]
    if settings:
        raise BadInput(f"{word} takes no settings")
    return [kind(**values)]


def _setting(setting: str, values: dict[str, Any]) -> Set:
    key, equals, text = setting.partition("=")
    shown = clean(setting, 80)
    if not equals:
        raise BadInput(f"set: expected KEY=VALUE, as in: optimizer.lr=3e-4 (got {shown!r})")
    value = parse_value(text)
    if isinstance(value, list | dict):
        raise BadInput(
            f"set: {shown}: a list cannot be set while a run trains; set one setting in it, as in: "
            "optimizer.groups.0.lr=1e-4"
        )
    return Set(key=key, value=value, **values)


def _with_full_key(command: Command, run: RunDirectory) -> Command:
    """Return a `set` with the full key of the setting that its key means; raises BadInput."""
    keys = settings_of(run) if isinstance(command, Set) and "." not in command.key else ()
    if not isinstance(command, Set) or not keys:
        return command
    try:
        return replace(command, key=full_key(command.key, keys))
    except BadInput as error:
        raise BadInput(f"set: {clean(command.key, 80)}: {error}") from error


def _check_alive(run: RunDirectory) -> None:
    status = read_status(run.status)
    state = conclude(run, status) if status else "not started"
    if state == "suspended" and status is not None:
        raise BadInput(
            f"{run.path.name} is suspended: a signal has stopped process {status.process.pid}; "
            f"kill -CONT {status.process.pid} continues it"
        )
    if status is None or state in ENDED_STATES:
        raise BadInput(
            f"{run.path.name} is {state}, so there is nothing to steer; {_way_on(run, state)}"
        )


def _way_on(run: RunDirectory, state: str) -> str:
    """Return the command that goes on with a run that is not alive, and what it does."""
    tracked = read_run(run).tracked
    return way_on(run, tracked.view, state, tracked.experiment)
