r"""A mixture of Gaussians for each condition: what is left to know when something is known, in closed form.

Given the condition of the i-th point, it is one of K Gaussians with diagonal covariances:

.. math::
    q(x_0 \mid c_i) = \sum_{k=1}^{K} w_{ik}\, \mathcal N\bigl(x_0;\ m_{ik},\ \operatorname{diag} v_{ik}\bigr).

Diffusion shrinks every mean and widens every Gaussian, so that the law at each noise level, and with it the noise that
a perfect network predicts, is as well known as that of the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import (
    check_alike,
    check_finite,
    check_generator,
    check_last_axis,
    check_same_dtype_and_device,
    check_tensor,
)
from diffusion_notes._arguments.values import check_number
from diffusion_notes.data.quadrature import log_sum_exp

__all__ = ["ConditionalMixture"]


@dataclass(frozen=True, eq=False)
class ConditionalMixture:
    r"""A mixture of K Gaussians in D dimensions for each of n conditions; clean or diffused to one noise level.

    Arguments:
        log_weight: :math:`\log w_{ik}`, of shape ``(n, K)``; each row is made to add up to one.
        mean: :math:`m_{ik}`, of shape ``(n, K, D)``.
        variance: :math:`v_{ik}`, likewise, positive.

    Raises:
        TypeError: an argument is not a floating-point tensor.
        ValueError: the shapes, dtypes or devices do not fit, or a value is not finite, or a variance not positive.

    Points have shape ``(n, D)``, one for each condition, in the dtype and on the device of the mixture. Their values
    are not checked, because this is called inside loops.

    >>> apart = torch.tensor([[[-1.0], [1.0]]])
    >>> law = ConditionalMixture(torch.zeros(1, 2), apart, torch.full_like(apart, 0.01))
    >>> law.cdf(torch.tensor([[0.0]]))
    tensor([0.5000])
    """

    log_weight: Tensor
    mean: Tensor
    variance: Tensor

    def __post_init__(self) -> None:
        check_tensor("mean", self.mean)
        if self.mean.dim() != 3 or 0 in self.mean.shape[1:]:
            raise ValueError(f"mean must have shape (n, K, D), got {tuple(self.mean.shape)}")
        check_alike("variance", self.variance, "mean", self.mean)
        check_alike("log_weight", self.log_weight, "mean's first coordinate", self.mean[..., 0])
        check_finite("mean", self.mean)
        check_finite("variance", self.variance, positive=True)
        check_finite("log_weight", self.log_weight)
        object.__setattr__(self, "log_weight", self.log_weight.log_softmax(-1))

    def __len__(self) -> int:
        """n, the number of conditions."""
        return len(self.mean)

    def diffuse(self, alpha_bar: float) -> ConditionalMixture:
        r"""The law of :math:`x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon`, given the same.

        Raises:
            TypeError: ``alpha_bar`` is no number.
            ValueError: it lies outside [0, 1].
        """
        alpha_bar = check_number("alpha_bar", alpha_bar, 0, 1)
        variance = alpha_bar * self.variance + (1 - alpha_bar)
        return ConditionalMixture(self.log_weight, math.sqrt(alpha_bar) * self.mean, variance)

    def sample(self, generator: Generator | None = None) -> Tensor:
        """One point for each condition, ``(n, D)``; raises unless ``generator`` is one on the mixture's device."""
        check_generator("generator", generator, self.mean.device)
        about: dict[str, Any] = {"generator": generator, "device": self.mean.device, "dtype": self.mean.dtype}
        u = torch.rand(len(self), 1, **about)
        part = (u > self.log_weight.exp().cumsum(-1)[:, :-1]).sum(-1)
        row = torch.arange(len(self), device=self.mean.device)
        normal = torch.randn(len(self), self.mean.shape[-1], **about)
        return self.mean[row, part] + self.variance[row, part].sqrt() * normal

    def log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log q(x \mid c_i)` in nats; ``x`` of shape ``(n, D)`` to ``(n,)``.

        Raises:
            TypeError: ``x`` is not a floating-point tensor.
            ValueError: it has not the shape, the dtype and the device of a draw.
        """
        return log_sum_exp(self._joint(x))

    def parts(self, x: Tensor) -> Tensor:
        r""":math:`q(k \mid x, c_i)`, from which of the Gaussians each point is, ``(n, K)``; errors as above."""
        return self._joint(x).softmax(-1)

    def score(self, x: Tensor) -> Tensor:
        r""":math:`\nabla_x \log q(x \mid c_i)`, of the shape of ``x``. Raises what :meth:`log_prob` raises."""
        pull = (self.mean - self._checked(x).unsqueeze(1)) / self.variance
        return (self.parts(x).unsqueeze(-1) * pull).sum(1)

    def expected_noise(self, xt: Tensor, alpha_bar: float) -> Tensor:
        r""":math:`\mathbb E[\varepsilon \mid x_t, c_i] = -\sqrt{1-\bar\alpha_t}\,\nabla\log q(x_t \mid c_i)`.

        What a perfect network predicts that is told c. Raises what :meth:`log_prob` and :meth:`diffuse` raise.
        """
        self._checked(xt, "xt")
        return -math.sqrt(1 - check_number("alpha_bar", alpha_bar, 0, 1)) * self.diffuse(alpha_bar).score(xt)

    def moments(self) -> tuple[Tensor, Tensor]:
        """The mean and the standard deviation of each coordinate, ``(n, D)`` each: the best Gaussian without tilt."""
        weight = self.log_weight.exp().unsqueeze(-1)
        mean = (weight * self.mean).sum(1)
        spread = self.variance + (self.mean - mean.unsqueeze(1)).square()
        return mean, (weight * spread).sum(1).sqrt()

    def cdf(self, x: Tensor) -> Tensor:
        r""":math:`P(x_0 \le x \mid c_i)` on a line, D = 1; ``(n, 1)`` to ``(n,)``.

        Raises what :meth:`log_prob` raises, or a ValueError if the mixture is not on a line.
        """
        self._check_line()
        away = (self._checked(x).unsqueeze(1) - self.mean) / self.variance.sqrt()
        return (self.log_weight.exp() * torch.special.ndtr(away.squeeze(-1))).sum(-1)

    def crps(self, x: Tensor) -> Tensor:
        r"""The continuous ranked probability score of this law for what came, on a line; ``(n, 1)`` to ``(n,)``.

        .. math:: \int\bigl(F(u) - 1[u \ge x]\bigr)^2\,du
            = \sum_k w_k A(x - m_k, v_k) - \tfrac12\sum_{k,l} w_k w_l A(m_k - m_l, v_k + v_l), \qquad
            A(m, v) = \mathbb E\lvert m + \sqrt v\,\varepsilon\rvert

        (Grimit et al. 2006), in the units of x. Errors as of :meth:`cdf`.
        """
        self._check_line()
        weight = self.log_weight.exp()
        mean, variance = self.mean.squeeze(-1), self.variance.squeeze(-1)
        far = _mean_absolute(self._checked(x) - mean, variance)
        apart = mean.unsqueeze(2) - mean.unsqueeze(1)
        within = _mean_absolute(apart, variance.unsqueeze(2) + variance.unsqueeze(1))
        pairs = weight.unsqueeze(2) * weight.unsqueeze(1)
        return (weight * far).sum(-1) - (pairs * within).sum((1, 2)) / 2

    def _joint(self, x: Tensor) -> Tensor:
        """The logarithm of each Gaussian's part of the density, ``(n, K)``."""
        squared = (self._checked(x).unsqueeze(1) - self.mean).square() / self.variance
        volume = (2 * math.pi * self.variance).log()
        return self.log_weight - (squared + volume).sum(-1) / 2

    def _checked(self, x: Tensor, name: str = "x") -> Tensor:
        check_last_axis(name, x, self.mean.shape[-1])
        if x.shape != self.mean[:, 0].shape:
            raise ValueError(f"{name} must have shape {tuple(self.mean[:, 0].shape)}, got {tuple(x.shape)}")
        check_same_dtype_and_device(name, x, "the mixture", self.mean)
        return x

    def _check_line(self) -> None:
        if self.mean.shape[-1] != 1:
            raise ValueError(f"the mixture must be on a line, D = 1, got D = {self.mean.shape[-1]}")


def _mean_absolute(mean: Tensor, variance: Tensor) -> Tensor:
    r""":math:`\mathbb E\lvert m + \sqrt v\,\varepsilon\rvert = m(2\Phi(z) - 1) + 2\sqrt v\,\varphi(z)`, z = m/√v."""
    std = variance.sqrt()
    z = mean / std
    return mean * torch.erf(z / math.sqrt(2)) + std * math.sqrt(2 / math.pi) * (-z.square() / 2).exp()
