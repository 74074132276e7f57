"""Guidance on a line: the density that it draws, beside the one that it is said to draw."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_choice, check_number
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import DATA, MODEL, POSTERIOR, faint, line, scaled, svg, words

__all__ = ["Guided"]

Sampler = Literal["ode", "sde"]
Data = Literal["overlap", "apart", "nested"]

_MOST = 8.0
_T = 1000
_DATA = {  # the centres and the width of the parts, and the Gaussian given c
    "overlap": ((-1.0, 1.0), 0.5, (1.0, 0.5)),
    "apart": ((-1.0, 1.0), 0.15, (1.0, 0.15)),
    "nested": ((0.0,), 1.0, (1.0, 0.5)),
}


class Guided(Explorable):
    r"""Drag the weight w of guidance, and see what is drawn, beside the tilted density.

    The data are Gaussians on a line, so that :math:`q(x_t)` and :math:`q(x_t \mid c)` are known, and with them the
    noise of guidance, :math:`(1-w)\,\mathbb E[\varepsilon \mid x_t] + w\,\mathbb E[\varepsilon \mid x_t, c]`. It is
    walked with in 100 steps, even in log SNR, of DDIM (the ODE) or ancestral ones (the SDE), as in
    :func:`~diffusion_notes.samplers.walk`. Nothing is sampled: the density of :math:`x_T` is pushed through the steps,
    and its divergences from :math:`q(x_0)\,p(c \mid x_0)^w` and from :math:`q(x_0 \mid c)` are integrals. The
    schedule is the linear one with T = 1000.

    Arguments:
        w: the weight, from 0 (no guidance) by 1 (the model given c) to 8.
        sampler: ``"ode"`` or ``"sde"``.
        data: ``"overlap"``, two peaks of width 0.5 at -1 and 1, and c the right one; ``"apart"``, the same of width
            0.15; or ``"nested"``, :math:`\mathcal N(0, 1)`, and :math:`\mathcal N(1, 0.5^2)` given c.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: ``w`` is not from 0 to 8, or there is no such sampler, or no such data.

    >>> Guided(w=5)
    Guided()
    """

    name = "guided"
    parts = ("maths", "sampling", "drawing", "dragging")

    w = traitlets.Float().tag(sync=True, state=True)
    sampler = traitlets.Unicode().tag(sync=True, state=True)
    data = traitlets.Unicode().tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "Four densities on a line: the data, the data of a label, the tilted density, and the one that is drawn with "
        "guidance. With a weight of three the last is narrower than the tilted one, and lies further out."
    ).tag(sync=True, state=True)

    def __init__(self, w: float = 3.0, sampler: Sampler = "ode", data: Data = "overlap") -> None:
        w = check_number("w", w, 0, _MOST)
        check_choice("sampler", sampler, get_args(Sampler))
        check_choice("data", data, get_args(Data))
        super().__init__(w=w, sampler=sampler, data=data)

    def still_picture(self) -> str:
        """The four densities; what is drawn, from points that the steps take along."""
        x = np.linspace(-2.5, 3.3, 291)
        centres, width, (mean, narrow) = _DATA[self.data]
        density = np.mean([_normal(x, centre, width) for centre in centres], 0)
        given = _normal(x, mean, narrow)
        tilted = density * (given / np.maximum(density, 1e-300)) ** self.w
        tilted /= tilted.sum() * (x[1] - x[0])
        drawn = np.histogram(_drawn(self.data, self.w, self.sampler), 58, (-2.5, 3.3), density=True)[0]
        highest = max(given.max(), tilted.max())
        top = 1.1 * max(highest, min(2.5 * highest, drawn.max()))
        steps = np.repeat(np.linspace(-2.5, 3.3, 59), 2)[1:-1]

        def curve(values: np.ndarray, at: np.ndarray = x) -> tuple[np.ndarray, np.ndarray]:
            return scaled(at, -2.5, 3.3, (10, 650)), scaled(np.minimum(values, top), 0, top, (300, 10))

        return svg(
            self.alt,
            (660, 350),
            line(*curve(density), DATA, 1, fill=faint(DATA, 0.2)),
            line(*curve(given), POSTERIOR, 2),
            line(*curve(tilted), width=5),
            line(*curve(np.repeat(drawn, 2), steps), MODEL, 2),
            words(90, 30, "drawn with guidance", MODEL),
            words(90, 54, "tilted"),
            words(90, 78, "q(x₀ | c)", POSTERIOR),
            words(90, 102, "q(x₀)", DATA),
            *(words(scaled(at, -2.5, 3.3, (10, 650)).item(), 326, f"{at}".replace("-", "−")) for at in range(-2, 4)),
            words(330, 346, f"w = {self.w:g}"),
        )


def _normal(x: np.ndarray, mean: float, width: float) -> np.ndarray:
    return np.exp(-((x - mean) ** 2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi))


def _drawn(data: str, w: float, sampler: str) -> np.ndarray:
    """The ends of four thousand walks, by a hundred steps that are even in the logarithm of the level."""
    random = np.random.default_rng(1)
    means, width, (mean, narrow) = np.array(_DATA[data][0]), *_DATA[data][1:]
    signal = np.exp(np.log1p(-np.linspace(1e-4, 0.02, _T)).cumsum())[[0, -1]]
    lowest, highest = np.sqrt(1 / signal - 1)
    kappas = np.append(np.geomspace(highest, lowest, 100), 0.0)
    y = random.standard_normal(4000) / math.sqrt(signal[1])
    for now, below in pairwise(kappas):
        variance = width**2 + now**2
        distance = (y[:, None] - means) ** 2 / (2 * variance)
        share = np.exp(distance.min(1, keepdims=True) - distance)
        expected = share @ means / share.sum(1)
        noise = now * ((1 - w) * (y - expected) / variance + w * (y - mean) / (narrow**2 + now**2))
        new = below * math.sqrt(1 - (below / now) ** 2) if sampler == "sde" else 0.0
        y = y + (math.sqrt(below**2 - new**2) - now) * noise + new * random.standard_normal(len(y))
    return y
