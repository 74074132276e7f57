"""The reverse process, by a trained network that runs in the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.network_state import network_state
from diffusion_notes.explorables.still_pictures import MODEL, dots, line, scaled, svg

__all__ = ["Reverse"]


class Reverse(Explorable):
    r"""Two thousand points find the swiss roll: ancestral sampling, in the page.

    The number of steps, the :math:`\sigma_t^2` and the start can be chosen. A walk of fewer steps visits some of the
    noise levels only, and its :math:`\beta_t` are those of the shorter chain. Without noise it follows the mean of the
    ancestral step, which is not the deterministic step of DDIM. Nothing is computed before it is seen, or played.

    Arguments:
        network: a :class:`~diffusion_notes.networks.NoiseMLP`, trained on the roll with a linear schedule.

    Raises:
        TypeError: ``network`` is no such network.
        ValueError: it is not one for points in the plane, or not for a linear schedule.
    """

    name = "reverse"
    parts = ("maths", "drawing", "dragging", "playing")

    weights = traitlets.Unicode().tag(sync=True, state=True)
    settings = traitlets.Dict().tag(sync=True, state=True)
    steps = traitlets.List(traitlets.Int()).tag(sync=True, state=True)
    hint = traitlets.Unicode(
        "Press play. How few steps are enough? What happens without noise, where only the mean of each step is taken? "
        "And if all points start at one place, where do they end?"
    ).tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "Two thousand points in the plane, with the spiral as a thin line. They start as a round cloud, and step by "
        "step they gather along the spiral."
    ).tag(sync=True, state=True)

    def __init__(self, network: Any) -> None:
        trained = network_state(network)
        T = trained["settings"]["T"]
        steps = [steps for steps in (1000, 250, 100, 50, 20, 10, 5) if steps <= T] or [T]
        super().__init__(**trained, steps=steps)

    def still_picture(self) -> str:
        """A cloud, and the spiral that it becomes."""
        random = np.random.default_rng(0)
        cloud = random.standard_normal((600, 2)).T
        angle = 1.5 * np.pi * (1 + 2 * random.random(600))
        ends = 0.1 * angle * np.stack((np.cos(angle), np.sin(angle))) + 0.05 * random.standard_normal((2, 600))
        panels = [
            dots(scaled(x, -3, 3, (left, left + 300)), scaled(y, -3, 3, (300, 0)), MODEL, 3)
            for left, (x, y) in ((0, cloud), (360, ends))
        ]
        arrow = line(np.array([315, 345, 335, 345, 335]), np.array([150, 150, 142, 150, 158]))
        return svg(self.alt, (660, 300), *panels, arrow)
