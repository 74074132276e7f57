r"""Short waveforms on one of two notes, of which the coarse spectrum is given: in a known law.

A waveform of D samples is written in an orthonormal basis of cosines and sines, which is a turn of the axes: white
noise is white in it. Given the powers :math:`e^{c_b}` of four bands of frequencies, it is one of two stationary
Gaussian waveforms, whose power sits on the multiples of 4 or on the multiples of 3 of the lowest frequency:

.. math::
    q(x_0 \mid c) = \sum_{v=1}^{2} q(v \mid c)\, \mathcal N\bigl(x_0;\ 0,\ \Sigma_v(c)\bigr), \qquad
    \Sigma_v(c) = \operatorname{diag}\bigl(e^{c_{b(j)}}\, g_v(j)\bigr).

:math:`g_v` has a mean of one in each band, so the coarse spectrum does not say which note it is; how the spectrum tilts
makes one of them more likely, :math:`q(v = 2 \mid c) = 1 / (1 + e^{-(c_1 - c_4 - \text{mean})})`.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import (
    check_last_axis,
    check_points,
    checked_draws,
)
from diffusion_notes.data.conditional import ConditionalMixture

__all__ = ["TwoNotes"]

_BANDS = 4
_COMBS = (4, 3)  # whose multiples a note is made of
_BETWEEN = 0.04  # the power of what lies between them, in theirs
_MEAN = (0.0, -1.0, -2.0, -3.0)  # of the logarithm of a band's power
_SPREAD = 0.7


class TwoNotes:
    """Waveforms of 32 samples on one of two notes, and the logarithms of the powers of their four bands.

    Points are the 32 coefficients of :meth:`to_time`, in the order of their frequencies: 0, 1, 1, 2, 2, ..., 15, 15,
    16, a cosine before a sine. Values are not checked, because this is called inside loops.

    >>> notes = TwoNotes()
    >>> x, c = notes.sample(5, torch.Generator().manual_seed(0))
    >>> x.shape, c.shape, notes.given(c).log_prob(x).shape
    (torch.Size([5, 32]), torch.Size([5, 4]), torch.Size([5]))
    """

    length = 32
    bands = _BANDS

    def __repr__(self) -> str:
        return "TwoNotes()"

    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor]:
        """``n`` independent waveforms, ``(n, 32)``, and their spectra, ``(n, 4)``; arguments as of the roll's."""
        c = self.spectra(n, generator, device, dtype)
        return self.given(c).sample(generator), c

    def spectra(
        self,
        n: int,
        generator: Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """``n`` coarse spectra, log powers, ``(n, 4)``; arguments and errors as in ``SwissRoll.sample``."""
        n, device = checked_draws(n, generator, device, dtype)
        normal = torch.randn(n, _BANDS, generator=generator, device=device, dtype=dtype)
        return normal.new_tensor(_MEAN) + _SPREAD * normal

    def given(self, c: Tensor) -> ConditionalMixture:
        r""":math:`q(x_0 \mid c)`, the exact law of the waveform for each of n spectra.

        Arguments:
            c: log powers, of shape ``(n, 4)``.

        Raises:
            TypeError: ``c`` is not a floating-point tensor.
            ValueError: it is of another shape, or not finite.
        """
        check_points("c", c, dim=_BANDS, finite=True)
        tilt = c[:, 0] - c[:, -1] - (_MEAN[0] - _MEAN[-1])
        log_weight = torch.nn.functional.logsigmoid(torch.stack((-tilt, tilt), -1))
        variance = self.band_variance(c).unsqueeze(1) * self._shape(c)
        return ConditionalMixture(log_weight, torch.zeros_like(variance), variance)

    def band_variance(self, c: Tensor) -> Tensor:
        r"""What the coarse spectrum says of the variance of each coefficient, :math:`e^{c_{b(j)}}`, ``(n, 32)``.

        It is the mean variance of a band, whatever the note. Errors as of :meth:`given`.
        """
        check_points("c", c, dim=_BANDS)
        return c.exp()[:, [_band(f) for f in _frequencies(self.length)]]

    def to_time(self, x: Tensor) -> Tensor:
        """The waveform of coefficients, sample by sample, both of shape ``(..., 32)``.

        Raises a TypeError unless ``x`` is a floating-point tensor, and a ValueError if it has another last axis.
        """
        check_last_axis("x", x, self.length)
        return x @ self._basis(x)

    def from_time(self, waveform: Tensor) -> Tensor:
        """The other way: the coefficients of a waveform; errors as of :meth:`to_time`."""
        check_last_axis("waveform", waveform, self.length)
        return waveform @ self._basis(waveform).T

    def _basis(self, like: Tensor) -> Tensor:
        """A wave in each row, all of them orthonormal."""
        D = self.length
        place = torch.arange(D, dtype=like.dtype, device=like.device) * (2 * math.pi / D)
        rows = []
        for j, f in enumerate(_frequencies(D)):
            wave = (f * place).sin() if j % 2 == 0 and f > 0 else (f * place).cos()
            rows.append(wave * math.sqrt((1 if f in (0, D // 2) else 2) / D))
        return torch.stack(rows)

    def _shape(self, like: Tensor) -> Tensor:
        """g, of each note and coefficient, ``(2, 32)``; its mean in a band is one."""
        frequencies = _frequencies(self.length)
        shapes = []
        for comb in _COMBS:
            raw = [1.0 if f and f % comb == 0 else _BETWEEN for f in frequencies]
            mean = {
                band: _mean([each for each, f in zip(raw, frequencies, strict=True) if _band(f) == band])
                for band in range(_BANDS)
            }
            shapes.append([each / mean[_band(f)] for each, f in zip(raw, frequencies, strict=True)])
        return like.new_tensor(shapes)


def _frequencies(length: int) -> list[int]:
    """Of the coefficients: a constant, then a cosine and a sine of each, and the fastest, which has no sine."""
    return [(j + 1) // 2 for j in range(length)]


def _band(frequency: int) -> int:
    return max(0, (frequency - 1) // 4)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
