r"""Two peaks on a line: the smallest data set with something to guess, known in closed form.

A number comes from one of two narrow Gaussians:

.. math::
    q(x_0) = (1 - w)\, \mathcal N(x_0;\ -1,\ s^2) + w\, \mathcal N(x_0;\ 1,\ s^2).

Diffusion moves the peaks together and widens them. Given the peak, :math:`x_s` and a later :math:`x_t` are jointly
Gaussian, so where a noisy number may have been before is a mixture of two Gaussians again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from diffusion_notes._arguments.tensors import check_last_axis, check_returned
from diffusion_notes._arguments.values import check_inside, check_kind, check_number
from diffusion_notes.data.mixtures import GaussianMixture
from diffusion_notes.data.quadrature import log_sum_exp

__all__ = ["Peaks"]

_FAR = 10  # standard deviations: further away there is nothing
_NODES = 4001  # of the trapezoidal rule, which for what dies out at both ends converges faster than any power


class Peaks:
    r"""Two Gaussians on a line, at -1 and at 1; clean or diffused to one noise level.

    Arguments:
        noise: the standard deviation :math:`s` of a peak.
        share: the probability :math:`w` of the right one.

    Raises:
        TypeError: an argument is no number.
        ValueError: ``noise`` does not lie strictly between 0.01 and 1, or ``share`` between 0 and 1.

    Everything is computed in the dtype and on the device of the points given. Their values are not
    checked, because this is called inside loops.

    >>> peaks = Peaks()
    >>> peaks.posterior(torch.tensor([[0.0]]), alpha_bar=0.5).mean
    tensor([[0.]])
    """

    def __init__(self, noise: float = 0.15, share: float = 0.5) -> None:
        self.noise = check_inside("noise", noise, 0.01, 1)
        self.share = check_inside("share", share, 0, 1)
        self.alpha_bar = 1.0

    def __repr__(self) -> str:
        diffused = "" if self.alpha_bar == 1 else f".diffuse({self.alpha_bar})"
        return f"Peaks(noise={self.noise:g}, share={self.share:g}){diffused}"

    def diffuse(self, alpha_bar: float) -> Peaks:
        r"""The distribution of :math:`x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon`.

        Raises:
            TypeError: ``alpha_bar`` is no number.
            ValueError: it lies outside [0, 1].
        """
        diffused = Peaks(self.noise, self.share)
        diffused.alpha_bar = self.alpha_bar * check_number("alpha_bar", alpha_bar, 0, 1)
        return diffused

    def log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log q(x)` in nats; ``x`` of shape ``(..., 1)`` to ``(...)``.

        Raises:
            TypeError: ``x`` is not a floating-point tensor.
            ValueError: the last axis of ``x`` does not have length 1.
        """
        check_last_axis("x", x, 1)
        return log_sum_exp(self._joint(x))

    def score(self, x: Tensor) -> Tensor:
        r""":math:`\nabla_x \log q(x)`, of shape ``(..., 1)``. Raises what :meth:`log_prob` raises."""
        check_last_axis("x", x, 1)
        to_peak = self._centres(x) - x
        weight = self._joint(x).softmax(-1)
        return (weight * to_peak).sum(-1, keepdim=True) / self._variance

    def posterior(self, xt: Tensor, alpha_bar: float, earlier: float = 1.0) -> MixtureSameFamily:
        r""":math:`q(x_s \mid x_t)`: where a noisy number may have been at an earlier step, by default at s = 0.

        With :math:`m_k` the centre of peak k, :math:`v_t = \bar\alpha_t s^2 + 1 - \bar\alpha_t` and
        :math:`r = \sqrt{\bar\alpha_t / \bar\alpha_s}` it is

        .. math::
            \sum_k q(k \mid x_t)\ \mathcal N\Bigl(x_s;\
            \sqrt{\bar\alpha_s}\,m_k + r \tfrac{v_s}{v_t} (x_t - \sqrt{\bar\alpha_t}\,m_k),\
            \tfrac{v_s}{v_t} (1 - r^2)\Bigr).

        Arguments:
            xt: the noisy numbers, of shape ``(..., 1)``.
            alpha_bar: :math:`\bar\alpha_t`, the signal that is left in them.
            earlier: :math:`\bar\alpha_s`, which is larger.

        Raises:
            TypeError: ``xt`` is not a floating-point tensor, or a level is no number.
            ValueError: the last axis of ``xt`` does not have length 1, a level lies outside [0, 1], ``earlier`` is not
                larger than ``alpha_bar``, or the peaks are diffused already.
        """
        check_last_axis("xt", xt, 1)
        check_number("alpha_bar", alpha_bar, 0, 1)
        check_number("earlier", earlier, 0, 1)
        if earlier <= alpha_bar:
            raise ValueError(f"earlier must be larger than alpha_bar, got {earlier} and {alpha_bar}")
        if self.alpha_bar != 1:
            raise ValueError(f"posterior must be asked of clean peaks, and these are diffused: got {self!r}")
        now = self.diffuse(alpha_bar)
        before = self.diffuse(earlier)
        logits = now._joint(xt)
        root = math.sqrt(alpha_bar / earlier)
        ratio = before._variance / now._variance
        mean = before._centres(xt) + root * ratio * (xt - now._centres(xt))
        std = math.sqrt(ratio * (1 - alpha_bar / earlier))
        peak = Categorical(logits=logits.unsqueeze(-2), validate_args=False)
        each = Normal(mean.unsqueeze(-2), torch.full_like(mean, std).unsqueeze(-2), validate_args=False)
        return MixtureSameFamily(peak, each, validate_args=False)

    def expected_noise(self, xt: Tensor, alpha_bar: float) -> Tensor:
        r""":math:`\mathbb E[\varepsilon \mid x_t] = -\sqrt{1-\bar\alpha_t}\ \nabla\log q(x_t)`, of shape ``(..., 1)``.

        What a perfect network predicts (Tweedie's formula; Robbins 1956, Efron 2011). Raises what
        :meth:`log_prob` and :meth:`diffuse` raise.
        """
        check_last_axis("xt", xt, 1)
        return -math.sqrt(1 - check_number("alpha_bar", alpha_bar, 0, 1)) * self.diffuse(alpha_bar).score(xt)

    def expect(self, f: Callable[[Tensor], Tensor]) -> Tensor:
        r""":math:`\mathbb E_{q(x)}[f(x)]`, exact to quadrature: no sampling, the same on every run.

        ``f`` takes points of shape ``(n, 1)`` in float64 and returns ``(n, ...)``; the result is float64 too.

        Raises:
            TypeError: ``f`` cannot be called, or returns no tensor.
            ValueError: it returns a tensor of another shape.

        >>> round(Peaks().expect(lambda x: x.square()).item(), 12) == 1 + 0.15**2
        True
        """
        check_kind("f", f, Callable, "callable as f(x)")
        reach = math.sqrt(self.alpha_bar) + _FAR * math.sqrt(self._variance)
        x = torch.linspace(-reach, reach, _NODES, dtype=torch.float64).unsqueeze(-1)
        value = f(x)
        check_returned("f", value, x.shape[:1], rest=True)
        weight = self.log_prob(x).exp() * (2 * reach / (_NODES - 1))
        return torch.tensordot(weight, value.double(), 1)

    def mixture(self) -> GaussianMixture:
        """The same as a :class:`~diffusion_notes.data.mixtures.GaussianMixture`, clean or as it is diffused.

        >>> Peaks(share=0.25).mixture().log_weight.exp()
        tensor([0.7500, 0.2500], dtype=torch.float64)
        """
        share = torch.tensor([1 - self.share, self.share], dtype=torch.float64, device="cpu")
        centres = Peaks(self.noise, self.share)._centres(share).unsqueeze(-1)
        variance = torch.full((1,), self.noise**2, dtype=torch.float64, device="cpu")
        return GaussianMixture(share.log(), centres, variance).diffuse(self.alpha_bar)

    @property
    def _variance(self) -> float:
        return self.alpha_bar * self.noise**2 + 1 - self.alpha_bar

    def _centres(self, like: Tensor) -> Tensor:
        return math.sqrt(self.alpha_bar) * torch.tensor([-1.0, 1.0], dtype=like.dtype, device=like.device)

    def _joint(self, x: Tensor) -> Tensor:
        """The logarithm of each peak's part of the density, ``(..., 2)``."""
        share = torch.tensor([1 - self.share, self.share], dtype=x.dtype, device=x.device)
        distance = (x - self._centres(x)).square()
        return share.log() - distance / (2 * self._variance) - math.log(2 * math.pi * self._variance) / 2
