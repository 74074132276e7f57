"""A posterior on the swiss roll: exactly, and as methods draw from it that need no training anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_choice, check_integer, check_number
from diffusion_notes.explorables.arrays import finite
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import MODEL, POSTERIOR, dots, faint, line, scaled, svg, words

__all__ = ["Conditioned"]

Given = Literal["x1", "x2", "point"]
Conditional = Literal["draws", "exact", "enter", "replacement", "repaint", "multiplied", "dps", "pigdm", "particles"]

_REACH = 1.4
_WIDE, _HIGH = 1.9, 1.6  # the coordinates at the border of the picture
_NOISE = 0.05  # of the roll
_STEPS = (10, 20, 50, 100, 250)
_RESAMPLINGS = (2, 5, 10, 20)
_ONLY_KNOWN = ("exact", "replacement", "repaint")


class Conditioned(Explorable):
    r"""Drag what is known of a point of the roll, and see its exact posterior, and what each method makes of it.

    Known is one coordinate, exactly, or the point and noise. The data are the swiss roll as a mixture of Gaussians,
    :meth:`~diffusion_notes.swiss_roll.SwissRoll.mixture`, of 40 nodes for each quarter turn, so the posterior is a
    mixture too, and every method has the exact prediction: what is off is the method's doing alone, and its steps'.
    They are ancestral, with the small variance, at levels that are even in log SNR, of the linear schedule with
    T = 1000. A thousand points are drawn by each method, in a worker, so that the page stays free. The divergence
    is :func:`~diffusion_notes.metrics.plug_in_kl` in a hundred cells of equal probability, along a line or ten by ten.

    Arguments:
        given: ``"x1"`` or ``"x2"``, the first or second coordinate is known exactly, or ``"point"``,
            :math:`y = x_0 + k\,n`.
        place: the known coordinate's value, of two, or y; each from -1.4 to 1.4.
        noise: k, from 0.05 to 1; of ``"point"`` alone.
        method: which is shown in the plane: ``"draws"``, from the posterior itself; ``"exact"``, the exact score of
            :math:`q(x_t \mid y)`; ``"replacement"``; ``"repaint"``; ``"multiplied"``, the steps times the likelihood;
            ``"dps"`` and ``"pigdm"``, which follow a gradient; ``"particles"``, a twisted particle filter; or
            ``"enter"``, the chain from the level that is as noisy. The last is of ``"point"`` alone, and ``"exact"``,
            ``"replacement"`` and ``"repaint"`` are of what is known exactly.
        steps: from 1 to 1000.
        resamplings: of RePaint, from 1 to 50.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: an argument is not as said.

    >>> Conditioned("point", place=(0.5, 0.3), method="enter")
    Conditioned()
    """

    name = "conditioned"
    parts = ("maths", "sampling", "mixtures", "conditioning", "drawing", "dragging", "playing")

    given = traitlets.Unicode().tag(sync=True, state=True)
    place = traitlets.List(traitlets.Float()).tag(sync=True, state=True)
    noise = traitlets.Float().tag(sync=True, state=True)
    method = traitlets.Unicode().tag(sync=True, state=True)
    steps = traitlets.Int().tag(sync=True, state=True)
    resamplings = traitlets.Int().tag(sync=True, state=True)
    choices = traitlets.List(traitlets.Int()).tag(sync=True, state=True)
    resampling_choices = traitlets.List(traitlets.Int()).tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "A spiral in the plane, and a line across it, the coordinate that is known. On one side of the line is the "
        "exact density of the other coordinate, with a hump at each arm that the line crosses; on the other side is "
        "what a method draws, whose humps have other sizes."
    ).tag(sync=True, state=True)

    def __init__(
        self,
        given: Given = "x1",
        place: Sequence[float] = (0.4, 0.3),
        noise: float = 0.3,
        method: Conditional = "replacement",
        steps: int = 100,
        resamplings: int = 10,
    ) -> None:
        check_choice("given", given, get_args(Given))
        at = finite("place", place)
        if at.shape != (2,) or abs(at).max() > _REACH:
            raise ValueError(f"place must be two numbers from {-_REACH} to {_REACH}, got {place}")
        noise = check_number("noise", noise, 0.05, 1)
        check_choice("method", method, get_args(Conditional))
        if method in (_ONLY_KNOWN if given == "point" else ("enter",)):
            raise ValueError(f"method must be one that is offered for {given!r}, got {method!r}")
        steps = check_integer("steps", steps, least=1, most=1000)
        resamplings = check_integer("resamplings", resamplings, least=1, most=50)
        super().__init__(
            given=given,
            place=at.tolist(),
            noise=noise,
            method=method,
            steps=steps,
            resamplings=resamplings,
            choices=sorted({*_STEPS, steps}),
            resampling_choices=sorted({*_RESAMPLINGS, resamplings}),
        )

    def still_picture(self) -> str:
        """The spiral; the line and the exact density along it, or the noisy point and draws from the posterior."""
        roll = line(*_pixels(_spiral(np.linspace(0, 1, 241))), faint(POSTERIOR, 0.3), 10)
        if self.given == "point":
            y = np.array(self.place)[:, None]
            here = _pixels(y)
            shapes = [dots(*_pixels(_drawn(self.place, self.noise)), POSTERIOR, 4), dots(*here, width=14)]
            shapes.append(words(here[0][0] + 16, here[1][0] + 5, "y"))
        else:
            known = 0 if self.given == "x1" else 1
            ends = np.array([-_WIDE, _WIDE] if known else [-_HIGH, _HIGH])
            along = np.linspace(ends[0], ends[1], 321)
            density = _along(known, self.place[known], along)
            beside = self.place[known] + 0.5 * density / density.max()
            hump = _pixels(np.stack((along, beside) if known else (beside, along)))
            fixed = np.full(2, self.place[known])
            shapes = [
                line(*hump, POSTERIOR, 2, faint(POSTERIOR, 0.3)),
                line(*_pixels(np.stack((ends, fixed) if known else (fixed, ends))), width=2),
            ]
        return svg(
            self.alt,
            (660, 400),
            roll,
            *shapes,
            words(480, 40, "what is known", anchor="start"),
            words(480, 66, "the exact posterior", POSTERIOR, "start"),
            words(480, 92, "live: what a method", MODEL, "start"),
            words(480, 114, "draws in its place", MODEL, "start"),
        )


def _pixels(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return scaled(places[0], -_WIDE, _WIDE, (0, 475)), scaled(places[1], -_HIGH, _HIGH, (400, 0))


def _spiral(u: np.ndarray) -> np.ndarray:
    angle = 1.5 * np.pi * (1 + 2 * u)
    return 0.1 * angle * np.stack((np.cos(angle), np.sin(angle)))


def _along(known: int, value: float, along: np.ndarray) -> np.ndarray:
    """The density of one coordinate, up to a factor, if the other has that value."""
    u = np.linspace(0, 1, 2001)
    centre = _spiral(u)
    weight = np.exp(-((centre[known] - value) ** 2) / (2 * _NOISE**2))
    return np.exp(-((along[:, None] - centre[1 - known]) ** 2) / (2 * _NOISE**2)) @ weight


def _drawn(y: Sequence[float], noise: float) -> np.ndarray:
    """Three hundred draws from the posterior of a noisy point."""
    random = np.random.default_rng(1)
    centre = _spiral(np.linspace(0, 1, 2001)).T
    spread = _NOISE**2 + noise**2
    weight = np.exp(-((centre - y) ** 2).sum(1) / (2 * spread))
    chosen = centre[random.choice(2001, 300, p=weight / weight.sum())]
    mean = chosen + _NOISE**2 / spread * (np.array(y) - chosen)
    return (mean + _NOISE * noise / math.sqrt(spread) * random.standard_normal((300, 2))).T
