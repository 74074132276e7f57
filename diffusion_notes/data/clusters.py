r"""Eight clusters on a ring: a second distribution whose every quantity is known.

The roll is one connected band. This one falls apart into pieces:

.. math::
    q(x_0) = \frac18 \sum_{k=1}^{8} \mathcal N\bigl(x_0;\ c_k,\ s^2 I\bigr), \qquad
    c_k = \bigl(\cos\tfrac{2\pi k}{8},\ \sin\tfrac{2\pi k}{8}\bigr).

Diffusion shrinks the ring and widens the clusters, as it does with the roll's spiral and its band.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import (
    check_last_axis,
    check_samples,
    checked_draws,
)
from diffusion_notes._arguments.values import check_inside, check_number
from diffusion_notes.data.mixtures import GaussianMixture
from diffusion_notes.data.quadrature import integrate_plane, log_sum_exp

__all__ = ["Clusters"]

_COUNT = 8
_STEPS_PER_NOISE = 2.5  # of the grid in the plane


class Clusters:
    r"""Eight equal Gaussians, evenly on a circle of radius 1; clean or diffused to one noise level.

    Arguments:
        noise: the standard deviation :math:`s` of a cluster.

    Raises:
        TypeError: ``noise`` is no number.
        ValueError: it does not lie strictly between 0.02 and 0.1: the clusters would touch.

    Everything is computed in the dtype and on the device of the points given. Their values are not checked,
    because this is called inside loops.

    >>> clusters = Clusters()
    >>> round(clusters.entropy().item(), 4) == round(math.log(8) + math.log(2 * math.pi * math.e * 0.08**2), 4)
    True
    """

    def __init__(self, noise: float = 0.08) -> None:
        self.noise = check_inside("noise", noise, 0.02, 0.1)
        self.alpha_bar = 1.0

    def __repr__(self) -> str:
        diffused = "" if self.alpha_bar == 1 else f".diffuse({self.alpha_bar})"
        return f"Clusters(noise={self.noise:g}){diffused}"

    def diffuse(self, alpha_bar: float) -> Clusters:
        r"""The distribution of :math:`x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon`.

        Raises:
            TypeError: ``alpha_bar`` is no number.
            ValueError: it lies outside [0, 1].
        """
        diffused = Clusters(self.noise)
        diffused.alpha_bar = self.alpha_bar * check_number("alpha_bar", alpha_bar, 0, 1)
        return diffused

    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """``n`` independent points, of shape ``(n, 2)``; arguments and errors as in ``SwissRoll.sample``."""
        n, device = checked_draws(n, generator, device, dtype)
        k = torch.randint(_COUNT, (n,), generator=generator, device=device)
        normal = torch.randn(n, 2, generator=generator, device=device, dtype=dtype)
        return self._centres(normal)[k] + self._variance**0.5 * normal

    def log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log q(x)` in nats; ``x`` of shape ``(..., 2)`` to ``(...)``.

        Raises:
            TypeError: ``x`` is not a floating-point tensor.
            ValueError: the last axis of ``x`` does not have length 2.
        """
        check_last_axis("x", x, 2)
        logits, _ = self._mixture(x)
        return log_sum_exp(logits) - math.log(_COUNT * 2 * math.pi * self._variance)

    def score(self, x: Tensor) -> Tensor:
        r""":math:`\nabla_x \log q(x)`, of shape ``(..., 2)``. Raises what :meth:`log_prob` raises."""
        check_last_axis("x", x, 2)
        logits, away = self._mixture(x)
        return (logits.softmax(-1).unsqueeze(-1) * away).sum(-2) / self._variance

    def expect(self, f: Callable[[Tensor], Tensor]) -> Tensor:
        r""":math:`\mathbb E_{q(x)}[f(x)]`, exact to quadrature, as ``SwissRoll.expect``.

        >>> Clusters().expect(lambda x: torch.ones_like(x))
        tensor([1.0000, 1.0000], dtype=torch.float64)
        """
        noise = self._variance**0.5
        reach = self.alpha_bar**0.5 + 8 * noise
        return integrate_plane(f, reach, noise / _STEPS_PER_NOISE, weight=lambda x: self.log_prob(x).exp())

    def entropy(self) -> Tensor:
        r""":math:`H(q) = -\mathbb E[\log q(x)]` in nats."""
        return self.expect(lambda x: -self.log_prob(x))

    def mixture(self) -> GaussianMixture:
        """The same as a :class:`~diffusion_notes.data.mixtures.GaussianMixture`, clean or as it is diffused.

        Its parts are the clusters, in the order of k.

        >>> Clusters().mixture().mean.shape
        torch.Size([8, 2])
        """
        clean = Clusters(self.noise)
        variance = torch.full((2,), self.noise**2, dtype=torch.float64, device="cpu")
        equal = torch.zeros(_COUNT, dtype=torch.float64, device="cpu")
        return GaussianMixture(equal, clean._centres(variance), variance).diffuse(self.alpha_bar)

    def distance(self, x: Tensor) -> Tensor:
        """How far each of n points, ``(n, 2)``, is from the nearest centre, ``(n,)``; errors as of :meth:`cells`."""
        return self._from_nearest(x)[1].norm(dim=-1)

    def cells(self, x: Tensor) -> tuple[Tensor, int]:
        """The cell in which each of n points lies, ``(n,)``, and how many cells of the same probability there are: 480.

        Each cluster is cut into 6 rings and 10 sectors.

        Raises:
            TypeError, ValueError: ``x`` is not a floating-point tensor of shape ``(n, 2)`` with n ≥ 1, all finite, or
                the clusters are diffused.
        """
        cluster, way = self._from_nearest(x)
        right, up = (way / self.noise).unbind(-1)
        ring = (6 * -torch.expm1(-(right.square() + up.square()) / 2)).long().clamp(max=5)
        sector = (10 * (torch.atan2(up, right) / (2 * math.pi) + 0.5)).long().clamp(max=9)
        return cluster * 60 + ring * 10 + sector, _COUNT * 60

    def _from_nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest cluster, and the way from its centre."""
        if self.alpha_bar != 1:
            raise ValueError(
                f"cells and distance must be asked of clean clusters, and these are diffused: got {self!r}"
            )
        check_samples("x", x, dim=2)
        centre = self._centres(x)
        cluster = torch.cdist(x, centre).argmin(-1)
        return cluster, x - centre[cluster]

    @property
    def _variance(self) -> float:
        return self.alpha_bar * self.noise**2 + 1 - self.alpha_bar

    def _mixture(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """−distance²/2v of every centre, and the way there."""
        away = self._centres(x) - x.unsqueeze(-2)
        return -away.square().sum(-1) / (2 * self._variance), away

    def _centres(self, like: Tensor) -> Tensor:
        angle = torch.arange(1, 1 + _COUNT, dtype=like.dtype, device=like.device) * (2 * math.pi / _COUNT)
        return self.alpha_bar**0.5 * torch.stack((angle.cos(), angle.sin()), -1)
