"""`Forward`: applies a model to a batch, in the configured precision and with its recurrent state.

Layer: training. The only place that calls a model. Training, evaluation and prediction all use it,
so they compute alike. The loss is computed outside of it, always on float32 outputs, unless the
model computes it itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tui_trainer.config.processes import protect_environment
from tui_trainer.models.direct_calls import operation_of
from tui_trainer.models.inputs import Argument, arguments_of, values_of
from tui_trainer.models.mlp import Linear, Mlp
from tui_trainer.models.modes import Modes
from tui_trainer.models.outputs import as_float32, entries_of, logits_of
from tui_trainer.problems.batch import TARGET, Batch, describe, is_on_host, lengths_of

T = TypeVar("T")
RecurrentState = tuple[Tensor, ...] | None
"""Tensors that a recurrent model hands on from batch to batch, with the batch in dimension 0.

None stands for the start of a text.
"""

MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The values of `training.precision` that use autocast, and the type each of them casts to."""


class Forward:
    """Calls a model; if `stateful`, each row continues where it ended in the previous batch."""

    def __init__(
        self,
        model: nn.Module,
        *,
        fields: Sequence[str] = ("input",),
        stateful: bool = False,
        precision: str = "fp32",
        channels_last: bool = False,
        compiled: bool = False,
        is_called: bool = True,
        with_loss: bool = False,
    ) -> None:
        """Prepare the calls; without `is_called` there are none: a recipe calls the model.

        A model that computes its own loss, `with_loss`, may read the target, and its outputs are
        all that it returned, by name.

        Raises:
            BadInput: a parameter of its `forward` has neither a default nor a field.
        """
        self.model = model
        self.modes = Modes(model)
        self._parameter = next(model.parameters(), None)
        self.fields = tuple(fields)
        """The names of the fields of a batch that the model may read, without the target."""
        self.stateful = stateful
        self.is_called = is_called
        self.with_loss = with_loss
        # To predict, it is called without a target, so that must be possible in any case.
        self.arguments = arguments_of(model, self.fields) if is_called else ()
        if with_loss:
            self.arguments = arguments_of(model, (*self.fields, TARGET))
        self._taken: Callable[[Any], Any] = entries_of if with_loss else logits_of
        self._first = self.fields[0]
        self._lengths = lengths_of(self._first)
        # Most models read one field; choosing the values for it would take longer than to give it.
        needed = [argument for argument in self.arguments if not argument.may_be_left_out]
        self._reads_first_alone = len(needed) == 1 and needed == [
            Argument(needed[0].parameter, self._first)
        ]
        self._precision = precision
        self._dtype = MIXED.get(precision)
        self._channels_last = channels_last
        self._compiled = compiled
        self._run: Any = getattr(model, "advance") if stateful else model  # noqa: B009
        if compiled:
            # torch.compile starts a compiler, and Python processes that try out its kernels.
            protect_environment()
            # Compile the call and leave the module alone, so that its parameters keep their names.
            self._run = torch.compile(self._run)

    def of(self, model: nn.Module) -> Forward:
        """Return a `Forward` with the same settings for another model of this kind."""
        return self._copy(model)

    def uncompiled(self) -> Forward:
        """Return the same, but never compiled, for a single call."""
        return self._copy(self.model, compiled=False) if self._compiled else self

    def without_loss(self) -> Forward:
        """Return the same for a model that is called to predict, and never compiled."""
        return self._copy(self.model, compiled=False, with_loss=False)

    def _copy(self, model: nn.Module, **changes: bool) -> Forward:
        settings: dict[str, Any] = {
            "fields": self.fields,
            "stateful": self.stateful,
            "precision": self._precision,
            "channels_last": self._channels_last,
            "compiled": self._compiled,
            "is_called": self.is_called,
            "with_loss": self.with_loss,
        }
        return Forward(model, **settings | changes)

    @property
    def device(self) -> torch.device:
        """The device that the model is on now; a pause may move it to the host."""
        first = self._parameter
        return torch.device("cpu") if first is None else first.device

    def __call__(self, batch: Batch, carry: RecurrentState = None) -> tuple[Any, RecurrentState]:
        """Return the outputs and the detached carry for the next batch.

        Outputs are (B, K), at each step (B, T, K), or at each pixel (B, K, H, W); with a loss of
        the model's own they are the `logits` of a dict, whose `loss` it is.
        """
        try:
            return self._in_precision(batch, carry, self._run)
        except Exception as error:
            error.add_note(f"the inputs are {self._described(batch)}")
            raise

    def plain_layers(self) -> list[nn.Module] | None:
        """Return the layers of a model of few operations that follow each other after a flattening.

        They compute the same outputs as a call; None: there are none.
        """
        if not isinstance(self.model, Mlp | Linear) or not self._calls_model_alone:
            return None
        return self.model.plain_layers()

    def direct(self) -> Callable[[Batch], Tensor] | None:
        """Return a function from a batch to the same outputs, for a model with `plain_layers`.

        It is right for as long as nothing about the modules changes; None: there is none.
        """
        layers = self.plain_layers()
        if layers is None:
            return None
        operations = [operation_of(layer) for layer in layers]

        def outputs_of(inputs: Tensor) -> Tensor:
            outputs = inputs.flatten(1)
            for operation in operations:
                outputs = operation(outputs)
            return outputs

        return self.of_first_field(outputs_of)

    def of_first_field(self, function: Callable[[Tensor], T]) -> Callable[[Batch], T]:
        """Return a function of the first field as one of a batch that describes it in errors."""
        first = self._first

        def of_batch(batch: Batch) -> T:
            try:
                return function(batch[first])
            except Exception as error:
                error.add_note(f"the inputs are {self._described(batch)}")
                raise

        return of_batch

    @property
    def _calls_model_alone(self) -> bool:
        """Whether there is nothing to do but to call the model with the first field."""
        is_plain = self._dtype is None and not self._channels_last and not self._compiled
        return is_plain and self._reads_first_alone and not (self.stateful or self.with_loss)

    def _described(self, batch: Batch) -> str:
        fields = (*self.fields, TARGET) if self.with_loss else self.fields
        if len(fields) == 1:
            return describe(batch[self._first])
        return ", ".join(f"{name} {describe(batch[name])}" for name in fields)

    def with_tensors(self, tensors: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return the outputs with these tensors in the place of parameters and buffers, by name.

        For a compiler, which follows every line of it; not for stateful models.
        """

        def run(*positional: Tensor, **named: Tensor) -> Any:
            return functional_call(self.model, dict(tensors), positional, named)

        outputs: Tensor = self._in_precision(batch, None, run)[0]
        return outputs

    def _in_precision(
        self, batch: Batch, carry: RecurrentState, run: Callable[..., Any]
    ) -> tuple[Any, RecurrentState]:
        if self._channels_last:
            batch = {name: _channels_last(field) for name, field in batch.items()}
        if self._dtype is None:
            return self._outputs(batch, carry, run)
        with torch.autocast(batch[self._first].device.type, dtype=self._dtype):
            outputs, left = self._outputs(batch, carry, run)
        return as_float32(outputs), left

    def _outputs(
        self, batch: Batch, carry: RecurrentState, run: Callable[..., Any]
    ) -> tuple[Any, RecurrentState]:
        if self.stateful:
            outputs, left = run(batch["input"], _kept(carry, batch.get("fresh")))
            return outputs, tuple(part.detach() for part in left)
        if self._reads_first_alone and self._lengths not in batch:
            return self._taken(run(batch[self._first])), None
        positional, named = values_of(self.arguments, batch)
        # Never compiled: every new length would compile again, and packed sequences have a kernel
        # of their own. On an H200, compiling a GRU took over 80 s and gained nothing.
        if any(map(is_on_host, batch)):
            run = self.model
        return self._taken(run(*positional, **named)), None


def _channels_last(field: Tensor) -> Tensor:
    return field.contiguous(memory_format=torch.channels_last) if field.dim() == 4 else field


def _kept(carry: RecurrentState, fresh: Tensor | None) -> RecurrentState:
    """Return the carry with zeros in the rows that begin a new text."""
    if carry is None or fresh is None or not fresh.any():
        return carry
    if fresh.all():
        return None
    keep = (~fresh).to(carry[0].device)
    return tuple(part * keep.view(-1, *[1] * (part.dim() - 1)) for part in carry)
