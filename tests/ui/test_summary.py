"""The summary: when it asks, what it shows meanwhile, and what the devices are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from tests.ui.composing import Host, WaitingLoader, drive, press, shown, until
from tests.ui.fakes import GIB, FakeServices, FakeWorkbench
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.group_facts import GroupFacts
from tui_trainer.machine.devices import DeviceState
from tui_trainer.sessions.shared_data import SharedData
from tui_trainer.text.errors import BadInput
from tui_trainer.ui.compose.facts import (
    device_text,
    packed,
    pick_device,
    samples,
    shapes,
    sizes,
    table,
)


def waiting_services(folder: Path) -> tuple[FakeServices, WaitingLoader]:
    services = FakeServices(folder)
    loader = WaitingLoader()
    services.loader = loader
    return services, loader


def preview_of(folder: Path) -> tuple[FakeWorkbench, Experiment]:
    return FakeWorkbench(), FakeServices(folder).library.experiment("digits-cnn")


def test_the_stage_of_the_loader_is_shown_until_the_first_result(tmp_path: Path) -> None:
    services, loader = waiting_services(tmp_path)
    loader.stage = "importing torch"

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "importing torch ..." in shown(app))
        await until(pilot, lambda: "preview" in loader.waiting)
        loader.stage = ""
        await until(pilot, lambda: "measuring ..." in shown(app))
        loader.do("preview")
        await pilot.pause()
        assert "measuring" not in shown(app)
        assert "20,778 parameters" in shown(app)

    drive(tmp_path, step, services=services)


def test_what_was_shown_stays_while_the_next_result_is_awaited(tmp_path: Path) -> None:
    services, loader = waiting_services(tmp_path)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "preview" in loader.waiting)
        loader.do("preview")
        await pilot.pause()
        before = app.summary.lines(60, 8)
        app.compose_screen.draft.set("training.batch_size", "32")
        app.compose_screen.on_form_changed()
        await pilot.pause()
        meanwhile = app.summary.lines(60, 8)
        assert app.summary.survey.is_stale
        assert [line.plain for line in meanwhile[:4]] == [line.plain for line in before[:4]]
        assert meanwhile[-1].plain == "measuring ..."
        assert meanwhile[0].spans != before[0].spans, "it is dimmed"

    drive(tmp_path, step, services=services)


def test_many_changes_are_one_question(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.summary.survey.preview is not None)
        for epochs in range(1, 20):
            app.compose_screen.draft.set("training.epochs", str(epochs))
            app.compose_screen.on_form_changed()
        await until(pilot, lambda: not app.summary.survey.is_stale)
        asked = [experiment.training.epochs for experiment in services.fake_workbench.asked]
        assert asked == [40, 19]

    drive(tmp_path, step, services=services)


def test_a_result_that_comes_late_is_not_taken_for_the_newest(tmp_path: Path) -> None:
    services, loader = waiting_services(tmp_path)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "preview" in loader.waiting)
        app.compose_screen.draft.set("training.batch_size", "1221")
        app.compose_screen.on_form_changed()
        loader.do("preview")
        await pilot.pause()
        assert "parameters" not in shown(app)
        await until(pilot, lambda: "preview" in loader.waiting)
        loader.do("preview")
        await pilot.pause()
        assert "1 step per epoch" in shown(app)

    drive(tmp_path, step, services=services)


def test_an_error_is_shown_as_it_is_and_goes_with_its_cause(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    services.fake_workbench.failure = BadInput("[b]no[/b] such file\x1b[0m; name another")

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: r"! [b]no[/b] such file\x1b[0m; name another" in shown(app))
        assert "A run would fail with this error." in shown(app)
        services.fake_workbench.failure = None
        await press(pilot, "d", "escape")
        await until(pilot, lambda: "20,778 parameters" in shown(app))
        assert "such file" not in shown(app)

    drive(tmp_path, step, services=services)


def test_wrong_settings_leave_the_last_result_and_say_so(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.summary.survey.preview is not None)
        app.compose_screen.draft.set("training.epochs", "no")
        app.compose_screen.on_form_changed()
        await pilot.pause()
        assert "some settings need attention" in shown(app)
        assert "20,778 parameters" in shown(app)
        assert not app.summary.survey.is_due

    drive(tmp_path, step, services=services)


def test_groups_without_room_are_counted_with_the_key_that_shows_them(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        survey = app.summary.survey
        await until(pilot, lambda: survey.preview is not None and bool(survey.devices))
        assert survey.preview is not None
        facts = [GroupFacts(match, ("x",), 3, (1, 1), 0, 0, "", True, 1) for match in ("head", "")]
        survey.preview = replace(survey.preview, groups=tuple(facts), notes=("one is rare",))
        app.summary.refresh()
        await pilot.pause()
        assert "2 groups of parameters, 1 note: d or F4 for all" in shown(app)
        room = [line.plain for line in app.summary.lines(100, 7)]
        assert room[-3:] == ["all others: 3 parameters, frozen", samples_line, "one is rare"]
        assert "1 note: d or F4 for all" in app.summary.lines(100, 6)[-1].plain
        await pilot.press("f4")
        await until(pilot, lambda: not app.is_in_front)
        await pilot.press("end")
        await until(pilot, lambda: "head: 3 parameters, frozen" in shown(app))

    samples_line = "samples: 1,221 train · 216 validation · 360 test · 10 classes"
    drive(tmp_path, step, size=(80, 24))


def test_who_else_is_on_the_device_is_said(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "in use by: alice (pid 7, 2.1 GiB)" in shown(app))
        assert "3 % load" in shown(app)

    drive(tmp_path, step, size=(120, 40))


def test_a_setting_means_the_device_that_training_would_take() -> None:
    small = DeviceState("cuda:0", "small", 4 * GIB, 8 * GIB, 0)
    large = DeviceState("cuda:1", "large", 60 * GIB, 80 * GIB, 0)
    cpu = DeviceState("cpu", "2 cores", 20 * GIB, 24 * GIB, 0)
    both = (small, large, cpu)
    assert pick_device(both, "auto") is large
    assert pick_device(both, "cuda") is large
    assert pick_device(both, "cuda:0") is small
    assert pick_device(both, "cpu") is cpu
    assert pick_device((cpu,), "auto") is cpu
    assert pick_device((cpu,), "cuda") is None
    assert pick_device((), "auto") is None


def test_a_device_of_unknown_memory_claims_none() -> None:
    assert device_text(DeviceState("cuda:0", "GPU [b]0[/b]\x1b", 0, 0, None)) == (
        r"cuda:0 · GPU [b]0[/b]\x1b"
    )


def test_facts_are_packed_into_lines_and_never_cut(tmp_path: Path) -> None:
    workbench, experiment = preview_of(tmp_path)
    preview = workbench.preview(experiment, SharedData())
    assert sizes(preview, 80) == ["20,778 parameters · ~33 MB · 20 steps per epoch, 800 in total"]
    assert sizes(preview, 40) == ["20,778 parameters · ~33 MB", "20 steps per epoch, 800 in total"]
    assert samples(preview, 80) == ["samples: 1,221 train · 216 validation · 360 test · 10 classes"]
    assert packed([], 10) == []
    no_limit = replace(preview, total_steps=None)
    assert sizes(no_limit, 80)[0].endswith("20 steps per epoch")


def test_layers_that_keep_the_shape_are_left_out_of_the_line_but_not_of_the_table(
    tmp_path: Path,
) -> None:
    workbench, experiment = preview_of(tmp_path)
    preview = workbench.preview(experiment, SharedData())
    layers = (*preview.layers, replace(preview.layers[-1], kind="ReLU", parameters=0))
    preview = replace(preview, layers=layers)
    assert shapes(preview) == "input 1\u00d78\u00d78 → 32\u00d78\u00d78 → 2048 → 10"
    assert len(table(preview, 10)) == 5
    assert table(preview, 4)[-1] == "and 2 more"
