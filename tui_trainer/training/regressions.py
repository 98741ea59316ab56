"""Linear and logistic regression, in steps between which the fit can be ended.

Layer: training. Computed in double precision on the CPU and without random numbers, so that the
result differs between machines only by rounding. The size of a step depends on the sizes of the
data alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Tick = Callable[[int, int], None]
"""Called every few tenths of a second with how much is done, and of how much (0: unknown). What it
raises ends the work."""


def no_tick(done: int, total: int) -> None:
    """Let the work go on to its end."""


_AT_ONCE = 2_000_000_000
"""The most operations in double precision between two ticks: some tenths of a second."""


# Linear regression by least squares.


_ROWS = 4096


def linear_cost(samples: int, features: int) -> int:
    """Return about how many operations `fit_linear` takes."""
    return 8 * samples * features**2


def with_bias(features: Tensor) -> Tensor:
    """Return features (N, D) in double precision, with a column of ones: (N, D + 1)."""
    wide = features.double()
    return torch.cat([wide, torch.ones(len(wide), 1, dtype=wide.dtype, device=wide.device)], dim=1)


def fit_linear(features: Tensor, targets: Tensor, tick: Tick = no_tick) -> Tensor:
    """Return the weights (D, 1) of least squares for features (N, D) and targets (N, 1).

    Of all solutions it is the one with the smallest weights. Many rows are reduced part by part to
    a triangle with the same solution, the R of a QR decomposition (J. Demmel and others,
    Communication-optimal Parallel and Sequential QR and LU Factorizations, 2012).
    """
    left, right = features.cpu(), targets.double().cpu()
    width = left.shape[1]
    rows = max(_ROWS, 2 * width)
    if len(left) > rows:
        top, beside = left[:0], right[:0]
        for done in range(0, len(left), rows):
            tick(done, len(left))
            part = slice(done, done + rows)
            q, top = torch.linalg.qr(torch.cat([top, left[part]]))
            beside = q.T @ torch.cat([beside, right[part]])
        left, right = top, beside
    tick(0, 0)
    # By singular values: the smallest weights, also where columns depend on each other.
    fit: Tensor = torch.linalg.lstsq(left, right, driver="gelsd").solution
    return fit


# Multinomial logistic regression, fitted to convergence.


MOST_ITERATIONS = 1000
USUAL_ITERATIONS = 300
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


def logistic_cost(samples: int, features: int, classes: int) -> int:
    """Return about how many operations `fit_logistic` takes."""
    return 4 * samples * features * classes * USUAL_ITERATIONS


def fit_logistic(
    features: Tensor,
    targets: Tensor,
    classes: int,
    tick: Tick = no_tick,
    at_once: int = _AT_ONCE,
) -> Logistic:
    """Fit features (N, D) to classes (N,), with half the squared weights added to the summed loss.

    The sum is minimised by L-BFGS with a line search for the strong Wolfe conditions (J. Nocedal,
    S. Wright, Numerical Optimization, 2006, chapter 7). At most `at_once` operations are done
    between two ticks.
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

    rows = max(1, at_once // (4 * scaled.shape[1] * classes))

    def closure() -> float:
        slopes = weight[:-1]
        loss, gradient = 0.0, torch.zeros_like(weight)
        for begin in range(0, count, rows):
            # How many evaluations there will be is not known.
            tick(0, 0)
            part = slice(begin, begin + rows)
            logits = scaled[part] @ slopes + weight[-1]
            apart = (logits.softmax(dim=1) - right[part]) / count
            gradient[:-1] += scaled[part].T @ apart
            gradient[-1] += apart.sum(0)
            loss += float(F.cross_entropy(logits, wanted[part])) * (len(logits) / count)
        gradient[:-1] += slopes / count
        weight.grad = gradient
        return loss + float(slopes.square().sum() / (2 * count))

    search.step(closure)  # type: ignore[no-untyped-call]
    return Logistic(mean, std, weight)
