r"""A chain of latents whose every step is a network of its own: what a VAE and a hierarchical VAE are.

.. math::
    p_\theta(x, z_{1:L}) = p_\theta(x \mid z_1) \prod_{i=2}^{L} p_\theta(z_{i-1} \mid z_i)\ p(z_L), \qquad
    q_\phi(z_{1:L} \mid x) = q_\phi(z_1 \mid x) \prod_{i=2}^{L} q_\phi(z_i \mid z_{i-1}).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, Tensor, nn
from torch.distributions import Independent

from diffusion_notes._arguments.tensors import check_points
from diffusion_notes._arguments.values import check_integer, check_kind
from diffusion_notes.chains.protocol import elbo
from diffusion_notes.distributions import standard_normal
from diffusion_notes.networks import GaussianMLP

__all__ = ["NeuralChain"]


class NeuralChain(nn.Module):
    r"""A :class:`~diffusion_notes.chains.protocol.Chain` of any length, with a standard normal prior.

    Arguments:
        latents: the number of coordinates of :math:`z_1, \dots, z_L`.
        dim: D, the number of coordinates of a data point.
        std: the standard deviation of :math:`p_\theta(x \mid z_1)`, or None to learn it as a function of :math:`z_1`.
        width: of all networks, as ``depth`` and ``features``: see :class:`~diffusion_notes.networks.GaussianMLP`.
        depth: the number of hidden layers.
        features: the number of random Fourier features.
        generator: draws the initial weights; on the CPU.

    Raises:
        TypeError: ``latents`` is no list, or as :class:`~diffusion_notes.networks.GaussianMLP`.
        ValueError: ``latents`` is empty, or as :class:`~diffusion_notes.networks.GaussianMLP`.

    Values of points are not checked, because this is called inside loops.

    >>> import torch
    >>> NeuralChain([2, 1]).loss(torch.zeros(5, 2)).shape
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
        check_kind("latents", latents, (list, tuple), "a list of sizes")
        self.length = check_integer("the number of latents", len(latents), least=1)
        self.latents = tuple(check_integer("a size in latents", size, least=1) for size in latents)
        layers = list(pairwise([check_integer("dim", dim, least=1), *self.latents]))

        def network(dim_in: int, dim_out: int, std: float | None = None) -> GaussianMLP:
            return GaussianMLP(dim_in, dim_out, width, depth, features, std, generator)

        self.encoders = nn.ModuleList(network(below, above) for below, above in layers)
        self.decoders = nn.ModuleList(
            network(above, below, None if i else std) for i, (below, above) in enumerate(layers)
        )

    def settings(self) -> dict[str, str]:
        """What a training run cannot be resumed without, beside the parameters."""
        return {"model": repr(self)}

    def prior(self, like: Tensor) -> Independent:
        r""":math:`p(z_L) = \mathcal N(0, I)`, for as many points as ``like`` has."""
        check_points("like", like)
        return standard_normal(like.new_zeros(len(like), self.latents[-1]))

    def infer(self, z: Tensor, i: int = 1) -> Independent:
        r""":math:`q_\phi(z_i \mid z_{i-1} = z)`, for i from 1 to L; :math:`z_0` is the data."""
        return self.encoders[self._index(i)](z)

    def generate(self, z: Tensor, i: int = 1) -> Independent:
        r""":math:`p_\theta(z_{i-1} \mid z_i = z)`, for i from 1 to L."""
        return self.decoders[self._index(i)](z)

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """The negative bound in nats, from one path for each point of the batch; errors as in ``chain.elbo``."""
        return -elbo(self, x, generator).mean

    def _index(self, i: int) -> int:
        return check_integer("i", i, least=1, most=self.length) - 1
