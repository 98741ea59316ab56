"""The arms of `peers.py`: every way to do its training, and which of them can run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import util
from typing import Any

BASE = "torch, bare loop"


@dataclass(frozen=True)
class Arm:
    """A way to do the training: the function that prepares it, and what it takes."""

    place: str
    """`module.function` in this folder."""
    settings: Mapping[str, Any]
    needs: str = "torch"
    """The module that must be importable."""
    package: str = "torch"
    """Its name on PyPI."""
    equal_to: str = BASE
    """The arm whose final weights it should have."""


# The same rounding as its other arm has, which no loop of torch has.
_REFERENCES = {"keras, leanest": "keras"}


def _torch_arms() -> dict[str, Arm]:
    return {
        BASE: Arm("peers_torch.tight", {"fused": False}),
        f"{BASE}, fused": Arm("peers_torch.tight", {"fused": True}, equal_to=f"{BASE}, fused"),
        "torch, DataLoader and .item()": Arm("peers_torch.usual", {"fused": False}),
        "tui-trainer": Arm("peers_torch.ours", {"arithmetic": "fused"}, equal_to=f"{BASE}, fused"),
        "tui-trainer, arithmetic plain": Arm("peers_torch.ours", {"arithmetic": "plain"}),
    }


def _peer_arms() -> dict[str, Arm]:
    arms: dict[str, Arm] = {}
    packages = {"ignite": "pytorch-ignite"}
    for name in ("lightning", "transformers", "accelerate", "ignite", "skorch", "keras"):
        ways = {"": (False, False), ", leanest": (True, False), ", leanest, fused": (True, True)}
        for words, (lean, fused) in ways.items():
            if name == "keras" and fused:
                continue
            arms[f"{name}{words}"] = Arm(
                f"peers_libraries.{name}",
                {"lean": lean, "fused": fused},
                needs=name,
                package=packages.get(name, name),
                equal_to=_REFERENCES.get(f"{name}{words}", f"{BASE}, fused" if fused else BASE),
            )
    return arms


ARMS = _torch_arms() | _peer_arms()


def chosen(words: list[str]) -> tuple[dict[str, Arm], list[str]]:
    """Return the arms that can run, and a line for each library that is missing."""
    arms = {
        name: arm
        for name, arm in ARMS.items()
        if not words or arm.needs == "torch" or any(word in name for word in words)
    }
    missing = {arm.package for arm in arms.values() if util.find_spec(arm.needs) is None}
    lines = [f"skipped: {package} is not installed" for package in sorted(missing)]
    return {name: arm for name, arm in arms.items() if arm.package not in missing}, lines
