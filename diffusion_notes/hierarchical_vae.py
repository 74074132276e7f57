r"""Two layers of latents: the hierarchical VAE, and the ways to split its bound into one term a layer.

.. math::
    p(x, z_1, z_2) = p(x \mid z_1)\, p(z_1 \mid z_2)\, p(z_2), \qquad
    q(z_1, z_2 \mid x) = q(z_1 \mid x)\, q(z_2 \mid z_1).

The bound is that of :mod:`~diffusion_notes.chains`, for any number of layers. :func:`splits` computes, exactly
and for linear-Gaussian chains, what becomes of it under several splits, of which one is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from diffusion_notes._arguments.tensors import check_points
from diffusion_notes._arguments.values import check_kind
from diffusion_notes.chains import Affine, LinearGaussianChain, NeuralChain

__all__ = ["HierarchicalVAE", "Splits", "splits"]


class HierarchicalVAE(NeuralChain):
    """The chain of two layers or more, all of it inherited: a VAE differs in nothing but the length.

    >>> HierarchicalVAE([2, 1]).length
    2
    """


@dataclass(frozen=True)
class Splits:
    r"""The bound of a chain of length two, split in three ways; every field is exact, in nats, of shape ``(n,)``.

    Attributes:
        log_prob: :math:`\log p(x)`.
        elbo: the bound itself.
        reconstruction: :math:`\mathbb E_{q(z_1 \mid x)} \log p(x \mid z_1)`, the first term of all three.
        shared: the mutual information :math:`I_q(z_1; z_2 \mid x)`.
        to_true_posterior: :math:`D_{KL}(q(z_1 \mid x) \,\Vert\, p(z_1 \mid x))`.
        averaged: :math:`\mathbb E_{q(z_2 \mid x)} D_{KL}(q(z_1 \mid x) \,\Vert\, p(z_1 \mid z_2))`.
        conditional: :math:`\mathbb E_{q(z_2 \mid x)} D_{KL}(q(z_1 \mid z_2, x) \,\Vert\, p(z_1 \mid z_2))`.
        top: :math:`D_{KL}(q(z_2 \mid x) \,\Vert\, p(z_2))`.
        top_given_below: :math:`\mathbb E_{q(z_1 \mid x)} D_{KL}(q(z_2 \mid z_1) \,\Vert\, p(z_2))`.
    """

    log_prob: Tensor
    elbo: Tensor
    reconstruction: Tensor
    shared: Tensor
    to_true_posterior: Tensor
    averaged: Tensor
    conditional: Tensor
    top: Tensor
    top_given_below: Tensor

    @property
    def printed(self) -> Tensor:
        """The split with the true posterior in the middle, which is no bound at all."""
        return self.reconstruction - self.to_true_posterior - self.top_given_below

    @property
    def repaired(self) -> Tensor:
        """Its obvious repair, which is a bound, but of nobody."""
        return self.reconstruction - self.averaged - self.top_given_below

    @property
    def posterior_form(self) -> Tensor:
        """The right one, with q turned around by Bayes' rule."""
        return self.reconstruction - self.conditional - self.top


def splits(chain: LinearGaussianChain, x: Tensor) -> Splits:
    """All the terms of :class:`Splits` in closed form, for points of shape ``(n, D)``.

    Raises:
        TypeError: ``chain`` is no ``LinearGaussianChain``, or ``x`` no floating-point tensor.
        ValueError: it is not of length two, or ``x`` not of shape ``(n, D)``.
    """
    check_kind("chain", chain, LinearGaussianChain)
    if chain.length != 2:
        raise ValueError(f"chain must have length 2, got {chain.length}")
    check_points("x", x, dim=len(chain.generative[0].bias), least=1)
    first = len(chain.inference[0].bias)
    above = chain.generative[1]
    q = chain.inferred(x)
    mean = q.mean
    covariance = q.covariance_matrix[0]  # one for all points
    q1 = _marginal(q, slice(None, first))
    q2 = _marginal(q, slice(first, None))
    # q(z_1 | z_2, x), whose mean is affine in z_2 and whose covariance is the same for all z_2
    gain = torch.linalg.solve(covariance[first:, first:], covariance[first:, :first]).T
    left = covariance[:first, :first] - gain @ covariance[first:, :first]
    offset = mean[:, :first] - mean[:, first:] @ gain.T

    exact = chain.exact_elbo(x)
    return Splits(
        log_prob=chain.log_prob(x),
        elbo=exact.total,
        reconstruction=exact.reconstruction,
        shared=q1.entropy() + q2.entropy() - q.entropy(),
        to_true_posterior=kl_divergence(q1, _marginal(chain.posterior(x), slice(None, first))),
        averaged=_expected_kl(torch.zeros_like(gain), mean[:, :first], covariance[:first, :first], above, q2),
        conditional=_expected_kl(gain, offset, left, above, q2),
        top=kl_divergence(q2, _standard_normal(q2)),
        top_given_below=-exact.prior,
    )


def _marginal(joint: MultivariateNormal, part: slice) -> MultivariateNormal:
    return MultivariateNormal(joint.mean[:, part], joint.covariance_matrix[0, part, part], validate_args=False)


def _standard_normal(like: MultivariateNormal) -> MultivariateNormal:
    covariance = like.covariance_matrix[0]
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return MultivariateNormal(torch.zeros_like(like.mean), eye, validate_args=False)


def _expected_kl(gain: Tensor, offset: Tensor, covariance: Tensor, p: Affine, q2: MultivariateNormal) -> Tensor:
    """E over z_2 ~ q2 of KL(N(gain z_2 + offset, covariance) ‖ p(z_1 | z_2)), which is quadratic in z_2."""
    slope = gain - p.weight
    apart = q2.mean @ slope.T + offset - p.bias
    square = apart.square().sum(-1) + (slope @ q2.covariance_matrix[0] @ slope.T).trace()
    dim = len(p.bias)
    size = dim * (2 * p.std.log() - 1) - torch.linalg.slogdet(covariance).logabsdet
    return (size + (covariance.trace() + square) / p.std**2) / 2
