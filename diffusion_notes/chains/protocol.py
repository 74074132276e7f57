r"""One protocol for every chain of latent variables, and one estimate of its evidence lower bound.

A chain has data :math:`z_0 = x`, latents :math:`z_1, \dots, z_L` and two models of them:

.. math::
    p_\theta(z_{0:L}) = p(z_L) \prod_{i=1}^{L} p_\theta(z_{i-1} \mid z_i), \qquad
    q_\phi(z_{1:L} \mid z_0) = \prod_{i=1}^{L} q_\phi(z_i \mid z_{i-1}).

A VAE is the chain of length 1, a hierarchical VAE the chain of length 2, a diffusion model the chain
of length T whose q has no parameters. The functions here know none of them: they only walk the path

.. math::
    \log p_\theta(x) \ge \mathbb E_{q_\phi} \Bigl[ \log p(z_L)
        + \sum_{i=1}^{L} \log \frac{p_\theta(z_{i-1} \mid z_i)}{q_\phi(z_i \mid z_{i-1})} \Bigr].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor
from torch.distributions import Independent

from diffusion_notes._arguments.tensors import check_event, check_generator, check_points
from diffusion_notes._arguments.values import check_integer, describe
from diffusion_notes.distributions import draw

__all__ = ["Bound", "Chain", "check_chain", "elbo", "importance_bound", "sample"]


@runtime_checkable
class Chain(Protocol):
    """What a model must offer for its bound to be estimated and its samples to be drawn.

    Points have shape ``(n, D_i)``; the latents of different layers may have different dimensions.

    Attributes:
        length: L, the number of latents.
    """

    length: int

    def prior(self, like: Tensor) -> Independent:
        """:math:`p(z_L)` for as many points, on the device and in the dtype, as ``like`` has."""

    def infer(self, z: Tensor, i: int) -> Independent:
        r""":math:`q_\phi(z_i \mid z_{i-1} = z)`, for i from 1 to L."""

    def generate(self, z: Tensor, i: int) -> Independent:
        r""":math:`p_\theta(z_{i-1} \mid z_i = z)`, for i from 1 to L."""


@dataclass(frozen=True)
class Bound:
    r"""One sample of the evidence lower bound for each of n points, in nats.

    Attributes:
        terms: of shape ``(L + 1, n)``. The first is the reconstruction :math:`\log p(x \mid z_1)`,
            then come the layers :math:`\log p(z_i \mid z_{i+1}) - \log q(z_i \mid z_{i-1})` for
            i = 1, ..., L − 1, and the last is the prior's, :math:`\log p(z_L) - \log q(z_L \mid z_{L-1})`.
    """

    terms: Tensor

    @property
    def reconstruction(self) -> Tensor:
        r""":math:`\log p(x \mid z_1)`, of shape ``(n,)``."""
        return self.terms[0]

    @property
    def layers(self) -> Tensor:
        """The terms of the latents between the first and the last, of shape ``(L - 1, n)``."""
        return self.terms[1:-1]

    @property
    def prior(self) -> Tensor:
        r""":math:`\log p(z_L) - \log q(z_L \mid z_{L-1})`, of shape ``(n,)``."""
        return self.terms[-1]

    @property
    def total(self) -> Tensor:
        """The bound of each point, of shape ``(n,)``: the sum of the terms."""
        return self.terms.sum(0)

    @property
    def mean(self) -> Tensor:
        """The average of the total over the points."""
        return self.total.mean()

    @property
    def standard_error(self) -> Tensor:
        """The standard error of :attr:`mean`, over points and samples; NaN for a single point."""
        return self.total.std() / len(self.total) ** 0.5


def elbo(chain: Chain, x: Tensor, generator: Generator | None = None) -> Bound:
    r"""An unbiased estimate of the bound from one path :math:`z_1, \dots, z_L \sim q(\cdot \mid x)` a point.

    The draws are reparameterised, so the gradient of the estimate is an unbiased estimate of the
    bound's gradient. For more paths a point, repeat the points. Values are not checked, because this is
    called at every step of training.

    Arguments:
        chain: any :class:`Chain`.
        x: points of shape ``(n, D)``.
        generator: draws the paths, on the device of ``x``.

    Raises:
        TypeError: ``chain`` is no chain, or ``x`` is not a floating-point tensor.
        ValueError: ``x`` is empty, or not of shape ``(n, D)``.
    """
    _check(chain, x, generator)
    z = x
    log_q = torch.zeros_like(x[:, 0])
    terms = []
    for i in range(1, chain.length + 1):
        q = chain.infer(z, i)
        above = draw(q, generator)
        p = chain.generate(above, i)
        check_event("x" if i == 1 else "z", z, p)
        terms.append(p.log_prob(z) - log_q)
        log_q = q.log_prob(above)
        z = above
    terms.append(chain.prior(z).log_prob(z) - log_q)
    return Bound(torch.stack(terms))


def importance_bound(chain: Chain, x: Tensor, samples: int, generator: Generator | None = None) -> Tensor:
    r""":math:`\log \frac1K \sum_k \frac{p(x, z^k)}{q(z^k \mid x)}` with K paths a point, of shape ``(n,)``.

    Its expectation is a lower bound on :math:`\log p(x)` that rises with K and tends to it (Burda et
    al. 2016). With K = 1 it is the ELBO. Arguments and errors as in :func:`elbo`; ``samples`` is K,
    at least 1.
    """
    check_points("x", x, finite=True)
    samples = check_integer("samples", samples, least=1)
    log_weight = torch.stack([elbo(chain, x, generator).total for _ in range(samples)])
    return log_weight.logsumexp(0) - torch.tensor(samples, dtype=x.dtype, device=x.device).log()


def sample(chain: Chain, like: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw from the generative model: as many points, on the device and in the dtype, as ``like`` has.

    From the prior down, each layer is drawn from the one above it, the data included. Errors as in
    :func:`elbo`.
    """
    _check(chain, like, generator, "like")
    z = draw(chain.prior(like), generator)
    for i in range(chain.length, 0, -1):
        z = draw(chain.generate(z, i), generator)
    return z


def check_chain(chain: Chain, length: int | None = None) -> None:
    """Raise unless ``chain`` is a :class:`Chain` (TypeError), of that length if one is given (ValueError).

    >>> check_chain("a chain")
    Traceback (most recent call last):
    TypeError: chain must have length, prior, infer and generate, got str 'a chain'
    """
    if not isinstance(chain, Chain) or isinstance(chain, type):
        raise TypeError(f"chain must have length, prior, infer and generate, got {describe(chain)}")
    if chain.length != (length or chain.length):
        raise ValueError(f"chain must have length {length}, got {chain.length}")


def _check(chain: Chain, x: Tensor, generator: Generator | None, name: str = "x") -> None:
    check_chain(chain)
    check_points(name, x, least=1)
    check_generator("generator", generator, x.device)
