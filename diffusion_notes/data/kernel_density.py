r"""A kernel density estimate: what can be had from the points alone, without a model.

It puts a Gaussian of one width around each of n points,

.. math::
    \hat p_h(x) = \frac1n \sum_{j=1}^{n} \mathcal N(x;\ x_j,\ h^2 I),

and chooses the width by what each point is worth to the others: the likelihood of a point under all but itself (Duin
1976). A memoriser is the limit h = 0. Whoever is compared with a memoriser should be compared with this too.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import (
    check_generator,
    check_has_values,
    check_points,
    check_precise,
    check_same_dtype_and_device,
)
from diffusion_notes._arguments.values import check_integer, check_positive

__all__ = ["KernelDensity"]

_BLOCK = 250  # points whose distances to all others are held at once
_ASKED = 4000  # points whose likelihood chooses the width
_NEAREST = 1000  # others that it looks at: at the width sought, those further away weigh nothing
_NARROWEST = 1e-3  # and the widest, in standard deviations of the points
_WIDEST = 1.0


class KernelDensity:
    r"""A Gaussian around each of n points.

    Arguments:
        points: of shape ``(n, D)``, n ≥ 2, all finite. Everything is computed in their dtype.
        width: h, or None for the one with the largest leave-one-out likelihood, to one per cent, of the first 4,000
            points, which should be in no order.

    Raises:
        TypeError, ValueError: an argument is not so.

    >>> points = torch.tensor([[0.0], [1.0], [2.0]])
    >>> round(KernelDensity(points).width, 1)
    1.0
    """

    def __init__(self, points: Tensor, width: float | None = None) -> None:
        check_points("points", points, least=2, finite=True)
        self.points = points.detach()
        self.width = self._best_width() if width is None else check_positive("width", width)

    def log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log \hat p_h(x)` in nats, of shape ``(n,)``, for points of shape ``(n, D)``."""
        check_points("x", x, dim=self.points.shape[1], finite=True)
        check_precise("x", x)
        check_same_dtype_and_device("x", x, "the points", self.points)
        return torch.cat([self._log_mean(self._squared(block), self.width) for block in x.split(_BLOCK)])

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """``n`` independent points, of shape ``(n, D)``: one of the points each, and noise."""
        n = check_integer("n", n, least=0)
        check_generator("generator", generator, self.points.device)
        row = torch.randint(len(self.points), (n,), generator=generator, device=self.points.device)
        noise = torch.randn(n, self.points.shape[1], generator=generator, dtype=self.points.dtype, device=row.device)
        return self.points[row] + self.width * noise

    def leave_one_out(self, width: float) -> float:
        """The mean log-likelihood, in nats, of the first 4,000 points, each under the nearest 1,000 others."""
        n = len(self.points)
        each = self._log_mean(self._nearest, check_positive("width", width))
        return each.mean().item() + math.log(n / (n - 1))  # the mean is over n − 1 points

    @functools.cached_property
    def _nearest(self) -> Tensor:
        """Squared distances from the first points to the nearest others."""
        count = min(_NEAREST, len(self.points) - 1)
        found = []
        for start in range(0, min(_ASKED, len(self.points)), _BLOCK):
            block = self.points[start : min(start + _BLOCK, _ASKED)]
            squared = self._squared(block)
            row = torch.arange(len(block), device=block.device)
            squared[row, start + row] = math.inf
            found.append(squared.topk(count, largest=False, sorted=False).values)
        return torch.cat(found)

    def _squared(self, x: Tensor) -> Tensor:
        # by differences: the product of matrices cancels where points are near
        return torch.cdist(x, self.points, compute_mode="donot_use_mm_for_euclid_dist").square()

    def _log_mean(self, squared: Tensor, width: float) -> Tensor:
        n, dim = self.points.shape
        log_norm = math.log(n) + dim * math.log(width) + dim / 2 * math.log(2 * math.pi)
        return (squared / (-2 * width**2)).logsumexp(-1) - log_norm

    def _best_width(self) -> float:
        """By golden sections of its logarithm, over which the likelihood has one peak."""
        check_has_values("points", self.points)
        scale = self.points.std().item()
        if scale == 0:
            raise ValueError(f"points must differ, got {len(self.points)} that are all the same")
        low, high = math.log(_NARROWEST * scale), math.log(_WIDEST * scale)
        ratio = (math.sqrt(5) - 1) / 2
        inner = [high - ratio * (high - low), low + ratio * (high - low)]
        value = [self.leave_one_out(math.exp(each)) for each in inner]
        while high - low > 0.01:
            if value[0] > value[1]:
                high = inner[1]
                inner = [high - ratio * (high - low), inner[0]]
                value = [self.leave_one_out(math.exp(inner[0])), value[0]]
            else:
                low = inner[0]
                inner = [inner[1], low + ratio * (high - low)]
                value = [value[1], self.leave_one_out(math.exp(inner[1]))]
        return math.exp((low + high) / 2)
