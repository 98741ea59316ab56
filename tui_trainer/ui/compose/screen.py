"""`ComposeScreen`: choose presets, change settings, preview the experiment, start it.

Layer: ui. The draft holds the state: lists, form, summary and command line show it, and every
change goes through it. Nothing is measured while another screen is in front, so that a training run
is not slowed down.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize, ScreenResume
from textual.message import Message
from textual.screen import Screen

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.drafts.export import StartOptions
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.runs.directory import is_default
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.compose.bars import DraftLine, LaunchBar, changes_of, prompted
from tui_trainer.ui.compose.details import DetailsScreen, everything_text
from tui_trainer.ui.compose.facts import free_text
from tui_trainer.ui.compose.form import Form
from tui_trainer.ui.compose.obstacle import Obstacle, obstacle_of, problems_of
from tui_trainer.ui.compose.panes import enter, enter_next
from tui_trainer.ui.compose.preset_list import PresetPane
from tui_trainer.ui.compose.schedule import ScheduleSketch
from tui_trainer.ui.compose.search import Search
from tui_trainer.ui.compose.shelf import PresetShelf
from tui_trainer.ui.compose.style import COMPOSE_CSS, HEIGHTS, WIDTHS, rows_of_form, size_classes
from tui_trainer.ui.compose.summary import Summary
from tui_trainer.ui.shared.bindings import bindings_of
from tui_trainer.ui.shared.key_line import KeyLine
from tui_trainer.ui.shared.lines import Heading
from tui_trainer.ui.shared.search_bar import SearchBar
from tui_trainer.ui.shared.services import Services
from tui_trainer.ui.terminal.clipboard import copy

if TYPE_CHECKING:
    from tui_trainer.sessions.proposal import Proposal
    from tui_trainer.ui.compose.data_picker import Picked

TITLE = "tui-trainer · compose"
LATEST_S = 1.0
"""The screen is painted by then, should Textual have told it no size."""
Severity = Literal["information", "warning", "error"]


class ComposeScreen(Screen[None]):
    """The screen on which an experiment is composed and started."""

    ABOUT = (
        "Choose an experiment, or a dataset, a model and an optimizer: arrows or j and k move, "
        "enter chooses, tab goes forward and shift+tab back. Change settings in the fields below, "
        "and start. While typing, ^u deletes everything before the cursor, ^k everything after it."
    )
    AUTO_FOCUS = "#experiment"
    PARTS: ClassVar[tuple[str, ...]] = ("list", "form", "choice", "fold")
    """Parts of the screen whose keys the help lists, wherever the focus is."""
    BINDINGS = bindings_of("compose")
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    DEFAULT_CSS = COMPOSE_CSS

    class Runs(Message):
        """Posted to show the list of runs."""

    @dataclass
    class Launch(Message):
        """Posted to train this experiment; an empty name stands for the experiment's own."""

        experiment: Experiment
        name: str

    def __init__(self, services: Services, draft: Draft, name: str = "") -> None:
        """Make the screen; `name` is the name of the run, as far as it is known already."""
        super().__init__()
        self._services = services
        self._name_at_first = name
        self.draft = draft
        self._is_launching = False
        self._is_styled = False
        self._knows_sizes = False
        self._reading = ""
        """The data set of a plugin for which an experiment is being made."""

    def compose(self) -> ComposeResult:
        # Before there are widgets, because their styles would be computed a second time.
        self.add_class(*size_classes(*self.app.size), update=False)
        yield Heading(TITLE, platform.node())
        yield DraftLine(id="changes")
        yield (shelf := PresetShelf(self._services.library, self.draft))
        yield (bar := SearchBar())
        yield (form := Form(self.draft, rows=rows_of_form(self.app.size.height)))
        self._search = Search(bar, shelf, form, enter)
        with Horizontal(id="outcome"):
            yield Summary(self._services)
            yield ScheduleSketch()
        yield LaunchBar(self._name_at_first)
        yield DraftLine(id="command")
        yield KeyLine()

    def on_mount(self) -> None:
        self._redraw()
        self.set_timer(LATEST_S, self._paint)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Do nothing at a key that comes while the parts of the screen are still being made."""
        return self.is_mounted and super().check_action(action, parameters)

    # The first layout tells the parts their sizes, from which they find out about scroll bars and
    # how much they can draw; the second is painted.

    @on(Resize)
    def _sizes_known(self, event: Resize) -> None:
        is_unknown = not self._knows_sizes and event.size == self.size
        if is_unknown and self.has_class(*size_classes(*event.size)):
            # Textual would lay out at once, before the parts have found out.
            event.prevent_default()
            self._paint()
        self._knows_sizes = True

    def _paint(self) -> None:
        if not self._knows_sizes:
            self._knows_sizes = True
            self.refresh(layout=True)

    def _compositor_refresh(self) -> None:
        if self._knows_sizes:
            super()._compositor_refresh()

    # Screens in front of this one.

    def on_screen_resume(self, event: ScreenResume) -> None:
        if not self._is_styled:
            # Textual would compute the styles again that the parts were mounted with.
            event.refresh_styles, self._is_styled = False, True
        self._is_launching = False
        self.query_one(Summary).survey.go_on()

    def on_screen_suspend(self) -> None:
        self.query_one(Summary).survey.rest()

    def complain(self, text: str) -> None:
        """Show why a run did not start; the draft stays as it was."""
        self._is_launching = False
        shown = Content(clean(text, 5000, multiline=True))
        self.app.push_screen(DetailsScreen("It did not start", shown, is_error=True))

    def take(self, draft: Draft, name: str = "") -> None:
        """Show another draft instead of this one, and the name of its run."""
        self.draft = draft
        self.query_one(LaunchBar).run_name = name
        self._search.end()
        self._shelf.reread()
        self._refill()

    # Messages from the parts.

    def on_preset_shelf_chosen(self, message: PresetShelf.Chosen) -> None:
        if message.takes == "experiment":
            self._make_for(message.name)
            return
        choose = self.draft.choose_type if message.takes == "type" else self.draft.choose
        choose(message.kind, message.name)
        self._refill()
        if message.kind == "experiment":
            self.query_one(Form).go_home()

    def _make_for(self, name: str) -> None:
        """Fill the experiment for a plugin's data once they are read, if nothing else is done."""
        self._reading = name
        self._shelf.say(f"reading the data of {clean(name, 60)} ...")
        typed = self.draft.overrides_of("dataset")
        given = typed if self.draft.own_type("dataset") == name else []
        asked = [*given, Override("dataset", "type", name)]
        workbench = self._services.workbench

        def done(result: Proposal | TrainerError) -> None:
            # Not at once: widgets can only be made where Textual handles messages.
            self.call_later(self._take_own, name, result)

        self._services.loader.submit("inspect", lambda: workbench.propose_own(asked), done)

    def _take_own(self, name: str, result: Proposal | TrainerError) -> None:
        if self._reading != name:
            return
        if not isinstance(result, TrainerError):
            from tui_trainer.ui.compose.proposals import take_own

            take_own(self.draft, result)
            self._refill()
            self._tell_of(result, len(result.lines))
            return
        if self.draft.own_type("dataset") != name:
            self.draft.choose_type("dataset", name)
        self._refill()
        again = f"choose {name} once more for the rest of the experiment"
        self._say(f"{result}\nOnce that is fixed or set, {again}.", "warning")

    def on_form_changed(self) -> None:
        self._redraw()

    def on_summary_measured(self) -> None:
        refusal = self.query_one(Summary).survey.refusal
        self.draft.report(problems_of(refusal, self.draft) if refusal is not None else {})
        self.query_one(Form).show(self.draft)
        self._show_misfits()
        self._show_obstacle()
        self._sketch()

    def on_summary_device_seen(self, message: Summary.DeviceSeen) -> None:
        device = "" if message.device is None else f"  {free_text(message.device)}"
        self.query_one(Heading).show(TITLE, f"{platform.node()}{device}")

    def on_launch_bar_named(self) -> None:
        self._show_command()

    def on_launch_bar_pressed(self) -> None:
        self.action_start()

    def on_search_bar_searched(self, message: SearchBar.Searched) -> None:
        self._search.look_for(message.text)

    def on_search_bar_left(self, message: SearchBar.Left) -> None:
        if told := self._search.go(message.text):
            self._say(told)

    # Actions.

    def action_search(self) -> None:
        """Search in the list that had the focus last, or in the fields if they have it."""
        self._search.begin()

    def action_end_search(self) -> None:
        """End the search and show everything again."""
        self._search.end()

    def action_start(self) -> None:
        """Start the run, or go to the first setting that prevents it."""
        obstacle, experiment = self._obstacle, self.draft.experiment
        if obstacle is not None or experiment is None:
            self._refuse(obstacle or Obstacle("the settings do not make an experiment"))
        elif not self._is_launching:
            self._is_launching = True
            self.post_message(self.Launch(experiment, self.query_one(LaunchBar).run_name))

    def _refuse(self, obstacle: Obstacle) -> None:
        """Say why it does not start, go to the field, and look whether that still holds."""
        self.query_one(Form).focus_field(obstacle.key)
        self._say(f"cannot start: {obstacle.text}", "error")
        survey = self.query_one(Summary).survey
        if survey.refusal is not None:
            survey.measure_again()

    @property
    def _obstacle(self) -> Obstacle | None:
        survey = self.query_one(Summary).survey
        return obstacle_of(self.draft, survey.refusal, survey.runs_problem)

    def action_save_preset(self) -> None:
        """Ask for a name, and save the draft as a preset."""
        from tui_trainer.ui.compose.save_preset import SavePreset

        self.app.push_screen(SavePreset(self.draft, self._services.preset_dir), self._saved)

    def _saved(self, path: Path | None) -> None:
        if path is None:
            return
        self._shelf.reread()
        is_found = self._services.library.finds("experiment", path)
        if is_found:
            self.draft.choose_experiment(path.stem)
        self._refill()
        hidden = "" if is_found else "; presets in that folder are not found: see --preset-dir"
        self._say(f"saved as {path}{hidden}", "information" if is_found else "warning")

    def action_reset_field(self) -> None:
        """Reset the field, or the choice in the list, that has the focus."""
        pane = self.focused
        if not isinstance(pane, PresetPane):
            self.query_one(Form).reset_focused()
        elif pane.kind != "experiment":
            self.draft.reset(pane.kind)
            self._refill()
        else:
            self._shelf.reset_experiment()

    def action_copy_command(self) -> None:
        """Copy the command line through the terminal."""
        self.run_worker(self._copy(self._command))

    async def _copy(self, command: str) -> None:
        self._say(f"copied: {command}\n{await copy(self.app, command, os.environ)}")

    def action_details(self) -> None:
        """Show all about the preset under the cursor, the changes, the layers and the devices."""
        entry = self._shelf.pane.pointed
        title = f"{self._shelf.kind} {entry.title}" if entry is not None else "details"
        misfit = self._shelf.pane.misfit(entry.listed) if entry is not None else ""
        more = self.query_one(Summary).texts()
        text = everything_text(entry, self.draft, self._command, more, misfit)
        self.app.push_screen(DetailsScreen(title, text))

    def action_data(self) -> None:
        """Choose a file or folder, and fill the experiment with what is made of it."""
        from tui_trainer.ui.compose.data_picker import DataPicker

        place = Path(os.path.expanduser(self.draft.text("dataset.path")))
        self.app.push_screen(DataPicker(self._services, place.parent), self._fill)

    def _fill(self, picked: Picked | None) -> None:
        if picked is None:
            return
        from tui_trainer.ui.compose.proposals import take_file

        proposal = picked.proposal
        take_file(self.draft, proposal, picked.target)
        self._refill()
        form = self.query_one(Form)
        form.go_home()
        # Not in the lists of presets, where another enter would take a preset in its place.
        form.focus_field("training.epochs")
        self._tell_of(proposal, 2)

    def _tell_of(self, proposal: Proposal, most: int) -> None:
        """Say of what an experiment was made, in its first lines."""
        self._say("\n".join(f"{line.subject}: {line.text}" for line in proposal.lines[:most]))

    def action_runs(self) -> None:
        """Show the list of runs."""
        self.post_message(self.Runs())

    def action_next_pane(self) -> None:
        """Go to the next of the lists, the fields, the name and the start button."""
        others = map(self.query_one, ("Form", "#run-name", "#start"))
        enter_next([*self._shelf.panes, *others])

    # Showing the draft.

    @property
    def _shelf(self) -> PresetShelf:
        return self.query_one(PresetShelf)

    def _refill(self) -> None:
        """Show a draft whose fields have changed."""
        self.query_one(Form).show(self.draft)
        self._redraw()

    def _redraw(self) -> None:
        """Show the draft everywhere but in the form, which shows it already."""
        self._reading = ""
        self._shelf.show(self.draft)
        self.query_one("#changes", DraftLine).show(changes_of(self.draft))
        self._show_command()
        self.query_one(Summary).survey.measure(self.draft.experiment)
        self._show_misfits()
        self._show_obstacle()
        self._sketch()

    def _show_misfits(self) -> None:
        misfits = self.query_one(Summary).survey.misfits
        self._shelf.show_misfits(misfits)
        self.query_one(Form).show_misfits("loss.type", misfits.get("loss", {}))

    def _show_obstacle(self) -> None:
        obstacle = self._obstacle
        self.query_one(LaunchBar).show(obstacle.text if obstacle is not None else "")

    def _show_command(self) -> None:
        self.query_one("#command", DraftLine).show(prompted(self._command))

    @property
    def _command(self) -> str:
        """The command line that starts the same run."""
        given = None if is_default(self._services.runs_dir) else self._services.runs_dir
        name = self.query_one(LaunchBar).run_name
        return self.draft.command(StartOptions(name, given, self._services.plugins))

    def _sketch(self) -> None:
        survey = self.query_one(Summary).survey
        # An experiment that cannot be measured has no known length.
        preview = None if survey.failure else survey.preview
        steps = preview.steps_per_epoch if preview is not None else None
        self.query_one(ScheduleSketch).show(self.draft.experiment, steps)

    def _say(self, text: str, severity: Severity = "information") -> None:
        self.app.notify(clean(text, 1000, multiline=True), severity=severity, markup=False)
