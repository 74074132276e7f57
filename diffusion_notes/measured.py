r"""Distances between two sets of points, for samples of which nothing is known but true ones to compare with.

Neither knows the roll, so both serve for any data. What they can see is limited by the number of points: put each
beside its floor, the distance between two sets of true samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffusion_notes.tensor_checks import check_alike, check_has_values, check_place, check_points, check_precise

__all__ = ["energy_distance", "sliced_distance"]


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
    _check(x, y, dim=2)
    check_alike("y", y, "x", x)
    angle = torch.arange(180, dtype=x.dtype, device=x.device) * math.pi / 180
    directions = torch.stack((angle.cos(), angle.sin()))
    one, other = ((points @ directions).sort(0).values for points in (x, y))
    return (one - other).square().mean().sqrt().item()


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
    _check(x, y)
    within = _mean_distance(x, x) + _mean_distance(y, y)
    return 2 * _mean_distance(x, y) - within


def _check(x: Tensor, y: Tensor, dim: int | None = None) -> None:
    check_points("x", x, dim, least=1, finite=True)
    check_points("y", y, dim=x.shape[1], least=1, finite=True)
    check_has_values("x", x)
    check_precise("x", x)
    check_place("y", y, "x", x)


def _mean_distance(x: Tensor, y: Tensor) -> float:
    """Of all pairs, a point with itself not left out."""
    direct = "donot_use_mm_for_euclid_dist"  # the product of matrices cancels where points are near
    rows = [torch.cdist(block, y, compute_mode=direct).double().sum() for block in x.split(_BLOCK)]
    return torch.stack(rows).sum().item() / (len(x) * len(y))


_BLOCK = 1000  # points whose distances are held at once
