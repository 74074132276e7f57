"""Gaussians as ``torch.distributions``, and the one helper through which they are sampled.

All the distributions of the book are Gaussians with a diagonal covariance, so that
``kl_divergence(q, p)`` of two of them has a closed form and reads like the equation.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.distributions import Distribution, Independent, Normal

from diffusion_notes._arguments.tensors import (
    check_broadcasts,
    check_generator,
    check_last_axis,
    check_tensor,
)
from diffusion_notes._arguments.values import describe

__all__ = ["draw", "gaussian", "randn_like", "standard_normal"]


def gaussian(mean: Tensor, std: Tensor) -> Independent:
    r"""The diagonal Gaussian :math:`\mathcal N(\mu, \operatorname{diag}(\sigma^2))`.

    Arguments:
        mean: :math:`\mu`, of shape ``(..., D)``. Its last axis is the event.
        std: :math:`\sigma`, broadcastable to ``mean``, and of its dtype.

    Values are not checked, because this is called inside loops: not even whether ``std`` is positive.

    Raises:
        TypeError: an argument is not a floating-point tensor.
        ValueError: ``mean`` has no axis to be the event, or ``std`` does not fit it.

    >>> gaussian(torch.zeros(5, 2), torch.ones(5, 1)).log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """
    check_last_axis("mean", mean)
    check_broadcasts("std", std, "mean", mean)
    return Independent(Normal(mean, std, validate_args=False), 1, validate_args=False)


def standard_normal(like: Tensor) -> Independent:
    r""":math:`\mathcal N(0, I)` with the shape, device and dtype of ``like``.

    >>> standard_normal(torch.empty(5, 2)).event_shape
    torch.Size([2])
    """
    check_last_axis("like", like)
    return gaussian(torch.zeros_like(like), torch.ones_like(like))


def draw(distribution: Distribution, generator: Generator | None = None) -> Tensor:
    r"""One reparameterised sample, :math:`\mu + \sigma\varepsilon`, drawn with ``generator``.

    torch's own ``rsample`` takes no generator, and a book whose numbers are tested needs one. Values are not
    checked, because this is called inside loops.

    Raises:
        TypeError: ``distribution`` is not a :func:`gaussian`.

    >>> draw(gaussian(torch.tensor([1.0]), torch.tensor([0.0])))
    tensor([1.])
    """
    normal = distribution.base_dist if isinstance(distribution, Independent) else distribution
    if not isinstance(normal, Normal):
        raise TypeError(f"distribution must be a Gaussian, got {describe(distribution)}")
    return normal.loc + normal.scale * randn_like(normal.loc, generator)


def randn_like(x: Tensor, generator: Generator | None = None) -> Tensor:
    """``torch.randn_like`` with a generator.

    >>> randn_like(torch.zeros(5, 2)).shape
    torch.Size([5, 2])
    """
    check_tensor("x", x)
    check_generator("generator", generator, x.device)
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
