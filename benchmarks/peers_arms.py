"""The arms of `peers.py`: every way to do its training, and which of them can run here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    library: str = "torch"
    """The module that must be importable."""
    package: str = "torch"
    """Its name on PyPI."""
    imports: str = "torch._dynamo"
    """What is imported of it in advance. The first optimizer of torch's brings in dynamo."""
    equal_to: str = BASE
    """The arm whose final weights it should have."""

    @property
    def is_by_hand(self) -> bool:
        """Whether it needs nothing but torch; tui-trainer and what it is compared with."""
        return self.library == "torch"


# The same rounding as its other arm has, which no loop of torch has.
_REFERENCES = {"keras, leanest": "keras"}
_PACKAGES = {"ignite": "pytorch-ignite"}
_IMPORTS = {
    "lightning": "lightning.pytorch",
    "transformers": "transformers.trainer",
    "ignite": "ignite.metrics",
}


def _torch_arms() -> dict[str, Arm]:
    return {
        BASE: Arm("peers_torch.tight", {"fused": False}),
        f"{BASE}, fused": Arm("peers_torch.tight", {"fused": True}, equal_to=f"{BASE}, fused"),
        "torch, DataLoader and .item()": Arm("peers_torch.usual", {"fused": False}),
        "tui-trainer": Arm(
            "peers_torch.ours",
            {"arithmetic": "fused"},
            imports="torch",
            equal_to=f"{BASE}, fused",
        ),
        "tui-trainer, arithmetic plain": Arm(
            "peers_torch.ours", {"arithmetic": "plain"}, imports="torch"
        ),
    }


def _peer_arms() -> dict[str, Arm]:
    arms: dict[str, Arm] = {}
    for name in ("lightning", "transformers", "accelerate", "ignite", "skorch", "keras"):
        ways = {"": (False, False), ", leanest": (True, False), ", leanest, fused": (True, True)}
        for words, (lean, fused) in ways.items():
            if name == "keras" and fused:
                continue
            arms[f"{name}{words}"] = Arm(
                f"peers_libraries.{name}",
                {"lean": lean, "fused": fused},
                library=name,
                package=_PACKAGES.get(name, name),
                imports=_IMPORTS.get(name, name),
                equal_to=_REFERENCES.get(f"{name}{words}", f"{BASE}, fused" if fused else BASE),
            )
    return arms


ARMS = _torch_arms() | _peer_arms()


def available(words: list[str]) -> tuple[dict[str, Arm], list[str]]:
    """Return the arms that can run, and the packages that are not installed."""
    arms = {
        name: arm
        for name, arm in ARMS.items()
        if not words or arm.is_by_hand or any(word in name for word in words)
    }
    missing = {arm.package for arm in arms.values() if util.find_spec(arm.library) is None}
    return {name: arm for name, arm in arms.items() if arm.package not in missing}, sorted(missing)


def affordable(costs_s: Mapping[str, float], seconds: float) -> list[str]:
    """Return the arms that fit into so many seconds, in their order.

    Those that are written by hand always stay. Of the others, those with a fused optimizer go
    first, and those at their leanest last.
    """

    def rank(name: str) -> int:
        settings = ARMS[name].settings
        return 0 if ARMS[name].is_by_hand else (1 + (not settings["lean"]) + 2 * settings["fused"])

    kept: set[str] = set()
    left_s = seconds
    for name in sorted(costs_s, key=rank):
        left_s -= costs_s[name]
        if rank(name) and left_s < 0:
            break
        kept.add(name)
    return _in_order(kept)


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=list(ARMS).index)
