"""The bound, the truth, and the gap between them, for one number and one latent."""

from __future__ import annotations

import math

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_number
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import BOUND, POSTERIOR, faint, line, scaled, svg, words

__all__ = ["Gap"]


class Gap(Explorable):
    r"""Move q, and see the bound rise to :math:`\log p(x)` as q becomes the posterior.

    The prior is :math:`\mathcal N(0, 1)`, the decoder :math:`\mathcal N(z, 0.5^2)` or
    :math:`\mathcal N(z^2/2, 0.2^2)`, and q a Gaussian. All integrals are done on a grid, in the page.

    Arguments:
        x: where it starts.

    Raises:
        TypeError: ``x`` is not a number.
        ValueError: ``x`` is not between -2 and 3.
    """

    name = "gap"
    parts = ("maths", "drawing")

    x = traitlets.Float().tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "The density of the posterior of z given x, as a filled hump, and that of q as a line. The nearer q comes to "
        "the posterior, the smaller the gap between the bound and log p(x) on the scale below."
    ).tag(sync=True, state=True)

    def __init__(self, x: float = 1.2) -> None:
        check_number("x", x, -2, 3)
        super().__init__(x=float(x))

    def still_picture(self) -> str:
        """The posterior of the linear decoder, and q where it starts, at the prior."""
        z = np.linspace(-3, 3, 121)

        def density(mean: float, std: float) -> np.ndarray:
            return np.exp(-(((z - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))

        posterior = density(self.x / 1.25, math.sqrt(0.2))
        q = density(0, 1)
        across = scaled(z, -3, 3, (0, 600))
        up = [scaled(values, 0, 1, (280, 20)) for values in (posterior, q)]
        return svg(
            self.alt,
            (600, 300),
            line(across, up[0], POSTERIOR, fill=faint(POSTERIOR, 0.25)),
            line(across, up[1], BOUND),
            words(500, 120, "posterior", POSTERIOR),
            words(80, 180, "q", BOUND),
        )
