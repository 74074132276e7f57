"""Paths back to the data on a line: of the reverse SDE and of the probability-flow ODE."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_choice, check_integer, check_number
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import MODEL, NOISE, dots, line, scaled, svg, words

__all__ = ["Paths"]

Kind = Literal["both", "ode", "sde"]
Spacing = Literal["uniform", "log_snr"]

_T = 1000
_WIDTH = 0.15  # of a peak
_REACH = 2.6  # the coordinates at the border of the picture
_STEPS = (1, 2, 4, 8, 16, 32, 100, 250, 1000)
_SHARES = (0.5, 0.8)


class Paths(Explorable):
    r"""Drag a start, and see where the SDE and the ODE take it, over the exact :math:`q(x_t)`.

    The data are two Gaussians of width 0.15, at -1 and 1 (``data.Peaks``); the schedule is the
    linear one with T = 1000, and the noise that is predicted is the exact
    :math:`\mathbb E[\varepsilon \mid x_t] = -\sqrt{1-\bar\alpha_t}\,\nabla\log q(x_t)`. The steps of the ODE are those
    of DDIM, :func:`~diffusion_notes.samplers.walk`, those of the SDE ancestral ones, or DDIM with :math:`\eta = 1`.
    In one dimension paths of the ODE cannot cross, so each keeps its rank, the probability below it: the ring is where
    the start's own rank is among the data. The SDE ends at a draw from :math:`q(x_0 \mid x_t)`, which has forgotten
    the start if t is large.

    Arguments:
        t: the step at which the paths start, from 1 to 1000.
        xt: the number with which they do, from -2.5 to 2.5.
        steps: from there to the data, from 1 to 1000; with fewer than that many t left, each is visited.
        kind: which paths are shown: ``"both"``, ``"ode"`` or ``"sde"``.
        spacing: what runs along the picture, and is divided evenly into steps: ``"uniform"`` for t, or ``"log_snr"``,
            as of :func:`~diffusion_notes.samplers.choose_levels`.
        share: the probability of the peak at 1: 0.5 or 0.8.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: an argument is not as said.

    >>> Paths(steps=8, spacing="log_snr")
    Paths()
    """

    name = "paths"
    parts = ("maths", "peaks", "sampling", "drawing", "dragging", "playing")

    t = traitlets.Int().tag(sync=True, state=True)
    xt = traitlets.Float().tag(sync=True, state=True)
    steps = traitlets.Int().tag(sync=True, state=True)
    kind = traitlets.Unicode().tag(sync=True, state=True)
    spacing = traitlets.Unicode().tag(sync=True, state=True)
    share = traitlets.Float().tag(sync=True, state=True)
    choices = traitlets.List(traitlets.Int()).tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "The density of a noisy number over time: one broad hump at the left, where all is noise, parts into two "
        "narrow peaks at the right, the data. From a start that is dragged, the path of the ODE runs smoothly between "
        "curves of equal rank to one peak; paths of the SDE from the same start are ragged, and end at both."
    ).tag(sync=True, state=True)

    def __init__(
        self,
        t: int = _T,
        xt: float = 0.5,
        steps: int = 100,
        kind: Kind = "both",
        spacing: Spacing = "uniform",
        share: float = 0.5,
    ) -> None:
        t = check_integer("t", t, least=1, most=_T)
        xt = check_number("xt", xt, -2.5, 2.5)
        steps = check_integer("steps", steps, least=1, most=_T)
        check_choice("kind", kind, get_args(Kind))
        check_choice("spacing", spacing, get_args(Spacing))
        share = check_number("share", share, 0, 1)
        if share not in _SHARES:
            raise ValueError(f"share must be 0.5 or 0.8, got {share}")
        choices = sorted({*_STEPS, steps})
        super().__init__(t=t, xt=xt, steps=steps, kind=kind, spacing=spacing, share=share, choices=choices)

    def still_picture(self) -> str:
        """From left to right, T to 0: curves of equal rank, the path of the ODE, and some of the SDE."""
        level = np.exp(np.concatenate(([0.0], np.log1p(-np.linspace(1e-4, 0.02, _T)).cumsum())))
        times = np.linspace(_T, 0, 76).round().astype(int)
        across = scaled(-times, -_T, 0, (10, 600))

        def up(x: np.ndarray) -> np.ndarray:
            return scaled(x, -_REACH, _REACH, (300, 0))

        curves = [_of_rank(u, level[times], self.share) for u in np.linspace(0.05, 0.95, 6)]
        start = np.full(7, self.xt)
        left = times[times <= self.t]
        states = _walked(start, np.append(left[left > 0], 0), level, self.share)
        drawn = scaled(-left, -_T, 0, (10, 600))
        sde, ode = states[:, 1:].T, states[:, 0]
        return svg(
            self.alt,
            (660, 350),
            *(line(across, up(curve), width=0.5) for curve in curves),
            *(line(drawn, up(path), NOISE, 1) for path in sde if self.kind != "ode"),
            *([line(drawn, up(ode), MODEL, 3)] if self.kind != "sde" else []),
            dots(drawn[:1], up(start[:1]), width=14),
            *(words(636, up(np.array([y])).item() + 6, f"{y}".replace("-", "−")) for y in (-1, 1)),
            words(0, 330, "t = 1000", anchor="start"),
            words(600, 330, "t = 0"),
            words(200, 330, "the ODE", MODEL),
            words(320, 330, "the SDE", NOISE),
        )


def _predicted(x: np.ndarray, level: float, share: float) -> np.ndarray:
    """The exact expected noise."""
    root = math.sqrt(level)
    variance = level * _WIDTH**2 + 1 - level
    right = 1 / (1 + (1 - share) / share * np.exp(-2 * root * x / variance))
    return math.sqrt(1 - level) * (x - root * (2 * right - 1)) / variance


def _walked(x: np.ndarray, times: np.ndarray, level: np.ndarray, share: float) -> np.ndarray:
    """Numbers on their way through falling steps t: the first by the ODE, the others by the SDE."""
    random = np.random.default_rng(1)
    eta = np.append(0.0, np.ones(len(x) - 1))
    states = [x]
    for now, below in zip(level[times[:-1]], level[times[1:]], strict=True):
        noise = _predicted(x, now, share)
        x0 = (x - math.sqrt(1 - now) * noise) / math.sqrt(now)
        sigma = eta * math.sqrt((1 - below) / (1 - now) * (1 - now / below))
        x = math.sqrt(below) * x0 + np.sqrt(1 - below - sigma**2) * noise + sigma * random.standard_normal(len(x))
        states.append(x)
    return np.array(states)


def _of_rank(rank: float, level: np.ndarray, share: float) -> np.ndarray:
    """The numbers below which there is so much of the probability, at each level: by bisection."""
    root = np.sqrt(level)
    std = np.sqrt(level * _WIDTH**2 + 1 - level)
    erf = np.vectorize(math.erf)
    low = np.full_like(level, -9.0)
    high = -low
    for _ in range(40):
        middle = (low + high) / 2
        parts = [(1 + erf((middle - side * root) / (math.sqrt(2) * std))) / 2 for side in (-1, 1)]
        below = (1 - share) * parts[0] + share * parts[1] < rank
        low = np.where(below, middle, low)
        high = np.where(below, high, middle)
    return (low + high) / 2
