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

Nothing in this asks that q goes up. One that starts at the top and has seen the data,

.. math::
    q_\phi(z_{1:L} \mid z_0) = q_\phi(z_L \mid z_0) \prod_{i=2}^{L} q_\phi(z_{i-1} \mid z_i, z_0),

is walked the other way (a :class:`TopDownChain`), and then the bound is the same sum with other densities of q in it.
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

__all__ = ["Bound", "Chain", "TopDownChain", "check_chain", "elbo", "importance_bound", "infer_path", "sample"]


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


@runtime_checkable
class TopDownChain(Protocol):
    """A chain whose q starts at the last latent and comes down: the same p as a :class:`Chain`, another kind of q.

    Every step of q sees the data. With fixed variances that is DDIM (Song, Meng and Ermon 2021, equation 6); with
    networks it is how the encoders of the deepest VAEs go (Sønderby et al. 2016). Shapes as in :class:`Chain`.

    Attributes:
        length: L, the number of latents.
    """

    length: int

    def prior(self, like: Tensor) -> Independent:
        """:math:`p(z_L)` for as many points, on the device and in the dtype, as ``like`` has."""

    def infer_last(self, x: Tensor) -> Independent:
        r""":math:`q_\phi(z_L \mid z_0 = x)`."""

    def infer_below(self, z: Tensor, x: Tensor, i: int) -> Independent:
        r""":math:`q_\phi(z_{i-1} \mid z_i = z, z_0 = x)`, for i from 2 to L."""

    def generate(self, z: Tensor, i: int) -> Independent:
        r""":math:`p_\theta(z_{i-1} \mid z_i = z)`, for i from 1 to L."""


@dataclass(frozen=True)
class Bound:
    r"""One sample of the evidence lower bound for each of n points, in nats.

    Attributes:
        terms: of shape ``(L + 1, n)``. The first is the reconstruction :math:`\log p(x \mid z_1)`,
            then come the layers :math:`\log p(z_i \mid z_{i+1}) - \log q(z_i \mid z_{i-1})` for
            i = 1, ..., L − 1, and the last is the prior's, :math:`\log p(z_L) - \log q(z_L \mid z_{L-1})`.
            Of a :class:`TopDownChain`, q stands there given what it was drawn from: the latent above, and x.
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


def elbo(
    chain: Chain | TopDownChain,
    x: Tensor,
    generator: Generator | None = None,
) -> Bound:
    r"""An unbiased estimate of the bound from one path :math:`z_1, \dots, z_L \sim q(\cdot \mid x)` a point.

    The draws are reparameterised, so the gradient of the estimate is an unbiased estimate of the
    bound's gradient. For more paths a point, repeat the points. Values are not checked, because this is
    called at every step of training.

    Arguments:
        chain: any :class:`Chain` or :class:`TopDownChain`.
        x: points of shape ``(n, D)``.
        generator: draws the paths, on the device of ``x``.

    Raises:
        TypeError: ``chain`` is no chain, or ``x`` is not a floating-point tensor.
        ValueError: ``x`` is empty, or not of shape ``(n, D)``.
    """
    z, log_q = infer_path(chain, x, generator)
    terms = []
    for i in range(1, chain.length + 1):
        p = chain.generate(z[i], i)
        check_event("x" if i == 1 else "z", z[i - 1], p)
        terms.append(p.log_prob(z[i - 1]) - log_q[i - 1])
    terms.append(chain.prior(z[-1]).log_prob(z[-1]) - log_q[-1])
    return Bound(torch.stack(terms))


def infer_path(
    chain: Chain | TopDownChain, x: Tensor, generator: Generator | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    r"""Draw one path :math:`z_1, \dots, z_L` a point from q, which goes up from the data or comes down from the top.

    Returns:
        :math:`z_0, \dots, z_L`, of which the first is x, and for each the log density with which it was drawn, in
        nats, ``(n,)``: that of :math:`q(z_i \mid z_{i-1})` or :math:`q(z_i \mid z_{i+1}, x)`, and 0 for x.

    Arguments and errors as in :func:`elbo`. Values are not checked, because this is called at every step of training.
    """
    _check(chain, x, generator)
    if isinstance(chain, TopDownChain):
        z, log_q = _come_down(chain, x, generator)
    else:
        z, log_q = _go_up(chain, x, generator)
    return [x, *z], [torch.zeros_like(x[:, 0]), *log_q]


def _go_up(chain: Chain, x: Tensor, generator: Generator | None) -> tuple[list[Tensor], list[Tensor]]:
    z = [x]
    log_q = []
    for i in range(1, chain.length + 1):
        q = chain.infer(z[-1], i)
        z.append(draw(q, generator))
        log_q.append(q.log_prob(z[-1]))
    return z[1:], log_q


def _come_down(chain: TopDownChain, x: Tensor, generator: Generator | None) -> tuple[list[Tensor], list[Tensor]]:
    q = chain.infer_last(x)
    z = [draw(q, generator)]
    log_q = [q.log_prob(z[-1])]
    for i in range(chain.length, 1, -1):
        q = chain.infer_below(z[-1], x, i)
        z.append(draw(q, generator))
        log_q.append(q.log_prob(z[-1]))
    return z[::-1], log_q[::-1]


def importance_bound(
    chain: Chain | TopDownChain, x: Tensor, samples: int, generator: Generator | None = None
) -> Tensor:
    r""":math:`\log \frac1K \sum_k \frac{p(x, z^k)}{q(z^k \mid x)}` with K paths a point, of shape ``(n,)``.

    Its expectation is a lower bound on :math:`\log p(x)` that rises with K and tends to it (Burda et
    al. 2016). With K = 1 it is the ELBO. Arguments and errors as in :func:`elbo`; ``samples`` is K,
    at least 1.
    """
    check_points("x", x, finite=True)
    samples = check_integer("samples", samples, least=1)
    log_weight = torch.stack([elbo(chain, x, generator).total for _ in range(samples)])
    return log_weight.logsumexp(0) - torch.tensor(samples, dtype=x.dtype, device=x.device).log()


def sample(chain: Chain | TopDownChain, like: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw from the generative model: as many points, on the device and in the dtype, as ``like`` has.

    From the prior down, each layer is drawn from the one above it, the data included. Errors as in
    :func:`elbo`.
    """
    _check(chain, like, generator, "like")
    z = draw(chain.prior(like), generator)
    for i in range(chain.length, 0, -1):
        z = draw(chain.generate(z, i), generator)
    return z


def check_chain(chain: object, length: int | None = None) -> None:
    """Raise unless ``chain`` is a :class:`Chain` (TypeError), of that length if one is given (ValueError).

    >>> check_chain("a chain")
    Traceback (most recent call last):
    TypeError: chain must have length, prior, infer and generate, got str 'a chain'
    """
    if not isinstance(chain, Chain) or isinstance(chain, type):
        raise TypeError(f"chain must have length, prior, infer and generate, got {describe(chain)}")
    if chain.length != (length or chain.length):
        raise ValueError(f"chain must have length {length}, got {chain.length}")


def _check(chain: Chain | TopDownChain, x: Tensor, generator: Generator | None, name: str = "x") -> None:
    if not isinstance(chain, TopDownChain) or isinstance(chain, type):
        check_chain(chain)
    check_points(name, x, least=1)
    check_generator("generator", generator, x.device)
