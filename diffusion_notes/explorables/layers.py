"""Two layers of latents, and three ways to split their bound."""

from __future__ import annotations

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_number
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import BOUND, WRONG, line, scaled, svg, words

__all__ = ["Layers"]


class Layers(Explorable):
    r"""Couple two latents, and see which split of the bound stays equal to it.

    The model is :math:`x = z_1 + 0.5\,n`, :math:`z_1 = a z_2 + \sqrt{1 - a^2}\,n`, :math:`z_2 \sim \mathcal N(0, 1)`.
    The encoder has the true :math:`q(z_1 \mid x)`, and couples :math:`z_2` to :math:`z_1` by c, which is a if it is
    the true posterior.

    Arguments:
        a: the coupling at which it starts.
        x: the data point at which it starts.

    Raises:
        TypeError: ``a`` or ``x`` is not a number.
        ValueError: ``a`` is not between -0.99 and 0.99, or ``x`` not between -3 and 3.
    """

    name = "layers"
    parts = ("maths", "drawing")

    a = traitlets.Float().tag(sync=True, state=True)
    x = traitlets.Float().tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "Lines over the coupling a of two layers: the bound and its right split lie on each other, and on log p(x) if "
        "the encoder is the true posterior. The printed split is above log p(x) for small a; the repaired one falls "
        "away below the bound as a nears one."
    ).tag(sync=True, state=True)

    def __init__(self, a: float = 0.5, x: float = 1.2) -> None:
        for name, value, limit in (("a", a, 0.99), ("x", x, 3)):
            check_number(name, value, -limit, limit)
        super().__init__(a=float(a), x=float(x))

    def still_picture(self) -> str:
        """The bound and the two wrong splits, for the true posterior."""
        a = np.linspace(-0.97, 0.97, 98)
        m = self.x / 1.25
        r = 0.2
        bound = 0 * a - (np.log(2 * np.pi * 1.25) + self.x**2 / 1.25) / 2
        reconstruction = -(np.log(2 * np.pi * 0.25) + ((self.x - m) ** 2 + r) / 0.25) / 2
        printed = reconstruction - (a**2 * (m**2 + r) + 1 - a**2 - 1 - np.log(1 - a**2)) / 2
        repaired = bound - a**2 * r / (1 - a**2)
        across = scaled(a, -1, 1, (0, 600))

        def up(y: np.ndarray) -> np.ndarray:
            return scaled(np.maximum(y, bound - 4), bound[0] - 4, bound[0] + 1.5, (300, 0))

        return svg(
            self.alt,
            (600, 320),
            line(across, up(bound), BOUND, 5),
            line(across, up(printed), WRONG),
            line(across, up(repaired), WRONG),
            words(300, up(bound)[0] + 22, "the bound, and log p(x)", BOUND),
            words(300, up(printed)[49] - 8, "printed", WRONG),
            words(60, 260, "repaired", WRONG),
        )
