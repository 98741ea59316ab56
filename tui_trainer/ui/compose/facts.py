"""Texts about a previewed experiment, and about the device that it would run on.

Layer: ui. Pure functions: a preview or a device goes in, lines of text come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui_trainer.text.cells import cut_end, padded
from tui_trainer.text.clean import clean
from tui_trainer.text.format import GIB, parameters_text, size_text

if TYPE_CHECKING:
    from tui_trainer.machine.devices import DeviceState
    from tui_trainer.sessions.preview import Preview


def sizes(preview: Preview, width: int) -> list[str]:
    """Return parameters, memory and steps, on as few lines of that width as possible."""
    total = f", {preview.total_steps:,} in total" if preview.total_steps else ""
    plural = "" if preview.steps_per_epoch == 1 else "s"
    return packed(
        [
            parameters_text(preview.parameters, preview.trained_parameters),
            f"~{size_text(preview.memory_bytes)}",
            f"{preview.steps_per_epoch:,} step{plural} per epoch{total}",
        ],
        width,
    )


def shapes(preview: Preview) -> str:
    """Return the shapes from input to output, without layers that keep the shape."""
    found = [shape_text(preview.input_shape)]
    for layer in preview.layers:
        shape = shape_text(layer.output_shape)
        if shape != found[-1]:
            found.append(shape)
    return f"input {' → '.join(found)}"


def samples(preview: Preview, width: int) -> list[str]:
    """Return the number of samples per split, on as few lines as possible."""
    names = ("train", "validation", "test")
    parts = [f"{count:,} {name}" for count, name in zip(preview.samples, names, strict=True)]
    parts[0] = f"samples: {parts[0]}"
    if preview.classes:
        parts.append(f"{len(preview.classes):,} classes")
    return packed([*parts, *filter(None, [clean(preview.split, 100)])], width)


def groups(preview: Preview) -> list[str]:
    """Return a line for each group of parameters."""
    return [
        f"{clean(group.match, 40) or 'all others'}: {group.parameters:,} parameters, {group.text}"
        for group in preview.groups
    ]


def packed(parts: Sequence[str], width: int) -> list[str]:
    """Join the parts into as few lines as possible without breaking any."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]} · {part}" if lines else part
        if lines and len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def warnings(preview: Preview) -> list[str]:
    """Return what the user should know before starting."""
    return [clean(preview.warning)] if preview.warning else []


def table(preview: Preview, rows: int) -> list[str]:
    """Return the layers in at most `rows` rows, header included; the last counts omitted ones."""
    found = [f"{'layer':<20} {'kind':<16} {'output':<14} {'parameters':>12}"]
    layers = preview.layers
    fit = len(layers) if len(layers) < rows else max(0, rows - 2)
    for layer in layers[:fit]:
        count = f"{layer.parameters:,}" if layer.parameters else "-"
        found.append(
            f"{padded(cut_end(clean(layer.name), 20), 20)} "
            f"{padded(cut_end(clean(layer.kind), 16), 16)} "
            f"{shape_text(layer.output_shape):<14} {count:>12}"
        )
    if fit < len(layers):
        found.append(f"and {len(layers) - fit:,} more")
    return found


def shape_text(shape: tuple[int, ...]) -> str:
    """Return the sides with multiplication signs between them."""
    return "\u00d7".join(map(str, shape)) or "1"


def free_text(device: DeviceState) -> str:
    """Return a device and its free memory: `cuda:0  61 of 80 GiB free`."""
    if not device.total_bytes:
        return clean(device.name, 20)
    free, total = device.free_bytes / GIB, device.total_bytes / GIB
    digits = 0 if total >= 10 else 1
    return f"{clean(device.name, 20)}  {free:.{digits}f} of {total:.{digits}f} GiB free"


def device_text(device: DeviceState) -> str:
    """Return a device with its memory, its load, and what else runs on it."""
    parts = [free_text(device)]
    if device.load_percent is not None:
        parts.append(f"{device.load_percent} % load")
    if device.others:
        parts.append("in use by: " + ", ".join(clean(other, 60) for other in device.others))
    return " · ".join([*parts, clean(device.label, 60)])


def pick_device(devices: Sequence[DeviceState], wanted: str) -> DeviceState | None:
    """Return the device that a setting means.

    For auto and cuda it is the GPU with the most free memory; for auto without a GPU, the CPU.
    """
    gpus = [device for device in devices if device.name != "cpu"]
    if wanted in ("auto", "cuda") and gpus:
        return max(gpus, key=lambda gpu: gpu.free_bytes)
    name = "cpu" if wanted == "auto" else wanted
    return next((device for device in devices if device.name == name), None)
