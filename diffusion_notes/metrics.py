r"""How far samples are from the truth, as numbers whose floor is known.

Two compare with a distribution that is known: the divergence over cells of equal probability, and the share of strays.
Two compare with true samples and know nothing else, so they serve for any data. The scores of forecasts compare draws
with what came, once for each of n cases: on average nobody can have a lower one than who knows the law. Each number is
meaningless alone: put it beside its floor, the same number for true samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffusion_notes._arguments.tensors import (
    check_alike,
    check_has_values,
    check_same_dtype_and_device,
    check_samples,
    check_tensor,
)
from diffusion_notes._arguments.values import check_integer, check_kind, check_positive, describe
from diffusion_notes.data import Band, Reference

__all__ = [
    "band_width",
    "binned_kl",
    "crps",
    "energy_distance",
    "energy_score",
    "kl_from_counts",
    "plug_in_kl",
    "ranks",
    "sliced_distance",
    "stray_share",
]


def binned_kl(x: Tensor, data: Reference) -> float:
    r"""An estimate of :math:`\mathrm{KL}(\text{samples} \,\Vert\, \text{data})` in nats, from cells of one probability.

    It is :func:`kl_from_counts` of the cells into which ``data`` cuts the plane: zero on average for true samples (with
    10,000 of them on the 500 cells of the swiss roll, give or take 0.0016), and 0.025 for somebody who has memorised
    10,000 points and resamples them.

    Arguments:
        x: points of shape ``(n, 2)``, n ≥ 1, all finite.
        data: what they are measured against, not diffused.

    Raises:
        TypeError, ValueError: they are not, or ``data`` has no cells.

    >>> from diffusion_notes.data import Clusters
    >>> abs(binned_kl(Clusters().sample(10_000, torch.Generator().manual_seed(0)), Clusters())) < 0.006
    True
    """
    check_kind("data", data, Reference, "a distribution with cells, as SwissRoll")
    return kl_from_counts(*data.cells(x))


def kl_from_counts(cell: Tensor, cells: int) -> float:
    r"""The KL divergence in nats of points from a law in which all cells are equally probable, from their counts.

    .. math:: \frac{\chi^2 - \mathrm{df}}{2n}, \qquad \mathrm{df} = \text{cells} - 1 .

    Arguments:
        cell: the number of each point's cell, from 0; an integer tensor of shape ``(n,)``, n ≥ 1.
        cells: how many there are.

    Raises:
        TypeError: ``cell`` is no integer tensor, or ``cells`` no integer.
        ValueError: ``cell`` is empty, not of shape ``(n,)``, or holds a number that is no cell's.

    >>> kl_from_counts(torch.tensor([0, 0, 0, 0]), 2)  # (4 - 1) / 8
    0.375
    """
    cells = check_integer("cells", cells, least=1)
    count = _counts(cell, cells)
    expected = len(cell) / cells
    return (((count - expected).square() / expected).sum().item() - (cells - 1)) / (2 * len(cell))


def plug_in_kl(cell: Tensor, cells: int) -> float:
    r"""The same divergence, in nats, where it is not small: there the one by :math:`\chi^2` is too large.

    .. math:: \sum_j \frac{n_j}{n} \log\frac{n_j\,\text{cells}}{n} - \frac{\text{cells} - 1}{2n}

    It is that of the shares of the cells, less what it is on average for true samples (Miller 1955), and at most the
    logarithm of the number of cells. Arguments and errors as in :func:`kl_from_counts`.

    >>> round(plug_in_kl(torch.tensor([0, 0, 0, 0]), 2) + 1 / 8 - math.log(2), 12)
    0.0
    """
    cells = check_integer("cells", cells, least=1)
    share = _counts(cell, cells) / len(cell)
    return torch.special.xlogy(share, share * cells).sum().item() - (cells - 1) / (2 * len(cell))


def _counts(cell: Tensor, cells: int) -> Tensor:
    """How many points there are in each cell, in float64."""
    if not isinstance(cell, Tensor) or cell.dtype != torch.long:
        raise TypeError(f"cell must be a tensor of int64, got {describe(cell)}")
    if cell.dim() != 1 or not len(cell):
        raise ValueError(f"cell must be of shape (n,) with n at least 1, got {describe(cell)}")
    check_has_values("cell", cell)
    if not bool(((cell >= 0) & (cell < cells)).all()):
        raise ValueError(f"cell must lie in 0, ..., {cells - 1}, and some of its entries do not")
    return torch.bincount(cell, minlength=cells).double()


def stray_share(x: Tensor, data: Reference, further_than: float | None = None) -> float:
    """The share of the points that lie further than ``further_than`` from where the data would be without noise.

    If it is not said, that is three standard deviations of the noise: 0.15 for the standard roll, and the floor, the
    share of true samples, is 0.0027. Arguments and errors as in :func:`binned_kl`.

    >>> from diffusion_notes.data import Clusters
    >>> stray_share(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), Clusters())
    0.5
    """
    check_kind("data", data, Reference, "a distribution with a distance, as SwissRoll")
    further_than = check_positive("further_than", 3 * data.noise if further_than is None else further_than)
    return (data.distance(x) > further_than).double().mean().item()


def band_width(x: Tensor, roll: Band) -> float:
    """The width of the band that the points make around a curve, as a standard deviation.

    It is taken from the median distance across the curve, so that strays do not count. The floor is the noise of the
    data. Arguments and errors as in :func:`binned_kl`; ``roll`` is data along a curve.

    >>> from diffusion_notes.swiss_roll import SwissRoll
    >>> round(band_width(SwissRoll().sample(10_000, torch.Generator().manual_seed(0)), SwissRoll()), 2)
    0.05
    """
    check_kind("roll", roll, Band, "data along a curve, as SwissRoll")
    _, offset = roll.across(x)
    return offset.abs().median().item() / _MEDIAN_OF_ABSOLUTE_NORMAL


def sliced_distance(x: Tensor, y: Tensor) -> float:
    r"""The sliced Wasserstein distance between two sets of as many points in the plane.

    .. math:: \Bigl(\tfrac{1}{\pi} \int_0^\pi W_2^2(\omega_\phi \cdot x,\ \omega_\phi \cdot y)\, d\phi\Bigr)^{1/2}

    with :math:`\omega_\phi` the direction of angle :math:`\phi` (Rabin et al. 2011). On a line, :math:`W_2` pairs the
    points in their order. The integral is a sum over 180 directions that are evenly spaced, so nothing is random.

    Arguments:
        x: points of shape ``(n, 2)``, n ≥ 1, all finite.
        y: as many.

    Raises:
        TypeError, ValueError: they are not, or not alike in shape, dtype and device.

    >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(sliced_distance(square, square + torch.tensor([3.0, 4.0])), 4)  # 5 / √2
    3.5355
    """
    check_samples("x", x, dim=2)
    check_alike("y", y, "x", x)
    check_samples("y", y)
    angle = torch.arange(180, dtype=x.dtype, device=x.device) * math.pi / 180
    directions = torch.stack((angle.cos(), angle.sin()))
    apart = (x @ directions).sort(0).values - (y @ directions).sort(0).values
    return apart.square().mean().sqrt().item()


def energy_distance(x: Tensor, y: Tensor) -> float:
    r"""The energy distance between two sets of points (Székely and Rizzo 2013).

    .. math:: 2\,\mathbb E\lVert X - Y\rVert - \mathbb E\lVert X - X'\rVert - \mathbb E\lVert Y - Y'\rVert

    with :math:`X, X'` drawn from the one set and :math:`Y, Y'` from the other. It is zero for equal sets and positive
    for others. The work is quadratic in the number of points.

    Arguments:
        x: points of shape ``(n, D)``, n ≥ 1, all finite.
        y: points of shape ``(m, D)``, likewise.

    Raises:
        TypeError, ValueError: they are not, or not alike in D, dtype and device.

    >>> energy_distance(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    10.0
    """
    check_samples("x", x)
    check_samples("y", y, dim=x.shape[1])
    check_same_dtype_and_device("y", y, "x", x)
    within = _mean_distance(x, x) + _mean_distance(y, y)
    return 2 * _mean_distance(x, y) - within


def crps(members: Tensor, y: Tensor) -> Tensor:
    r"""The continuous ranked probability score of an ensemble for what came, ``(n,)``, in the units of y.

    .. math:: \int\bigl(F(u) - 1[u \ge y]\bigr)^2\,du
        = \mathbb E\lvert X - y\rvert - \tfrac12\mathbb E\lvert X - X'\rvert

    (Gneiting and Raftery 2007), with F the law of which the members are draws. The second expectation
    leaves out each member with itself, so the estimate is that of the law on average, however few members there are.

    Arguments:
        members: m draws for each of n cases, of shape ``(m, n)``, m ≥ 2, all finite.
        y: what came, of shape ``(n,)``.

    Raises:
        TypeError, ValueError: they are not, or not alike in n, dtype and device.

    >>> crps(torch.tensor([[0.0], [1.0]]), torch.tensor([3.0]))  # 5/2 - 1/2
    tensor([2.])
    """
    check_samples("members", members)
    _check_cases(members, y)
    count = len(members)
    place = torch.arange(1 - count, count, 2, dtype=members.dtype, device=members.device)
    # the sum of |X - X'| over all pairs: each member in its order counts how many are below less how many above
    apart = (place.unsqueeze(-1) * members.sort(0).values).sum(0) * 2
    return (members - y).abs().mean(0) - apart / (2 * count * (count - 1))


def energy_score(members: Tensor, y: Tensor) -> Tensor:
    r"""The same for vectors, ``(n,)``: :math:`\mathbb E\lVert X - y\rVert - \tfrac12\mathbb E\lVert X - X'\rVert`.

    Gneiting and Raftery 2007. For D = 1 it is :func:`crps`. The work is quadratic in m.

    Arguments:
        members: m draws for each of n cases, of shape ``(m, n, D)``, m ≥ 2, all finite.
        y: what came, of shape ``(n, D)``.

    Raises:
        TypeError, ValueError: they are not, or not alike in n, D, dtype and device.

    >>> energy_score(torch.tensor([[[0.0, 0.0]], [[3.0, 4.0]]]), torch.tensor([[0.0, 0.0]]))  # 5/2 - 5/2
    tensor([0.])
    """
    check_tensor("members", members)
    if members.dim() != 3:
        raise ValueError(f"members must have shape (m, n, D), got {tuple(members.shape)}")
    check_samples("members", members.flatten(1))
    _check_cases(members, y)
    count = len(members)
    within = sum((members - each).norm(dim=-1).sum(0) for each in members)
    return (members - y).norm(dim=-1).mean(0) - within / (2 * count * (count - 1))


def ranks(members: Tensor, y: Tensor) -> Tensor:
    """How many members lie below what came, ``(n,)``, of int64: even over 0, ..., m if they are draws of its law.

    Their histogram is that of the probability integral transform (Gneiting and Raftery 2007): U-shaped if the
    forecasts are too narrow, a hill if they are too wide. Arguments and errors as of :func:`crps`.

    >>> ranks(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([1.5]))
    tensor([2])
    """
    check_samples("members", members)
    _check_cases(members, y)
    return (members < y).sum(0)


def _check_cases(members: Tensor, y: Tensor) -> None:
    if len(members) < 2:
        raise ValueError(f"members must be at least 2 of each case, got {len(members)}")
    check_alike("y", y, "one member of each case", members[0])
    check_samples("y", y.flatten().unsqueeze(-1))


def _mean_distance(x: Tensor, y: Tensor) -> float:
    """Of all pairs, a point with itself not left out."""
    direct = "donot_use_mm_for_euclid_dist"  # the product of matrices cancels where points are near
    rows = [torch.cdist(block, y, compute_mode=direct).double().sum() for block in x.split(_BLOCK)]
    return torch.stack(rows).sum().item() / (len(x) * len(y))


_BLOCK = 1000  # points whose distances are held at once
_MEDIAN_OF_ABSOLUTE_NORMAL = 0.6744897501960817
