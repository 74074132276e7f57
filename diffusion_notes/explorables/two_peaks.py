"""Two peaks on a line: where a noisy number came from, and the best guess between them."""

from __future__ import annotations

import math

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_integer, check_number
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import DATA, MODEL, POSTERIOR, dots, faint, line, scaled, svg, words

__all__ = ["TwoPeaks"]

_T = 1000
_WIDTH = 0.15  # of a peak
_REACH = 2.6  # the coordinates at the border of the picture


class TwoPeaks(Explorable):
    r"""Drag a noisy number :math:`x_t`, and see what :math:`x_0` may have been, and the best guess.

    The data are two Gaussians of width 0.15, at -1 and 1; the schedule is the linear one with T = 1000. One may look
    back all the way, or a hundred or ten steps: the fewer, the nearer what may have been is to a Gaussian.

    Arguments:
        t: the step at which it starts.
        xt: the noisy number with which it starts.

    Raises:
        TypeError: ``t`` is not an integer, or ``xt`` not a number.
        ValueError: ``t`` is not from 1 to 1000, or ``xt`` not between -2.5 and 2.5.

    >>> TwoPeaks(t=100)
    TwoPeaks()
    """

    name = "two_peaks"
    parts = ("maths", "peaks", "drawing", "dragging")

    t = traitlets.Int().tag(sync=True, state=True)
    xt = traitlets.Float().tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "Two narrow peaks, the data, and a second curve with a hump on each of them: what x_0 may have been, given a "
        "noisy number x_t. The best guess is the mean of that curve, and lies between the peaks, where there are "
        "practically no data. As x_t moves to the right, the curve leaves the left peak for the right one."
    ).tag(sync=True, state=True)

    def __init__(self, t: int = 200, xt: float = 0.1) -> None:
        check_integer("t", t, least=1, most=_T)
        check_number("xt", xt, -2.5, 2.5)
        super().__init__(t=int(t), xt=float(xt))

    def still_picture(self) -> str:
        """The data, what x_0 may have been, and the best guess; below, the noisy number and its density."""
        level = float(np.exp(np.log1p(-np.linspace(1e-4, 0.02, _T))[: self.t].sum()))
        root = math.sqrt(level)
        variance = level * _WIDTH**2 + 1 - level
        sides = np.array([-1.0, 1.0])
        right = 1 / (1 + math.exp(-2 * root * self.xt / variance))
        weights = np.array([1 - right, right])
        pull = root * _WIDTH**2 / variance
        means = sides + pull * (self.xt - root * sides)
        mean = float(weights @ means)
        x = np.linspace(-_REACH, _REACH, 261)

        def humps(weight: np.ndarray, centre: np.ndarray, square: float) -> np.ndarray:
            curve = np.exp(-((x[:, None] - centre) ** 2) / (2 * square)) @ weight
            return curve / curve.max()

        across = scaled(x, -_REACH, _REACH, (0, 600))
        half = np.array([0.5, 0.5])
        data = humps(half, sides, _WIDTH**2)
        posterior = humps(weights, means, _WIDTH**2 * (1 - level) / variance)
        noisy = humps(half, root * sides, variance)
        here = float(np.interp(self.xt, x, noisy))
        at_mean = np.full(2, float(scaled(mean, -_REACH, _REACH, (0, 600))))
        at_xt = scaled([self.xt], -_REACH, _REACH, (0, 600))
        return svg(
            self.alt,
            (600, 400),
            line(across, scaled(data, 0, 1, (220, 30)), DATA, 2, fill=faint(DATA, 0.2)),
            line(across, scaled(posterior, 0, 1, (220, 30)), POSTERIOR, fill=faint(POSTERIOR, 0.25)),
            line(at_mean, np.array([220, 30]), MODEL, 2),
            dots(at_mean[:1], np.array([220]), MODEL, 14),
            words(at_mean[0], 248, "best guess of x₀", MODEL),
            words(80, 60, "the data", DATA),
            words(80, 84, "given xₜ", POSTERIOR),
            line(across, scaled(noisy, 0, 1, (370, 270)), width=2),
            dots(at_xt, scaled([here], 0, 1, (370, 270)), width=14),
            words(300, 394, f"xₜ = {self.xt:g}, at t = {self.t}"),
        )
