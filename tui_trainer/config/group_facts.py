"""`GroupFacts`: a group of parameters and the way in which it is trained, for people.

Layer: config. It needs no torch, as those who show it do without.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group of parameters that are trained alike."""

    match: str
    """Its patterns; empty: all other parameters."""
    names: tuple[str, ...]
    """The names of its parameters."""
    parameters: int
    lr: tuple[float, float]
    """The lowest and the highest rate, before the schedule's factor; equal without layer decay."""
    weight_decay: float
    decayed: int
    """The number of parameters that decay."""
    schedule: str
    """The type of its own schedule, or an empty string."""
    is_frozen: bool
    first_step: int
    """The first step that trains it, from 1."""

    @property
    def text(self) -> str:
        """The way in which it is trained, in a few words."""
        if self.is_frozen:
            return "frozen"
        low, high = self.lr
        parts = [f"lr {low:.4g}" if low == high else f"lr {low:.4g} to {high:.4g} by depth"]
        parts += [f"{self.schedule} schedule"] if self.schedule else []
        decay = f"decay {self.weight_decay:.4g}"
        if self.weight_decay and self.decayed < self.parameters:
            decay += f" of {self.decayed:,}" if self.decayed else " of none"
        parts.append(decay)
        parts += [f"frozen until step {self.first_step:,}"] if self.first_step > 1 else []
        return ", ".join(parts)
