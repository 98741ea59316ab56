"""`depths_of`: counts the layers between each parameter of a model and its output.

Layer: training. For the layer-wise decay of the learning rate, counted as in BEiT: what comes
before the blocks is the first layer, each block is one more, and all that comes after them is the
last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

_LISTS = (nn.ModuleList, nn.Sequential)


def depths_of(model: nn.Module) -> dict[nn.Parameter, int]:
    """Return the number of layers between each parameter and the output; 0 for the last layer.

    Parameters between two rows of blocks belong to the block before them. A parameter that layers
    share belongs to the first of them.
    """
    layers: dict[nn.Parameter, int] = {}
    outside: list[nn.Parameter] = []
    count, current = 0, None
    for parameter, block in _walk(model, set(_blocks(model))):
        if block is not None and block is not current:
            count, current = count + 1, block
        if parameter not in layers:
            layers[parameter] = count
            if block is None:
                outside.append(parameter)
    for parameter in outside:
        if layers[parameter] == count and count:
            # Met only after the last block, so it is a layer of its own.
            layers[parameter] = count + 1
    last = max(layers.values(), default=0)
    return {parameter: last - layer for parameter, layer in layers.items()}


def _walk(
    module: nn.Module, blocks: set[nn.Module]
) -> Iterator[tuple[nn.Parameter, nn.Module | None]]:
    """Yield all parameters in the order of the model, each with the block that it is in."""
    if module in blocks:
        for parameter in module.parameters():
            yield parameter, module
        return
    for parameter in module.parameters(recurse=False):
        yield parameter, None
    for child in module.children():
        yield from _walk(child, blocks)


def _blocks(model: nn.Module) -> list[nn.Module]:
    """Return the blocks of a model in their order.

    They are the items of lists of modules, if these have layers inside; if there are no such lists,
    the layers with matrices in lists of layers; and if there are none of these, either, the
    children of the model.
    """
    return _items(model, _stacked) or _items(model, _in_a_row) or _children(model)


def _items(module: nn.Module, items_of: Callable[[nn.Module], list[nn.Module]]) -> list[nn.Module]:
    """Return the items of all lists in a module, without lists inside of items."""
    if items := items_of(module):
        return items
    return [item for child in module.children() for item in _items(child, items_of)]


def _stacked(module: nn.Module) -> list[nn.Module]:
    """Return the items of a list of modules of one class that have layers inside, or nothing."""
    items = _trainable(module) if isinstance(module, _LISTS) else []
    is_alike = len({type(item) for item in items}) == 1
    is_stack = is_alike and all(any(True for _ in item.children()) for item in items)
    return items if is_stack else []


def _in_a_row(module: nn.Module) -> list[nn.Module]:
    """Return the layers with matrices of a list of layers, or nothing if there is just one."""
    items = _trainable(module) if isinstance(module, _LISTS) else []
    layers = [item for item in items if any(p.ndim > 1 for p in item.parameters())]
    return layers if len(layers) > 1 else []


def _children(module: nn.Module) -> list[nn.Module]:
    """Return the children of a module, or of its only child."""
    children = _trainable(module)
    return _children(children[0]) if len(children) == 1 else children


def _trainable(module: nn.Module) -> list[nn.Module]:
    """Return the children of a module that have parameters."""
    return [child for child in module.children() if any(True for _ in child.parameters())]
