"""What a network that predicts noise learns: an average over all that may have happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_integer
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.network_state import network_state
from diffusion_notes.explorables.still_pictures import DATA, POSTERIOR, dots, line, scaled, svg, words

__all__ = ["Field"]


class Field(Explorable):
    r"""Drag :math:`x_t`: the exact :math:`\mathbb E[\varepsilon \mid x_t]` on the roll, and the trained network's.

    The posterior over :math:`x_0` is drawn as dots on the spiral, as large as they are likely.

    Arguments:
        network: a :class:`~diffusion_notes.networks.NoiseMLP`, trained on the roll with a linear schedule.
        t: the step at which it starts.

    Raises:
        TypeError: ``network`` is no such network, or ``t`` no integer.
        ValueError: ``network`` does not fit, or there is no such step.
    """

    name = "field"
    parts = ("maths", "drawing", "dragging")

    weights = traitlets.Unicode().tag(sync=True, state=True)
    settings = traitlets.Dict().tag(sync=True, state=True)
    t = traitlets.Int().tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "The plane with the spiral in it, pale arrows that point from everywhere to the data, and one point x_t with "
        "a line to the average of all the x_0 that it may have come from, and a dashed one to what the network says. "
        "Green dots mark the places on the spiral that it may have come from, larger ones the likelier."
    ).tag(sync=True, state=True)

    def __init__(self, network: Any, t: int = 120) -> None:
        trained = network_state(network)
        check_integer("t", t, least=1, most=trained["settings"]["T"])
        super().__init__(**trained, t=t)

    def still_picture(self) -> str:
        """The spiral, a point between its arms, and the average of where it may have come from."""
        angle = 1.5 * np.pi * (1 + 2 * np.linspace(0, 1, 200))
        spiral = 0.1 * angle * np.stack((np.cos(angle), np.sin(angle)))
        beta = np.linspace(self.settings["beta1"], self.settings["betaT"], self.settings["T"])
        alpha_bar = np.prod(1 - beta[: self.t])
        place = np.array([[0.2], [1.0]])
        variance = alpha_bar * 0.05**2 + 1 - alpha_bar
        weight = np.exp(-((place - np.sqrt(alpha_bar) * spiral) ** 2).sum(0) / (2 * variance))
        mean = (spiral * weight).sum(1) / weight.sum()
        size = (560, 420)

        def pixels(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return scaled(x, -2.5, 2.5, (0, size[0])), scaled(y, -1.875, 1.875, (size[1], 0))

        across, up = pixels(*np.column_stack((place, mean)))
        likely = weight > weight.max() / 4
        alt = (
            "The plane with the spiral in it, and one point x_t between two of its arms, with a line to the average of "
            "all the x_0 that it may have come from, which green dots on the spiral mark."
        )
        return svg(
            alt,
            size,
            line(*pixels(*spiral), DATA),
            dots(*pixels(*spiral[:, likely]), POSTERIOR, 9),
            line(across, up),
            dots(across[1:], up[1:], width=10),
            dots(across[:1], up[:1], width=16),
            words(across[0] + 24, up[0] - 8, "xₜ"),
        )
