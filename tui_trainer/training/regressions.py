"""Multinomial logistic regression, fitted to convergence.

Layer: training. Computed in double precision on the CPU and without random numbers, so that the
result differs between machines only by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_ITERATIONS = 1000
STILL = 1e-7
"""The fit has converged when no component of the gradient is larger."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted regression on standardised features."""

    mean: Tensor
    std: Tensor
    weight: Tensor
    """(D + 1, K); the last row is the bias."""

    def predict(self, features: Tensor) -> Tensor:
        """Return the most likely class of each row of (N, D), as int64 (N,) on the CPU."""
        scaled = (features.double().cpu() - self.mean) / self.std
        return (scaled @ self.weight[:-1] + self.weight[-1]).argmax(dim=1)


def fit_logistic(features: Tensor, targets: Tensor, classes: int) -> Logistic:
    """Fit features (N, D) to classes (N,), with half the squared weights added to the summed loss.

    The sum is minimised by L-BFGS with a line search for the strong Wolfe conditions (J. Nocedal,
    S. Wright, Numerical Optimization, 2006, chapter 7).
    """
    plain, wanted = features.double().cpu(), targets.cpu()
    mean, std = plain.mean(dim=0), plain.std(dim=0, correction=0)
    std = torch.where(std > 0, std, 1.0)
    scaled = (plain - mean) / std
    count = len(scaled)
    right = F.one_hot(wanted, classes).double()
    weight = torch.zeros(scaled.shape[1] + 1, classes, dtype=torch.float64)
    search = torch.optim.LBFGS(
        [weight],
        max_iter=MOST_ITERATIONS,
        tolerance_grad=STILL,
        tolerance_change=1e-14,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        slopes = weight[:-1]
        logits = scaled @ slopes + weight[-1]
        apart = (logits.softmax(dim=1) - right) / count
        weight.grad = torch.cat([scaled.T @ apart + slopes / count, apart.sum(0, keepdim=True)])
        loss = F.cross_entropy(logits, wanted) + slopes.square().sum() / (2 * count)
        return float(loss)

    search.step(closure)  # type: ignore[no-untyped-call]
    return Logistic(mean, std, weight)
