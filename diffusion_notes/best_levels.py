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
from diffusion_notes.tensor_checks import check_has_values, check_tensor

__all__ = ["Known", "best_bound", "best_schedule", "doubt", "levels_between"]


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


def best_schedule(
    levels: Tensor, doubts: Tensor, layers: int, second_moment: float | None = None
) -> tuple[Schedule, float]:
    r"""The cheapest schedule of that many layers, and its best bound without the term :math:`L_T`, in nats.

    Arguments:
        levels: the levels to choose from: N falling values of :math:`\bar\alpha_t`, as of :func:`levels_between`.
        doubts: those of :func:`doubt`, for the same levels.
        layers: L, how many are to be visited; at most as many as there are.
        second_moment: :math:`\mathbb E\lVert x_0 \rVert^2`; the cheapest end is then chosen too, by what :math:`L_T`
            costs there. Without it the last level is the end.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``levels`` do not fall within (0, 1), ``doubts`` do not fit them or are not positive, ``layers``
            is less than 1 or more than N, or ``second_moment`` is not positive.
    """
    levels, doubts = _both(levels, doubts)
    check_integer("layers", layers, least=1, most=len(levels))
    last, between = _prices(levels, doubts)
    total, before = last, []
    for _ in range(layers - 1):
        total, choice = (total[:, None] + between).min(0)
        before.append(choice)
    end = len(levels) - 1
    if second_moment is not None:
        check_positive("second_moment", second_moment)
        end = int((total + _tail(levels, second_moment)).argmin())
    visited = [end]
    for choice in reversed(before):
        visited.append(int(choice[visited[-1]]))
    alpha_bar = torch.cat((levels.new_ones(1), levels[visited[::-1]]))
    return Schedule(torch.cat((levels.new_zeros(1), 1 - alpha_bar[1:] / alpha_bar[:-1]))), total[end].item()


def best_bound(levels: Tensor, doubts: Tensor, second_moment: float) -> float:
    r"""The least that a diffusion model can reach that visits all these levels: :math:`-\text{ELBO}`, in nats.

    Its steps have the perfect mean, and the best variance that does not depend on the point. Arguments and errors as
    in :func:`best_schedule`.
    """
    levels, doubts = _both(levels, doubts)
    check_positive("second_moment", second_moment)
    last, between = _prices(levels, doubts)
    return (last[0] + between.diagonal(1).sum() + _tail(levels, second_moment)[-1]).item()


def _prices(levels: Tensor, doubts: Tensor) -> tuple[Tensor, Tensor]:
    r"""What it costs to go from each level to the data, ``(N,)``, and from level t (column) to s (row), ``(N, N)``.

    The first is :math:`-\mathbb E \log p(x_0|x_t) = \frac D2\log(2\pi e\,v)`, a density's, and may be negative. The
    second is infinite unless s is the lower of the two.
    """
    t, s = levels, levels[:, None]
    beta = (1 - t / s).clamp(min=0)  # of the one big step from s to t
    beta_tilde = (1 - s) / (1 - t) * beta
    weight = s.sqrt() * beta / (1 - t)
    more = weight.square() * doubts / _DIM / beta_tilde
    between = torch.where(beta > 0, _DIM / 2 * more.log1p(), math.inf)
    return _DIM / 2 * (2 * math.pi * math.e * doubts / _DIM).log(), between


def _tail(levels: Tensor, second_moment: float) -> Tensor:
    r""":math:`\mathbb E\,D_{KL}(q(x_t|x_0) \,\Vert\, \mathcal N(0, I))` at each level: :math:`L_T` at the last."""
    return (levels * (second_moment - _DIM) - _DIM * (-levels).log1p()) / 2


def _both(levels: Tensor, doubts: Tensor) -> tuple[Tensor, Tensor]:
    check_tensor("doubts", doubts)
    levels = _checked(levels)
    check_has_values("doubts", doubts)
    if doubts.shape != levels.shape or not bool(((doubts > 0) & (doubts < math.inf)).all()):
        raise ValueError(f"doubts must be {len(levels)} positive numbers, as levels, got {describe(doubts)}")
    return levels, doubts.detach().to("cpu").double()


def _checked(levels: Tensor) -> Tensor:
    """Levels in float64 on the CPU, where looking is free."""
    check_tensor("levels", levels)
    check_has_values("levels", levels)
    table = levels.detach().to("cpu").double()
    within = table.dim() == 1 and bool(((table > 0) & (table < 1)).all()) and bool((table.diff() < 0).all())
    if not within or not len(table):
        raise ValueError(f"levels must fall, and lie strictly between 0 and 1, got {describe(levels)}")
    return table


_DIM = 2
