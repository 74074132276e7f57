"""How far samples are from the swiss roll, as numbers whose floor is known.

Each number is meaningless alone: put it beside its floor, the same number for true samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_notes.checks import check_integer, check_points, check_positive
from diffusion_notes.swiss_roll import SwissRoll

__all__ = ["cell_divergence", "nearest", "off_spiral_share"]


def nearest(x: Tensor, roll: SwissRoll | None = None) -> tuple[Tensor, Tensor]:
    r"""The nearest place on the spiral, and the way from there to the point.

    Arguments:
        x: points of shape ``(n, 2)``.
        roll: the clean roll whose spiral is meant; the standard one if not given.

    Returns:
        u in [0, 1], of shape ``(n,)``, and :math:`x - c(u)`, of shape ``(n, 2)``.

    Raises:
        TypeError, ValueError: ``x`` is not a floating-point tensor of shape ``(n, 2)`` with n ≥ 1, all finite.

    >>> u, way = nearest(SwissRoll().spiral(torch.tensor([0.25, 0.75])))
    >>> u
    tensor([0.2500, 0.7500])
    """
    check_points("x", x, dim=2, least=1)
    if x.device.type != "meta" and not bool(x.isfinite().all()):
        raise ValueError("x must be finite, and some of its entries are not")
    spiral = (roll or SwissRoll()).spiral
    coarse = torch.linspace(0, 1, 1 + _COARSE, dtype=x.dtype, device=x.device)
    corners = spiral(coarse)
    chunks = [torch.cdist(chunk, corners).argmin(-1) for chunk in x.split(10_000)]
    u = coarse[torch.cat(chunks)]
    # the spiral is nearly straight over one coarse step, so a search there is a projection
    for width in (1 / _COARSE, 0.1 / _COARSE):
        lines = (u.unsqueeze(-1) + width * torch.linspace(-1, 1, 21, dtype=x.dtype, device=x.device)).clamp(0, 1)
        distance = (spiral(lines) - x.unsqueeze(1)).norm(dim=-1)
        u = lines.gather(1, distance.argmin(-1, keepdim=True)).squeeze(-1)
    return u, x - spiral(u)


def off_spiral_share(x: Tensor, roll: SwissRoll | None = None, further_than: float = 0.15) -> float:
    """The share of the points that lie further than ``further_than`` from the spiral.

    The floor, for true samples of the standard roll, is 0.0027: three standard deviations of the
    noise. Arguments and errors as in :func:`nearest`.

    >>> off_spiral_share(torch.tensor([[0.0, 0.0], [0.0, -0.4712]]))
    0.5
    """
    check_positive("further_than", further_than)
    return (nearest(x, roll)[1].norm(dim=-1) > further_than).double().mean().item()


def cell_divergence(x: Tensor, roll: SwissRoll | None = None, along: int = 50, across: int = 10) -> float:
    r"""An estimate of :math:`\mathrm{KL}(\text{samples} \,\Vert\, \text{roll})` in nats, over cells of equal mass.

    The roll is cut into ``along`` pieces of its length and each of them into ``across`` strips,
    all of (very nearly) the same probability. With :math:`n` points and the usual
    :math:`\chi^2` statistic of their counts, the estimate is
    :math:`(\chi^2 - \mathrm{df}) / 2n`: zero on average for true samples (with 10,000 of them,
    give or take 0.0016), and 0.025 for somebody who has memorised 10,000 points and resamples
    them. Arguments and errors as in :func:`nearest`.

    >>> abs(cell_divergence(SwissRoll().sample(10_000, torch.Generator().manual_seed(0)))) < 0.006
    True
    """
    check_integer("along", along, least=1)
    check_integer("across", across, least=1)
    roll = roll or SwissRoll()
    u, way = nearest(x, roll)
    # the part of the way that is normal to the spiral; beyond its ends there is another part
    ahead = roll.spiral(u + 1e-3) - roll.spiral(u - 1e-3)
    offset = (way[:, 1] * ahead[:, 0] - way[:, 0] * ahead[:, 1]) / ahead.norm(dim=-1)
    strip = torch.special.ndtr(offset / roll.noise)
    row = (u * along).long().clamp(0, along - 1)
    column = (strip * across).long().clamp(0, across - 1)
    count = torch.bincount(row * across + column, minlength=along * across).double()
    expected = len(x) / (along * across)
    chi_square = ((count - expected).square() / expected).sum().item()
    return (chi_square - (along * across - 1)) / (2 * len(x))


_COARSE = 1000
