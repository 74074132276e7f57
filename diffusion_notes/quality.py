"""How far samples are from the swiss roll, as numbers whose floor is known.

Each number is meaningless alone: put it beside its floor, the same number for true samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_notes.checks import check_integer, check_kind, check_positive, describe
from diffusion_notes.swiss_roll import SwissRoll
from diffusion_notes.tensor_checks import check_has_values, check_points, check_precise, is_dense

__all__ = ["band_width", "cell_divergence", "chi_square_divergence", "nearest", "off_spiral_share"]


def nearest(x: Tensor, roll: SwissRoll | None = None) -> tuple[Tensor, Tensor]:
    r"""The nearest place on the spiral, and the way from there to the point.

    Arguments:
        x: points of shape ``(n, 2)``.
        roll: the clean roll whose spiral is meant; the standard one if not given.

    Returns:
        u in [0, 1], of shape ``(n,)``, in double precision to 4e-6, and :math:`x - c(u)`, of shape ``(n, 2)``.

    Raises:
        TypeError, ValueError: ``x`` is not a floating-point tensor of shape ``(n, 2)`` with n ≥ 1, all finite.

    >>> u, way = nearest(SwissRoll().spiral(torch.tensor([0.25, 0.75])))
    >>> u
    tensor([0.2500, 0.7500])
    """
    check_points("x", x, dim=2, least=1)
    check_has_values("x", x)
    check_precise("x", x)
    if not bool(x.isfinite().all()):  # here a GPU is halted anyway
        raise ValueError("x must be finite, and some of its entries are not")
    roll = _clean(roll)
    spiral = roll.spiral
    coarse = torch.linspace(0, 1, 1 + _COARSE, dtype=x.dtype, device=x.device)
    corners = spiral(coarse)
    chunks = [torch.cdist(chunk, corners).argmin(-1) for chunk in x.split(10_000)]
    u = coarse[torch.cat(chunks)]
    # a search around the nearest corner, finer and finer
    around = torch.linspace(-1, 1, 11, dtype=x.dtype, device=x.device)
    for width in (1 / _COARSE, 0.2 / _COARSE, 0.04 / _COARSE, 0.008 / _COARSE):
        near = (u.unsqueeze(-1) + width * around).clamp(0, 1)
        distance = (spiral(near) - x.unsqueeze(1)).square().sum(-1)
        u = near.gather(1, distance.argmin(-1, keepdim=True)).squeeze(-1)
    return u, x - spiral(u)


def off_spiral_share(x: Tensor, roll: SwissRoll | None = None, further_than: float | None = None) -> float:
    """The share of the points that lie further than ``further_than`` from the spiral.

    If it is not said, that is three standard deviations of the roll's noise, 0.15 for the standard
    roll, and the floor, the share of true samples, is 0.0027. Arguments and errors as in :func:`nearest`.

    >>> off_spiral_share(torch.tensor([[0.0, 0.0], [0.0, -0.4712]]))
    0.5
    """
    further_than = 3 * _clean(roll).noise if further_than is None else further_than
    check_positive("further_than", further_than)
    return (nearest(x, roll)[1].norm(dim=-1) > further_than).double().mean().item()


def band_width(x: Tensor, roll: SwissRoll | None = None) -> float:
    """The width of the band that the points make around the spiral, as a standard deviation.

    It is taken from the median distance across the spiral, so that strays do not count. The floor
    is the roll's noise. Arguments and errors as in :func:`nearest`.

    >>> round(band_width(SwissRoll().sample(10_000, torch.Generator().manual_seed(0))), 2)
    0.05
    """
    _, offset = _across(x, _clean(roll))
    return offset.abs().median().item() / _MEDIAN_OF_ABSOLUTE_NORMAL


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
    roll = _clean(roll)
    u, offset = _across(x, roll)
    strip = torch.special.ndtr(offset / roll.noise)
    row = (u * along).long().clamp(max=along - 1)
    column = (strip * across).long().clamp(max=across - 1)
    return chi_square_divergence(row * across + column, along * across)


def chi_square_divergence(cell: torch.LongTensor, cells: int) -> float:
    r"""The KL divergence in nats of points from a law in which all cells are equally probable, from their counts.

    .. math:: \frac{\chi^2 - \mathrm{df}}{2n}, \qquad \mathrm{df} = \text{cells} - 1 .

    Arguments:
        cell: the number of each point's cell, from 0; an integer tensor of shape ``(n,)``, n ≥ 1.
        cells: how many there are.

    Raises:
        TypeError: ``cell`` is no integer tensor, or ``cells`` no integer.
        ValueError: ``cell`` is empty, not of shape ``(n,)``, or holds a number that is no cell's.

    >>> chi_square_divergence(torch.tensor([0, 0, 0, 0]), 2)  # (4 - 1) / 8
    0.375
    """
    check_integer("cells", cells, least=1)
    if not isinstance(cell, Tensor) or cell.dtype != torch.long or not is_dense(cell):
        raise TypeError(f"cell must be a tensor of int64, got {describe(cell)}")
    if cell.dim() != 1 or not len(cell):
        raise ValueError(f"cell must be of shape (n,) with n at least 1, got {describe(cell)}")
    check_has_values("cell", cell)
    if not bool(((cell >= 0) & (cell < cells)).all()):
        raise ValueError(f"cell must lie in 0, ..., {cells - 1}, and some of its entries do not")
    count = torch.bincount(cell, minlength=cells).double()
    expected = len(cell) / cells
    return (((count - expected).square() / expected).sum().item() - (cells - 1)) / (2 * len(cell))


def _across(x: Tensor, roll: SwissRoll) -> tuple[Tensor, Tensor]:
    """The nearest place, and the part of the way there that is normal to the spiral (beyond an end there is more)."""
    u, way = nearest(x, roll)
    ahead = roll.spiral(u + 1e-3) - roll.spiral(u - 1e-3)
    return u, (way[:, 1] * ahead[:, 0] - way[:, 0] * ahead[:, 1]) / ahead.norm(dim=-1)


def _clean(roll: SwissRoll | None) -> SwissRoll:
    roll = SwissRoll() if roll is None else roll
    check_kind("roll", roll, SwissRoll)
    if not roll.is_clean:
        raise ValueError(f"roll must be a clean one, and this one is diffused: got {roll!r}")
    return roll


_COARSE = 200
_MEDIAN_OF_ABSOLUTE_NORMAL = 0.6744897501960817
