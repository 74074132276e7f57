r"""Two layers of latents: the hierarchical VAE, and the ways to split its bound into one term a layer.

.. math::
    p(x, z_1, z_2) = p(x \mid z_1)\, p(z_1 \mid z_2)\, p(z_2), \qquad
    q(z_1, z_2 \mid x) = q(z_1 \mid x)\, q(z_2 \mid z_1).

The bound is that of :mod:`~diffusion_notes.chain`, for any number of layers. :func:`splits` computes, exactly
and for linear-Gaussian chains, what becomes of it under several splits, of which one is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Independent, MultivariateNormal, kl_divergence

from diffusion_notes.chain import elbo
from diffusion_notes.checks import check_integer, check_points, describe
from diffusion_notes.distributions import standard_normal
from diffusion_notes.linear_gaussian import Affine, LinearGaussianChain
from diffusion_notes.networks import GaussianMLP

__all__ = ["HierarchicalVAE", "Splits", "splits"]


class HierarchicalVAE(nn.Module):
    r"""A :class:`~diffusion_notes.chain.Chain` of any length whose every step is a network of its own.

    Arguments:
        latents: the number of coordinates of :math:`z_1, \dots, z_L`.
        dim: D, the number of coordinates of a data point.
        std: the standard deviation of :math:`p_\theta(x \mid z_1)`, or None to learn it as a function of z_1.
        width: of all networks, as ``depth`` and ``features``: see :class:`~diffusion_notes.networks.GaussianMLP`.
        depth: the number of hidden layers.
        features: the number of random Fourier features.
        generator: draws the initial weights; on the CPU.

    Raises:
        TypeError, ValueError: ``latents`` is empty, or as :class:`~diffusion_notes.networks.GaussianMLP`.

    >>> HierarchicalVAE([2, 1]).loss(torch.zeros(5, 2)).shape
    torch.Size([])
    """

    def __init__(
        self,
        latents: Sequence[int],
        dim: int = 2,
        std: float | None = None,
        width: int = 64,
        depth: int = 2,
        features: int = 0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if isinstance(latents, str) or not isinstance(latents, Sequence):
            raise TypeError(f"latents must be a list of sizes, got {describe(latents)}")
        check_integer("the number of latents", len(latents), least=1)
        self.length, self.top = len(latents), latents[-1]
        sizes = {"width": width, "depth": depth, "features": features, "generator": generator}
        steps = list(enumerate(pairwise([dim, *latents])))
        self.encoders = nn.ModuleList(GaussianMLP(below, above, **sizes) for _, (below, above) in steps)
        self.decoders = nn.ModuleList(
            GaussianMLP(above, below, std=None if i else std, **sizes) for i, (below, above) in steps
        )

    def settings(self) -> dict[str, str]:
        """What a training run cannot be resumed without, beside the parameters."""
        return {"model": repr(self)}

    def prior(self, like: Tensor) -> Independent:
        r""":math:`p(z_L) = \mathcal N(0, I)`, for as many points as ``like`` has."""
        return standard_normal(like.new_zeros(len(like), self.top))

    def infer(self, z: Tensor, i: int) -> Independent:
        r""":math:`q_\phi(z_i \mid z_{i-1} = z)`, for i from 1 to L."""
        return self.encoders[self._index(i)](z)

    def generate(self, z: Tensor, i: int) -> Independent:
        r""":math:`p_\theta(z_{i-1} \mid z_i = z)`, for i from 1 to L."""
        return self.decoders[self._index(i)](z)

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """The negative bound in nats, from one path for each point of the batch; errors as in ``chain.elbo``."""
        return -elbo(self, x, generator).mean

    def _index(self, i: int) -> int:
        check_integer("i", i, least=1)
        if i > self.length:
            raise ValueError(f"i must be at most {self.length}, got {i}")
        return i - 1


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
    def turned(self) -> Tensor:
        """The right one, with q turned around by Bayes' rule."""
        return self.reconstruction - self.conditional - self.top


def splits(chain: LinearGaussianChain, x: Tensor) -> Splits:
    """All the terms of :class:`Splits` in closed form, for points of shape ``(n, D)``.

    Raises:
        TypeError: ``chain`` is no ``LinearGaussianChain``, or ``x`` no floating-point tensor.
        ValueError: it is not of length two, or ``x`` not of shape ``(n, D)``.
    """
    if not isinstance(chain, LinearGaussianChain):
        raise TypeError(f"chain must be a LinearGaussianChain, got {describe(chain)}")
    if chain.length != 2:
        raise ValueError(f"chain must have length 2, got {chain.length}")
    check_points("x", x, dim=len(chain.generative[0].bias), least=1)
    first, above = len(chain.inference[0].bias), chain.generative[1]
    q = chain.inferred(x)
    mean, covariance = q.mean, q.covariance_matrix[0]  # one for all points
    q1, q2 = _marginal(q, slice(None, first)), _marginal(q, slice(first, None))
    # q(z_1 | z_2, x), whose mean is affine in z_2 and whose covariance is the same for all z_2
    gain = torch.linalg.solve(covariance[first:, first:], covariance[first:, :first]).T
    left = covariance[:first, :first] - gain @ covariance[first:, :first]
    offset = mean[:, :first] - mean[:, first:] @ gain.T

    exact = chain.exact_elbo(x)
    entropy = (q1.entropy(), q2.entropy(), q.entropy())
    return Splits(
        log_prob=chain.log_prob(x),
        elbo=exact.total,
        reconstruction=exact.reconstruction,
        shared=entropy[0] + entropy[1] - entropy[2],
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
    eye = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    return MultivariateNormal(torch.zeros_like(like.mean), eye, validate_args=False)


def _expected_kl(gain: Tensor, offset: Tensor, covariance: Tensor, p: Affine, q2: MultivariateNormal) -> Tensor:
    """E over z_2 ~ q2 of KL(N(gain z_2 + offset, covariance) ‖ p(z_1 | z_2)), which is quadratic in z_2."""
    slope = gain - p.weight
    apart = q2.mean @ slope.T + offset - p.bias
    square = apart.square().sum(-1) + (slope @ q2.covariance_matrix[0] @ slope.T).trace()
    dim = len(p.bias)
    size = dim * (2 * p.std.log() - 1) - torch.linalg.slogdet(covariance).logabsdet
    return (size + (covariance.trace() + square) / p.std**2) / 2
