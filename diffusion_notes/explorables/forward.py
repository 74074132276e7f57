"""The roll dissolves under three schedules, and one of them stops too early."""

from __future__ import annotations

import math

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_kind, check_number
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import dots, svg, words

__all__ = ["Forward"]

_POINTS = 140  # of a panel of the still picture
_SIDE = 190  # of a panel, in pixels


class Forward(Explorable):
    r"""Move t through three schedules side by side, and watch what is left of the swiss roll.

    The schedules are the linear one with T = 1000 and :math:`\beta_t` from 0.0001 to 0.02, the cosine schedule
    with T = 1000, and the linear one squeezed into T = 50. Every point keeps one noise :math:`\varepsilon`, and
    stands at :math:`\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon`: at each t the points are
    a sample of :math:`q(x_t)`, but their paths are not those of the chain.

    Arguments:
        position: t/T where it starts.
        levels: whether it shows :math:`\bar\alpha_t`, the signal-to-noise ratio and :math:`L_T`, or, for a reader
            who has met no symbol yet, shares in words.

    Raises:
        TypeError: ``position`` is not a number, or ``levels`` not a bool.
        ValueError: ``position`` is not between 0 and 1.

    >>> Forward(position=0.1)
    Forward()
    """

    name = "forward"
    parts = ("maths", "drawing", "dragging", "playing")

    position = traitlets.Float().tag(sync=True, state=True)
    levels = traitlets.Bool().tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "Three panels of points from a spiral, coloured along it, after the same share of the steps of three "
        "schedules. In the end the first two are round clouds with mixed colours. In the third, which has only fifty "
        "steps, the colours still lie where they began."
    ).tag(sync=True, state=True)

    def __init__(self, position: float = 0.1, levels: bool = False) -> None:
        check_number("position", position, 0, 1)
        check_kind("levels", levels, bool, "True or False")
        super().__init__(position=float(position), levels=levels)

    def still_picture(self) -> str:
        """The points at a tenth, at half and at the end of each schedule."""
        i = np.arange(_POINTS)
        share = (i + 0.5) / _POINTS
        angle = 1.5 * np.pi * (1 + 2 * share)
        x0 = 0.1 * angle * np.stack((np.cos(angle), np.sin(angle)))
        # spread like Gaussian noise, but evenly, and the same on every machine
        first, second = ((i + 1) * step % 1 for step in (0.7548776662, 0.5698402910))
        noise = np.sqrt(-2 * np.log(1 - first)) * np.stack((np.cos(2 * np.pi * second), np.sin(2 * np.pi * second)))
        shapes = []
        for row, (title, T, alpha_bar) in enumerate(_schedules()):
            for column, part in enumerate((0.1, 0.5, 1)):
                t = round(part * T)
                x, y = math.sqrt(alpha_bar[t]) * x0 + math.sqrt(1 - alpha_bar[t]) * noise
                across = _SIDE * (column + 0.5 + x / 5.6)
                up = (_SIDE + 24) * row + _SIDE * (0.5 - y / 5.6)
                for band in range(6):
                    here = np.floor(6 * share) == band
                    shapes.append(dots(across[here], up[here], f"hsl({200 + 200 * (band + 0.5) / 6:.0f},75%,52%)"))
                name = f"{title}, t = {t}" if column == 0 else f"t = {t}"
                shapes.append(words(_SIDE * (column + 0.5), (_SIDE + 24) * row + _SIDE + 12, name))
        return svg(self.alt, (3 * _SIDE, 3 * (_SIDE + 24)), *shapes)


def _schedules() -> list[tuple[str, int, np.ndarray]]:
    """Name, T and alpha_bar of each schedule, as far as a picture needs them."""

    def linear(T: int) -> np.ndarray:
        return np.concatenate(([1.0], np.cumprod(1 - np.linspace(1e-4, 0.02, T))))

    level = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    return [("linear", 1000, linear(1000)), ("cosine", 1000, level / level[0]), ("short", 50, linear(50))]
