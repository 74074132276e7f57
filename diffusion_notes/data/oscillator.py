r"""A clock that is kicked: a time series whose next value has two peaks, in a known law.

A damped oscillator is kicked at every step, by the same amount to one side or to the other, and more often in the
direction in which it is moving, so that it does not come to rest:

.. math::
    q(x_0 \mid h) = \bigl(1-w(h)\bigr)\, \mathcal N\bigl(x_0;\ m(h) - d,\ s^2\bigr)
        + w(h)\, \mathcal N\bigl(x_0;\ m(h) + d,\ s^2\bigr), \qquad
    m(h) = 2 r\cos\tfrac{2\pi}{P}\,h_2 - r^2\,h_1, \qquad w(h) = \frac{1}{1 + e^{-g\,(h_2 - h_1)}}

with :math:`x_0` the next value and :math:`h = (h_1, h_2)` the two before it, the last one :math:`h_2`. No Gaussian is
near such a law.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import check_generator, check_points, checked_device
from diffusion_notes._arguments.values import check_inside, check_integer
from diffusion_notes.data.conditional import ConditionalMixture

__all__ = ["KickedOscillator"]

_FORGOTTEN = 200  # steps after which nothing is left of the start


class KickedOscillator:
    r"""A damped oscillator that is kicked, most often in the direction in which it moves.

    Arguments:
        kick: d, how far a kick goes.
        noise: s, the standard deviation of what is added to it.
        period: P, in steps, without kicks.
        damping: r, what is left of an oscillation after a step.
        gain: g, how much the direction decides.

    Raises:
        TypeError: an argument is no number.
        ValueError: ``kick``, ``noise`` or ``gain`` does not lie strictly between 0 and 10, ``period`` between 2 and
            1000, or ``damping`` between 0 and 1.

    >>> clock = KickedOscillator()
    >>> series = clock.series(5, 30, torch.Generator().manual_seed(0))
    >>> clock.given(series[:, :2]).log_prob(series[:, 2:3]).shape
    torch.Size([5])
    """

    def __init__(
        self, kick: float = 0.4, noise: float = 0.1, period: float = 10.0, damping: float = 0.8, gain: float = 1.0
    ) -> None:
        self.kick = check_inside("kick", kick, 0, 10)
        self.noise = check_inside("noise", noise, 0, 10)
        self.period = check_inside("period", period, 2, 1000)
        self.damping = check_inside("damping", damping, 0, 1)
        self.gain = check_inside("gain", gain, 0, 10)

    def __repr__(self) -> str:
        return (
            f"KickedOscillator(kick={self.kick:g}, noise={self.noise:g}, period={self.period:g}, "
            f"damping={self.damping:g}, gain={self.gain:g})"
        )

    def given(self, history: Tensor) -> ConditionalMixture:
        r""":math:`q(x_0 \mid h)`, the exact law of the next value for each of n histories.

        Arguments:
            history: the two values before it, the last one last, of shape ``(n, 2)``.

        Raises:
            TypeError: ``history`` is not a floating-point tensor.
            ValueError: it is of another shape, or not finite.
        """
        check_points("history", history, dim=2, finite=True)
        before, last = history.unbind(-1)
        centre = self._centre(before, last)
        drive = self.gain * (last - before)
        log_weight = torch.nn.functional.logsigmoid(torch.stack((-drive, drive), -1))
        mean = torch.stack((centre - self.kick, centre + self.kick), -1).unsqueeze(-1)
        return ConditionalMixture(log_weight, mean, torch.full_like(mean, self.noise**2))

    def series(
        self,
        n: int,
        length: int,
        generator: Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """``n`` independent series that began long ago, ``(n, length)``; arguments and errors as of ``follow``."""
        n = check_integer("n", n, least=0)
        length = check_integer("length", length, least=1)
        device = checked_device(device, dtype)
        check_generator("generator", generator, device)
        device = device or (generator.device if generator is not None else None)
        start = torch.randn(n, 2, generator=generator, device=device, dtype=dtype)
        return self.follow(start, _FORGOTTEN + length, generator)[:, _FORGOTTEN:]

    def follow(self, history: Tensor, steps: int, generator: Generator | None = None) -> Tensor:
        """How it may go on, ``steps`` values for each of n histories, ``(n, steps)``: draws of the exact law.

        Arguments:
            history: as of :meth:`given`.
            steps: how many values.
            generator: draws, on the device of ``history``.

        Raises:
            TypeError, ValueError: an argument is not as said.
        """
        check_points("history", history, dim=2, finite=True)
        steps = check_integer("steps", steps, least=1)
        check_generator("generator", generator, history.device)
        about: dict[str, Any] = {"generator": generator, "device": history.device, "dtype": history.dtype}
        before, last = history.unbind(-1)
        values = []
        for _ in range(steps):
            right = torch.rand(len(history), **about) < (self.gain * (last - before)).sigmoid()
            kick = self.kick * (2 * right.to(history.dtype) - 1)
            now = self._centre(before, last) + kick + self.noise * torch.randn(len(history), **about)
            values.append(now)
            before, last = last, now
        return torch.stack(values, -1)

    def _centre(self, before: Tensor, last: Tensor) -> Tensor:
        """m(h), where it would go without a kick."""
        return 2 * self.damping * math.cos(2 * math.pi / self.period) * last - self.damping**2 * before
