"""`CompiledGraph`: a method that torch compiles, called without torch's work around each call.

Layer: training. For a small model that work takes as long as the graph itself. What is left out of
it reads the arguments, and is left out only where the compiled code is known to be all that is to
be done; else, or where the installed torch has another form, each call is torch's. Both run the
same code, so the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor

from tui_trainer.problems.batch import Batch

Fixed = tuple[Any, ...]
"""The tensors that stay the same from call to call, in lists and dicts."""
Code = Callable[[list[Any]], Sequence[Tensor]]
"""Takes tensors, and numbers that describe them."""


class CompiledGraph:
    """A method `(*fixed, batch, numbers)` compiled as a whole, once for each form of its tensors.

    It returns a tensor or a tuple of tensors, and may change tensors of `fixed` in place. Random
    numbers are drawn as they are without a compiler.

    Raises when called: an error of torch's compiler, if it cannot follow the method.
    """

    def __init__(self, method: Any) -> None:
        self._last_call: tuple[Code, list[Any], Sequence[Tensor]] | None = None
        """The compiled code that ran last, what it was given, and what it returned."""
        # What torch has compiled belongs to the code object, which all objects of a class share.
        own = FunctionType(method.__code__.replace(), method.__globals__, method.__name__)
        self._by_torch = _compiled(MethodType(own, method.__self__), self._watched)
        self._fixed: Fixed = ()
        self._tensors: list[Tensor] = []
        """Those of `_fixed`."""
        self._direct: dict[tuple[Any, ...], _DirectCall | None] = {}
        """By the form of the batch; None: its calls are torch's."""

    def __call__(self, fixed: Fixed, batch: Batch, numbers: Tensor) -> Any:
        if fixed is not self._fixed:
            self._fixed, self._tensors, self._direct = fixed, _tensors_in(fixed), {}
        tensors = [*self._tensors, *batch.values(), numbers]
        form = tuple([(name, *_form_of(field)) for name, field in batch.items()])
        direct = self._direct.get(form)
        if direct is not None:
            return direct(tensors)
        self._last_call = None
        returned = self._by_torch(*fixed, batch, numbers)
        if form not in self._direct:
            self._direct[form] = self._direct_call(tensors, returned)
        self._last_call = None
        return returned

    def _watched(self, code: Code) -> Code:
        """Return compiled code that notes each call."""

        def call(arguments: list[Any]) -> Sequence[Tensor]:
            # The code empties the list.
            given = list(arguments)
            returned = code(arguments)
            self._last_call = code, given, returned
            return returned

        return call

    def _direct_call(self, tensors: list[Tensor], returned: Any) -> _DirectCall | None:
        """Return how to do what the last call did, or None if it was more than compiled code."""
        if self._last_call is None or not tensors[0].is_cpu:
            return None
        if len(set(map(id, tensors))) < len(tensors):
            # The code takes a tensor once, even if it has two names in this batch.
            return None
        code, given, outcome = self._last_call
        # It may be given numbers as well, as the places of tensors in memory; they are the same for
        # all tensors of one form.
        constants = [one for one in given if isinstance(one, int)]
        by_id = {id(one): place for place, one in enumerate([*tensors, *constants])}
        places = [by_id.get(id(one), -1) for one in given]
        results = list(returned) if isinstance(returned, tuple) else [returned]
        # Code with other results leaves work to torch, as tensors that are still to be changed.
        is_whole = list(map(id, results)) == list(map(id, outcome))
        if -1 in places or not is_whole:
            return None
        return _DirectCall(code, places, constants, is_tuple=isinstance(returned, tuple))


class _DirectCall:
    """Calls compiled code with the tensors that it takes, in its order, and with constants."""

    def __init__(
        self, code: Code, places: list[int], constants: list[int], *, is_tuple: bool
    ) -> None:
        self._code = code
        self._places = places
        self._constants = constants
        self._is_tuple = is_tuple

    def __call__(self, tensors: list[Tensor]) -> Any:
        known = [*tensors, *self._constants]
        outcome = self._code([known[place] for place in self._places])
        return tuple(outcome) if self._is_tuple else outcome[0]


def _tensors_in(fixed: Fixed) -> list[Tensor]:
    tensors: list[Tensor] = []
    for group in fixed:
        tensors += group.values() if isinstance(group, Mapping) else group
    return tensors


def _form_of(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype


def _compiled(function: Callable[..., Any], watched: Callable[[Code], Code]) -> Callable[..., Any]:
    """Return a function compiled by torch, whose compiled code is given to `watched`.

    Before each call torch looks at the tensors alone, and not at every object that the function
    reads, which takes a third of the time for a small model: those must stay the same.
    """
    options: dict[str, Any] = {}
    if hasattr(torch.compiler, "keep_tensor_guards_unsafe"):
        options["guard_filter_fn"] = _guards_of_tensors
    backend = _watched_backend(watched)
    if backend is None:
        options["fallback_random"] = True
    return torch.compile(
        function, fullgraph=True, dynamic=False, options=options, backend=backend or "inductor"
    )


def _watched_backend(watched: Callable[[Code], Code]) -> Callable[..., Any] | None:
    """Return torch's backend, which gives all code to `watched`; None if torch has none like it."""
    try:
        from torch._functorch import config
        from torch._inductor.compile_fx import compile_fx, compile_fx_inner
    except ImportError:
        return None

    def inner(*arguments: Any, **settings: Any) -> Any:
        graph: Any = compile_fx_inner(*arguments, **settings)
        if getattr(graph, "current_callable", None) is not None:
            graph.current_callable = watched(graph.current_callable)
        return graph

    def backend(graph: Any, inputs: Any) -> Any:
        # What this cache returns was not given to `inner`; that of the code itself stays.
        with config.patch(enable_autograd_cache=False):
            return compile_fx(
                graph, inputs, inner_compile=inner, config_patches={"fallback_random": True}
            )

    return backend


_GUARDS = ("TENSOR_MATCH", "DUPLICATE_INPUT", "SEQUENCE_LENGTH", "GRAD_MODE", "GLOBAL_STATE")


def _guards_of_tensors(guards: Sequence[Any]) -> list[bool]:
    """Return which guards stay: those of the arguments, and of the modes of torch."""
    return [guard.guard_type in _GUARDS and not guard.is_global for guard in guards]
