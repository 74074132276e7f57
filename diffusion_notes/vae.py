r"""The variational autoencoder: the chain of length one, and what can be known about it exactly.

.. math::
    \log p_\theta(x) = \log \int p_\theta(x \mid z)\, p(z)\, dz
    \ \ge\ \mathbb E_{q_\phi(z \mid x)} \Bigl[ \log \frac{p_\theta(x \mid z)\, p(z)}{q_\phi(z \mid x)} \Bigr],
    \qquad p(z) = \mathcal N(0, I)

(Kingma and Welling 2014). The gap is :math:`D_{KL}(q_\phi(z \mid x) \,\Vert\, p_\theta(z \mid x))`. The bound and
its importance-weighted form are those of :mod:`~diffusion_notes.chains`; here are the model, and the two
estimates that the VAE replaces: of the integral, and of the gradient.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from diffusion_notes._arguments.tensors import check_event, check_generator, check_points, check_same_dtype_and_device
from diffusion_notes._arguments.values import check_integer, check_kind
from diffusion_notes.chains import Affine, Chain, NeuralChain
from diffusion_notes.chains.protocol import check_chain
from diffusion_notes.distributions import draw

__all__ = ["VAE", "naive_estimate", "naive_spread", "score_function_surrogate"]


class VAE(NeuralChain):
    r"""The chain of length one: an encoder :math:`q_\phi(z \mid x)` and a decoder :math:`p_\theta(x \mid z)`.

    Arguments:
        latent: the number of coordinates of z.
        dim: D, the number of coordinates of a data point.
        sizes: all else, by name, as in :class:`~diffusion_notes.chains.neural.NeuralChain`.

    Raises:
        TypeError, ValueError: as there, or ``latent`` is no positive integer.

    >>> VAE(latent=1).loss(torch.zeros(5, 2)).shape
    torch.Size([])
    """

    def __init__(self, latent: int, dim: int = 2, **sizes: Any) -> None:
        super().__init__([check_integer("latent", latent, least=1)], dim, **sizes)


def naive_estimate(chain: Chain, x: Tensor, samples: int, generator: Generator | None = None) -> Tensor:
    r""":math:`\log \frac1K \sum_k p(x \mid z^k)` with :math:`z^k \sim p(z)`: Monte Carlo over the prior.

    The average is unbiased for :math:`p(x)`, its logarithm is too low on average. Returns one number
    for each point. Arguments and errors as in :func:`~diffusion_notes.chains.protocol.importance_bound`.
    """
    check_chain(chain, length=1)
    check_points("x", x, least=1, finite=True)
    samples = check_integer("samples", samples, least=1)
    check_generator("generator", generator, x.device)
    log_p = []
    for _ in range(samples):
        p = chain.generate(draw(chain.prior(x), generator), 1)
        check_event("x", x, p)
        log_p.append(p.log_prob(x))
    return torch.stack(log_p).logsumexp(0) - math.log(samples)


def naive_spread(p: Affine, x: Tensor) -> Tensor:
    r"""The relative variance of one term of :func:`naive_estimate`, exactly, for a linear-Gaussian decoder.

    .. math::
        \frac{\mathbb E_{p(z)}[p(x \mid z)^2]}{p(x)^2} - 1, \qquad
        \mathbb E_{p(z)}[p(x \mid z)^2] = (4\pi s^2)^{-D/2}\, \mathcal N\bigl(x;\ b,\ W W^\top + \tfrac{s^2}{2} I\bigr),

    since the square of a Gaussian is a Gaussian with half the variance. The average of K terms has the
    relative variance of one, divided by K. ``x`` of shape ``(n, D)`` to ``(n,)``.

    >>> p = Affine(torch.zeros(2, 1), torch.zeros(2), torch.tensor(1.0))
    >>> naive_spread(p, torch.zeros(1, 2)).abs() < 1e-5  # z does not matter, so nothing varies
    tensor([True])
    """
    check_kind("p", p, Affine, "Affine")
    check_points("x", x, dim=len(p.bias), finite=True)
    check_same_dtype_and_device("x", x, "p", p.weight)
    reach = p.weight @ p.weight.T
    noise = p.std**2 * torch.eye(len(p.bias), dtype=x.dtype, device=x.device)
    narrow = MultivariateNormal(p.bias, reach + noise / 2, validate_args=False)
    wide = MultivariateNormal(p.bias, reach + noise, validate_args=False)
    log_square = narrow.log_prob(x) - x.shape[1] / 2 * (math.log(4 * math.pi) + 2 * p.std.log())
    return (log_square - 2 * wide.log_prob(x)).expm1()


def score_function_surrogate(chain: Chain, x: Tensor, generator: Generator | None = None) -> Tensor:
    r"""What to differentiate for the score-function estimate of the bound's gradient; one z a point, ``(n,)``.

    With :math:`f(z) = \log p_\theta(x, z) - \log q_\phi(z \mid x)` and z held fixed,

    .. math:: \nabla\,\mathbb E_q[f] = \mathbb E_q\bigl[ f(z)\,\nabla\log q_\phi(z \mid x) + \nabla f(z) \bigr]

    (Williams 1992). Only the value of f is used where the trick of :func:`~diffusion_notes.chains.protocol.elbo`
    uses its slope. Arguments and errors as there. Values are not checked, because this is called at every step
    of training.
    """
    check_chain(chain, length=1)
    check_points("x", x, least=1)
    check_generator("generator", generator, x.device)
    q = chain.infer(x, 1)
    z = draw(q, generator).detach()
    log_q = q.log_prob(z)
    f = chain.generate(z, 1).log_prob(x) + chain.prior(z).log_prob(z) - log_q
    return f.detach() * log_q + f
