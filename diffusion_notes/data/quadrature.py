"""Integrals of smooth functions, to more digits than anybody prints."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffusion_notes._arguments.tensors import check_returned, checked_device
from diffusion_notes._arguments.values import check_integer, check_kind, check_positive

__all__ = ["integrate_plane", "unit_interval"]


def unit_interval(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [0, 1].

    Raises a TypeError or a ValueError unless ``count`` is an integer and at least 1.

    >>> node, weight = unit_interval(5)
    >>> bool(abs((weight * node**9).sum() - 1 / 10) < 1e-15)
    True
    """
    return _unit_interval(check_integer("count", count, least=1))


@functools.lru_cache
def _unit_interval(count: int) -> tuple[np.ndarray, np.ndarray]:
    node, weight = np.polynomial.legendre.leggauss(count)
    return (node + 1) / 2, weight / 2


def integrate_plane(
    f: Callable[[Tensor], Tensor],
    reach: float,
    step: float,
    device: torch.device | None = None,
    weight: Callable[[Tensor], Tensor] | None = None,
    where: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    r"""The integral of ``f`` over the square :math:`[-\text{reach}, \text{reach}]^2`, by the trapezoidal rule.

    For a smooth function that has died out at the border, this converges faster than any power of
    the step. ``f`` takes float64 points of shape ``(n, 2)`` and returns ``(n, ...)``; it is multiplied by
    ``weight``, which returns ``(n,)``, if that is given. If ``where`` is given, which returns ``(n,)`` of bools, the
    integrand is taken to be zero wherever that is false, and is not computed there.

    Raises:
        TypeError: ``f`` cannot be called or returns no tensor, a length is no number, or ``device`` is none.
        ValueError: a length is not positive and finite, ``step`` is too small for ``reach``, or ``f`` does not
            return ``(n, ...)``.

    >>> gauss = lambda x: torch.exp(-x.square().sum(-1) / 2)
    >>> bool((integrate_plane(gauss, reach=9.0, step=0.5) - 2 * math.pi).abs() < 1e-12)
    True
    """
    check_kind("f", f, Callable, "callable as f(x)")
    check_kind("weight", weight, (Callable, type(None)), "callable as weight(x), or None")
    check_kind("where", where, (Callable, type(None)), "callable as where(x), or None")
    reach = check_positive("reach", reach)
    step = check_positive("step", step)
    if reach > _FINEST * step:
        raise ValueError(f"step must be at least {reach / _FINEST:g}, a {_FINEST}th of reach, got {step}")

    def total(points: Tensor) -> Tensor:
        value = f(points)
        check_returned("f", value, points.shape[:1], rest=True)
        if weight is None:
            return value.sum(0)
        each = weight(points)
        check_returned("weight", each, points.shape[:1])
        return torch.tensordot(each, value.to(each.dtype), 1)

    count = 1 + math.ceil(2 * reach / step)
    axis = torch.linspace(-reach, reach, count, dtype=torch.float64, device=checked_device(device))
    cell = (2 * reach / (count - 1)) ** 2
    points = torch.cartesian_prod(axis, axis)
    if where is not None:
        points = torch.cat([block[where(block)] for block in points.split(_BLOCK)])
    return cell * torch.stack([total(block) for block in points.split(_BLOCK)]).sum(0)


def log_sum_exp(logits: Tensor) -> Tensor:
    r""":math:`\log \sum_k e^{\ell_k}` over the last axis, with a gradient that is as good as its value.

    The gradient is a softmax. That of ``torch.logsumexp`` is :math:`e^{\ell_k - \text{result}}`, whose sum is far from
    one where the logits are so large that rounding the result changes it by more than a little.

    >>> log_sum_exp(torch.zeros(2)).exp()
    tensor(2.)
    """
    # a constant: the softmax of what is left is that of the logits
    largest = logits.detach().amax(-1, keepdim=True).nan_to_num(neginf=0.0)
    return (logits - largest).exp().sum(-1).log() + largest.squeeze(-1)


_FINEST = 5000  # steps from the middle to the border: a hundred million points
_BLOCK = 512  # points at once
