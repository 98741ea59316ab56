"""`generate`: samples the tokens with which a language model continues a prompt.

Layer: models. A model with a carry reads each token once; any other model reads the last T tokens
again for each new one, where T is the longest text it was built for.

Shapes: T tokens, K the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tui_trainer.models.layers import evaluating
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput

Advance = Callable[[Tensor, tuple[Tensor, ...] | None], tuple[Tensor, tuple[Tensor, ...]]]


@torch.no_grad()
def generate(
    model: nn.Module,
    signature: Signature,
    prompt: Tensor,
    count: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the `count` tokens (int64, on the CPU) that follow the prompt (T,), without it.

    The model keeps its mode, and the global random generators are not touched.

    Args:
        temperature: divides the logits; 0 takes the most likely token and draws nothing.
        top_k: draw only from this many of the most likely tokens; 0 for all of them.
        generator: the source of the draws, on any device; required unless the temperature is 0.

    Raises:
        BadInput: this is not a language model, or an argument or the model's outputs cannot be
            used.
    """
    _check(signature, prompt, count, temperature, top_k)
    if temperature > 0 and generator is None:
        raise BadInput("sampling above temperature 0 needs a generator to draw from")
    device = next(model.parameters()).device
    text_T = unread_T = prompt.to(device)
    advance: Advance | None = getattr(model, "advance", None)
    carry: tuple[Tensor, ...] | None = None
    with evaluating(model):
        for _ in range(count):
            if advance is not None:
                outputs, carry = advance(unread_T[None], carry)
            else:
                outputs = model(text_T[None, -signature.input_shape[0] :])
            unread_T = _chosen(outputs[0, -1].float(), temperature, top_k, generator).to(device)
            text_T = torch.cat([text_T, unread_T])
    return text_T[len(prompt) :].cpu()


def _chosen(
    logits_K: Tensor, temperature: float, top_k: int, generator: torch.Generator | None
) -> Tensor:
    """Choose one token, (1,)."""
    if not bool(logits_K.isfinite().all()):
        raise BadInput("the model has NaN or infinity in its outputs; nothing can be sampled")
    if temperature == 0 or generator is None:
        return logits_K.argmax(keepdim=True)
    likeliest, tokens = logits_K.topk(min(top_k or len(logits_K), len(logits_K)))
    # Subtract the maximum before dividing: a tiny temperature would make it infinite.
    chances = ((likeliest - likeliest[0]) / temperature).softmax(-1).to(generator.device)
    return tokens[torch.multinomial(chances, 1, generator=generator).to(tokens.device)]


def _check(
    signature: Signature, prompt: Tensor, count: int, temperature: float, top_k: int
) -> None:
    if not (signature.kind == "tokens" and signature.causal):
        raise BadInput("only a language model can continue a text")
    if prompt.ndim != 1 or len(prompt) == 0:
        raise BadInput("a prompt needs at least one token")
    if bool((prompt < 0).any()) or bool((prompt >= signature.vocabulary).any()):
        raise BadInput(f"the prompt has tokens that are not in 0 to {signature.vocabulary - 1}")
    if count < 0 or top_k < 0:
        raise BadInput("neither count nor top_k can be below 0")
    if not 0 <= temperature < float("inf"):
        raise BadInput("temperature must be 0 or more, and finite")
