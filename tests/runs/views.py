"""Views of runs by the keys of status.json, for tests."""

from __future__ import annotations

from tui_trainer.runs.view import RunView


def a_view(name: str = "run", state: str = "running", **values: object) -> RunView:
    """A view with these values of status.json."""
    return RunView.from_dict({"name": name, "state": state, **values})


def changed(view: RunView, **values: object) -> RunView:
    """A copy of a view with other values of status.json."""
    kept = {key: value for key, value in view.to_dict().items() if key != "message"}
    return RunView.from_dict({**kept, **values})
