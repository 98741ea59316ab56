"""The app's tests wait until the app has nothing left to do, not until the machine looks idle.

Textual's own wait compares the processor time of the process with the clock. That takes 40 ms per
key, and on a busy machine a process that gets no processor looks like one that has nothing to do.
What a thread or a timer brings about is waited for with `until`.

A style sheet is parsed once for all apps of the same colours, and put together once for all apps
with the same widgets. The rules of a widget are found once for all widgets in the same place and
state, and set only where they change. A screen is painted when the app has nothing else left to do,
as on a slow terminal: most of the frames in between would be replaced unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import pytest
import textual.app
import textual.pilot
from textual._context import active_app
from textual.app import App
from textual.css.model import RuleSet
from textual.css.styles import RulesMap
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

MOST_TURNS = 20_000
"""An app with more turns of the event loop than this is in an endless one."""


async def settle(app: App[Any]) -> None:
    """Wait until no callback is due and the screen is painted."""
    loop: Any = asyncio.get_running_loop()
    for _ in range(MOST_TURNS):
        # What was due before is in front of us in the queue of the loop.
        await asyncio.sleep(0)
        if not loop._ready and not _draw_now(app):
            return
    raise AssertionError(f"the app is still busy after {MOST_TURNS} turns of the event loop")


def _draw_now(app: App[Any]) -> bool:
    """Do what waits for the next frame, and return whether there was anything."""
    if not app._running or not app._screen_stack:
        return False
    if app._resize_timer is not None:
        app._check_resize()
        return True
    waiting = [screen for screen in app._screen_stack if screen._update_timer._active.is_set()]
    for screen in waiting:
        screen._on_timer_update()
    return bool(waiting) or _paint(app)


UNPAINTED: WeakSet[Screen[Any]] = WeakSet()
"""Screens that changed since they were painted last."""
PAINT = Screen._compositor_refresh


def _paint_later(screen: Screen[Any]) -> None:
    """Paint a screen when the app has nothing else to do; the compositor keeps what changed."""
    screen._dirty_widgets.clear()
    UNPAINTED.add(screen)
    screen.app._update_mouse_over(screen)


def _paint(app: App[Any]) -> bool:
    """Paint what changed, and return whether anything had."""
    unpainted = [screen for screen in app._screen_stack if screen in UNPAINTED]
    for screen in unpainted:
        UNPAINTED.discard(screen)
        PAINT(screen)
    return bool(unpainted)


async def _wait_for_idle(*_: float) -> None:
    await settle(active_app.get())


async def _wait_for_screen(pilot: Pilot[Any], timeout: float = 0.0) -> bool:
    await settle(pilot.app)
    return pilot.app._exception is None


@pytest.fixture(autouse=True, scope="session")
def waits_for_the_app() -> Iterator[None]:
    """Replace how Textual waits between the keys of a test, and when it paints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textual.app, "wait_for_idle", _wait_for_idle)
        patch.setattr(textual.pilot, "wait_for_idle", _wait_for_idle)
        patch.setattr(Pilot, "_wait_for_screen", _wait_for_screen)
        patch.setattr(Screen, "_compositor_refresh", _paint_later)
        yield


Rules = tuple[list[RuleSet], dict[str, list[RuleSet]] | None]


@pytest.fixture(autouse=True, scope="session")
def parsed_style_sheets() -> Iterator[None]:
    """Keep parsed rules from app to app: with hashing them it was a third of a start of a screen.

    Rules are hashed by their identity as before, but not in Python: each widget goes through all.
    """
    parse_rules, parse, map_of = (
        Stylesheet._parse_rules,
        Stylesheet.parse,
        Stylesheet.rules_map.fget,  # type: ignore[attr-defined]
    )
    parsed: dict[object, list[RuleSet]] = {}
    sheets: dict[object, Rules] = {}

    def parse_rules_once(self: Stylesheet, css: str, **source: Any) -> list[RuleSet]:
        key = (css, *source.values(), frozenset(self._variables.items()))
        if key not in parsed:
            parsed[key] = parse_rules(self, css, **source)
        return parsed[key]

    def parse_once(self: Stylesheet) -> None:
        if self._invalid_css:
            parse(self)
            return
        key = (tuple(self.source.items()), frozenset(self._variables.items()))
        if key not in sheets:
            parse(self)
            sheets[key] = (self._rules, map_of(self))
        self._rules, self._rules_map = sheets[key]
        self._require_parse = False

    def rules_map(self: Stylesheet) -> dict[str, list[RuleSet]]:
        assert self.rules is not None  # brings the map up to date
        result: dict[str, list[RuleSet]] = map_of(self)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RuleSet, "__hash__", object.__hash__)
        patch.setattr(Stylesheet, "_parse_rules", parse_rules_once)
        patch.setattr(Stylesheet, "parse", parse_once)
        patch.setattr(Stylesheet, "rules_map", property(rules_map))
        yield


def _place_of(node: DOMNode) -> tuple[object, ...]:
    """Return what selectors can tell of a node and of those above it, but for their siblings."""
    place: list[object] = []
    above: Any = node
    while isinstance(above, DOMNode):
        place += (type(above), above._id, frozenset(above._classes))
        if isinstance(above, Widget):
            place += (above.mouse_hover, above.has_focus, above.disabled, above.allow_focus())
        elif isinstance(above, App):
            place.append(above.pseudo_classes)
        above = above._parent
    return tuple(place)


@pytest.fixture(autouse=True, scope="session")
def applied_style_sheets(parsed_style_sheets: None) -> Iterator[None]:
    """Keep the rules that were found for a node: to find and set them was a fifth of the tests.

    Textual keeps them in a cache for the children of one parent, where no selector depends on the
    siblings; what it would keep there is kept here from app to app.
    """
    apply, replace = Stylesheet.apply, Stylesheet.replace_rules
    # The list is kept beside its results, so that no other one can have its identity.
    known: dict[int, tuple[list[RuleSet], dict[object, tuple[RulesMap, bool] | None]]] = {}

    def apply_known(
        self: Stylesheet, node: DOMNode, *, animate: bool = False, cache: Any = None
    ) -> None:
        rules = self.rules
        assert rules is not None
        place = _place_of(node)
        places = known.setdefault(id(rules), (rules, {}))[1]
        if place not in places:
            own: dict[object, RulesMap] = {}
            apply(self, node, animate=animate, cache=own)  # type: ignore[arg-type]
            places[place] = next(((found, node._has_hover_style) for found in own.values()), None)
        elif (result := places[place]) is None:
            apply(self, node, animate=animate, cache=cache)
        else:
            found, node._has_hover_style = result
            node._has_focus_within = node._has_order_style = node._has_odd_or_even = False
            self.replace_rules(node, found, animate=animate)
            self._process_component_classes(node)

    def replace_changed(node: DOMNode, rules: RulesMap, animate: bool = False) -> None:
        is_same = node.styles.base._rules == rules
        if is_same and not (animate and node.app.animator._animations):
            node.notify_style_update()
        else:
            replace(node, rules, animate=animate)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "apply", apply_known)
        patch.setattr(Stylesheet, "replace_rules", staticmethod(replace_changed))
        yield
