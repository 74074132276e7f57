r"""The best noise levels for a diffusion model of few layers, and the best bound that such a model can have.

For data whose doubt :math:`\mathbb E \operatorname{tr} \operatorname{Cov}(x_0 \mid x_t)` is known at every noise
level, the price of each step is known too. A step from level t down to level s < t, with the perfect mean and
the best variance for it, costs on average

.. math::
    \mathbb E\, D_{KL}\bigl(q(x_s|x_t,x_0) \,\Vert\, p(x_s|x_t)\bigr) = \frac D2 \log\frac{v}{\tilde\beta},
    \qquad v = \tilde\beta + \frac{c^2}{D}\, \mathbb E \operatorname{tr} \operatorname{Cov}(x_0 \mid x_t),

with :math:`\tilde\beta` the variance of :math:`q(x_s|x_t,x_0)` and c the weight of :math:`x_0` in its mean. The whole
negative bound is a sum of such prices over the levels that are visited, so the best L of them are the
cheapest path of L edges, and dynamic programming finds it (Watson et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from diffusion_notes.checks import check_inside, check_integer, check_kind, check_positive, describe
from diffusion_notes.diffusion import Schedule
from diffusion_notes.tensor_checks import check_alike, check_tensor

__all__ = ["Known", "best_schedule", "doubt", "levels_between", "prices", "tail"]


@runtime_checkable
class Known(Protocol):
    """A distribution in the plane that is known at every noise level, as ``SwissRoll`` and ``Clusters`` are."""

    def diffuse(self, alpha_bar: float) -> Known:
        """The distribution at that level."""

    def score(self, x: Tensor) -> Tensor:
        """The gradient of its log density."""

    def expect(self, f: Callable[[Tensor], Tensor]) -> Tensor:
        """The exact expectation of a function."""


def levels_between(count: int, first: float = 0.9999, last: float = 4e-5) -> Tensor:
    r"""``count`` noise levels :math:`\bar\alpha`, evenly spaced in log signal-to-noise ratio, falling; float64.

    Raises:
        TypeError: an argument is no number.
        ValueError: ``count`` < 2, or not 1 > ``first`` > ``last`` > 0.

    >>> levels_between(3, first=0.9, last=0.1)
    tensor([0.9000, 0.5000, 0.1000], dtype=torch.float64)
    """
    check_integer("count", count, least=2)
    check_inside("first", first, 0, 1)
    check_inside("last", last, 0, first)
    ends = torch.tensor([first, last], dtype=torch.float64, device="cpu").logit().tolist()
    return torch.linspace(*ends, count, dtype=torch.float64, device="cpu").sigmoid()


def doubt(data: Known, levels: Tensor) -> Tensor:
    r""":math:`\mathbb E \operatorname{tr} \operatorname{Cov}(x_0 \mid x_t)` at each level, exactly.

    It is :math:`\frac{1-\bar\alpha_t}{\bar\alpha_t}
    \bigl(D - (1-\bar\alpha_t)\,\mathbb E\lVert\nabla\log q(x_t)\rVert^2\bigr)`.

    Raises:
        TypeError: ``data`` is not known at every noise level, or ``levels`` is no floating-point tensor.
        ValueError: ``levels`` do not fall, or do not lie strictly between 0 and 1.
    """
    check_kind("data", data, Known, "known at every noise level")
    each = []
    for level in _checked(levels).tolist():
        diffused = data.diffuse(level)
        known = diffused.expect(lambda x, diffused=diffused: diffused.score(x).square().sum(-1)).item()
        each.append((1 - level) / level * (_DIM - (1 - level) * known))
    return torch.tensor(each, dtype=torch.float64, device="cpu")


def prices(levels: Tensor, doubts: Tensor) -> Tensor:
    r"""What each step costs in nats: ``(N + 1, N)``, from level t (column) down to level s (row), and inf unless s < t.

    Rows 1 to N are the levels. Row 0 is the data: the price of the last step is
    :math:`-\mathbb E \log p(x_0|x_t) = \frac D2\log(2\pi e\,v)`, a density's, and may be negative.

    Arguments:
        levels: N falling values of :math:`\bar\alpha`, as of :func:`levels_between`.
        doubts: those of :func:`doubt`, for the same levels.

    Raises:
        TypeError: an argument is no floating-point tensor.
        ValueError: ``levels`` do not fall within (0, 1), or ``doubts`` is of another shape or not positive.
    """
    levels = _checked(levels)
    check_alike("doubts", doubts, "levels", levels)
    if not bool((doubts > 0).all()):
        raise ValueError("doubts must be positive, and some of its entries are not")
    t, s = levels, levels[:, None]
    beta = 1 - t / s  # of the one big step from s to t; negative where t lies above s
    beta_tilde = (1 - s) / (1 - t) * beta
    weight = s.sqrt() * beta / (1 - t)
    more = weight.square() * doubts / _DIM / beta_tilde
    between = torch.where(beta > 0, _DIM / 2 * more.log1p(), math.inf)
    last = _DIM / 2 * (2 * math.pi * math.e * doubts / _DIM).log()
    return torch.cat((last[None], between))


def tail(levels: Tensor, second_moment: float) -> Tensor:
    r""":math:`\mathbb E\,D_{KL}(q(x_t|x_0) \,\Vert\, \mathcal N(0, I))` at each level: it is :math:`L_T` at the last.

    Arguments:
        levels: falling values of :math:`\bar\alpha`.
        second_moment: :math:`\mathbb E\lVert x_0 \rVert^2`.

    Raises:
        TypeError, ValueError: as in :func:`doubt`, or ``second_moment`` is not positive and finite.
    """
    levels = _checked(levels)
    check_positive("second_moment", second_moment)
    return (levels * (second_moment - _DIM) - _DIM * (-levels).log1p()) / 2


def best_schedule(price: Tensor, levels: Tensor, layers: int, end: Tensor | None = None) -> tuple[Schedule, float]:
    """The cheapest schedule of that many layers, and the bound that it allows: -ELBO in nats, without the tail.

    Arguments:
        price: what the steps cost: :func:`prices`.
        levels: the levels to choose from.
        layers: L, how many are to be visited; at most as many as there are.
        end: what it costs to end at each level, :func:`tail`; the cheapest end is then chosen and its cost is
            part of the result. Without it the last level is the end.

    Raises:
        TypeError: an argument is no floating-point tensor, or ``layers`` no integer.
        ValueError: the shapes do not fit, or ``layers`` is less than 1 or more than there are levels.
    """
    levels = _checked(levels)
    count = len(levels)
    check_tensor("price", price)
    if price.shape != (count + 1, count):
        raise ValueError(f"price must have shape {(count + 1, count)}, got {tuple(price.shape)}")
    check_integer("layers", layers, least=1, most=count)
    if end is not None:
        check_alike("end", end, "levels", levels)
    total, before = price[0], []
    for _ in range(layers - 1):
        total, choice = (total[:, None] + price[1:]).min(0)
        before.append(choice)
    place = count - 1 if end is None else int((total + end).argmin())
    cost = (total if end is None else total + end)[place].item()
    visited = [place]
    for choice in reversed(before):
        visited.append(int(choice[visited[-1]]))
    alpha_bar = torch.cat((levels.new_ones(1), levels[visited[::-1]]))
    return Schedule(torch.cat((levels.new_zeros(1), 1 - alpha_bar[1:] / alpha_bar[:-1]))), cost


def _checked(levels: Tensor) -> Tensor:
    check_tensor("levels", levels)
    if levels.dim() != 1 or not len(levels) or not bool(((levels > 0) & (levels < 1)).all()):
        raise ValueError(f"levels must be of shape (N,) with values strictly between 0 and 1, got {describe(levels)}")
    if not bool((levels.diff() < 0).all()):
        raise ValueError("levels must fall, and these do not")
    return levels


_DIM = 2
