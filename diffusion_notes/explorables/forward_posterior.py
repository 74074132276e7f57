"""The forward posterior in the plane: where x_{t-1} was, given where the path began and where it is now."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_integer
from diffusion_notes.explorables.arrays import finite
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import DATA, NOISE, POSTERIOR, dots, faint, line, svg, words

__all__ = ["ForwardPosterior"]

_LENGTHS = (1000, 100, 10)
_LOWEST = np.array([-3.6, -1.4])  # the coordinates at the border of the picture
_HIGHEST = np.array([3.6, 2.6])


class ForwardPosterior(Explorable):
    r"""Drag :math:`x_0` and :math:`x_t`, move t, and see :math:`q(x_{t-1} \mid x_t, x_0)`.

    Drawn with it are the two Gaussians whose product it is: :math:`q(x_{t-1} \mid x_0)`, and
    :math:`q(x_t \mid x_{t-1})` as a function of :math:`x_{t-1}`. The schedule is the linear one with T = 1000,
    or a shorter walk through the same noise levels.

    The two coefficients of the mean add up to less than one, so the mean is not quite on the line through
    :math:`x_0` and :math:`x_t`. It is on the line between the means of those two Gaussians.

    Arguments:
        T: the number of steps: 1000, 100 or 10.
        t: the step at which it starts; where the slider does not stop at it, the nearest one that it stops at.
        x0, xt: where the points start.

    Raises:
        TypeError: ``T`` or ``t`` is not an integer, or a point is not made of numbers.
        ValueError: ``T`` is another number, ``t`` is not from 2 to T, or a point lies outside the picture,
            which reaches from -3.6 to 3.6 across and from -1.4 to 2.6 up.

    >>> ForwardPosterior(T=100, t=7)
    ForwardPosterior()
    """

    name = "forward_posterior"
    parts = ("maths", "drawing", "dragging")

    T = traitlets.Int().tag(sync=True, state=True)
    t = traitlets.Int().tag(sync=True, state=True)
    x0 = traitlets.List(traitlets.Float()).tag(sync=True, state=True)
    xt = traitlets.List(traitlets.Float()).tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "The plane with x_0, x_t and the line between them. Near it, between the two, circles of one and two standard "
        "deviations stand around the mean of x_{t-1}. At small t the mean is drawn to x_0, at large t it stays by x_t."
    ).tag(sync=True, state=True)

    def __init__(
        self, T: int = 10, t: int = 4, x0: Sequence[float] = (-2.4, 1.4), xt: Sequence[float] = (1.5, 0.9)
    ) -> None:
        check_integer("T", T, least=1)
        if T not in _LENGTHS:
            raise ValueError(f"T must be one of {', '.join(map(str, _LENGTHS))}, got {T}")
        check_integer("t", t, least=2, most=T)
        super().__init__(T=T, t=t, x0=_point("x0", x0), xt=_point("xt", xt))

    def still_picture(self) -> str:
        """The two points, the line between them, and the posterior."""
        log = np.concatenate(([0.0], np.log1p(-np.linspace(1e-4, 0.02, 1000)).cumsum()))[:: 1000 // self.T]
        before = np.exp(log[self.t - 1])
        now = np.exp(log[self.t])
        alpha = now / before
        x0 = np.array(self.x0)
        xt = np.array(self.xt)
        mean = math.sqrt(before) * (1 - alpha) * x0 + math.sqrt(alpha) * (1 - before) * xt
        mean = mean / (1 - now)
        std = math.sqrt((1 - before) / (1 - now) * (1 - alpha))
        wide = 720
        high = 400

        def pixels(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            share = (points - _LOWEST) / (_HIGHEST - _LOWEST)
            return wide * share[..., 0], high * (1 - share[..., 1])

        def circle(count: int, width: float, fill: float) -> str:
            x, y = pixels(mean)
            return (
                f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{100 * count * std:.0f}" '
                f'stroke="{POSTERIOR}" stroke-width="{width:g}" fill="{faint(POSTERIOR, fill)}"/>'
            )

        def label(point: np.ndarray, text: str) -> str:
            x, y = pixels(point)
            return words(float(x) + 16, float(y) - 12, text)

        return svg(
            self.alt,
            (wide, high),
            line(*pixels(np.stack((x0, xt))), width=1.5),
            circle(2, 1, 0.15),
            circle(1, 2, 0.25),
            *(dots(*pixels(x[None]), colour, 16) for x, colour in ((x0, DATA), (xt, NOISE))),
            dots(*pixels(mean[None]), POSTERIOR, 8),
            *(line(*pixels(np.outer([-0.09, 0.09], arm)), width=1.5) for arm in ([1, 0], [0, 1])),
            words(wide / 2 + 12, 280, "0"),
            label(x0, "x₀"),
            label(xt, "xₜ"),
            words(wide / 2, high - 16, f"t = {self.t} of {self.T}"),
        )


def _point(name: str, value: Sequence[float]) -> list[float]:
    point = finite(name, value)
    if point.shape != (2,) or not ((point >= _LOWEST) & (point <= _HIGHEST)).all():
        raise ValueError(f"{name} must be within -3.6 and 3.6 across, and within -1.4 and 2.6 up, got {value}")
    return point.tolist()
