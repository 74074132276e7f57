"""What a network that predicts noise learns: an average over all that may have happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_integer
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.network_state import network_state
from diffusion_notes.explorables.still_pictures import DATA, MODEL, dots, line, scaled, svg, words

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
        "The plane with the spiral in it, arrows that point from everywhere towards the data, and one point x_t with a "
        "line to the average of all the x_0 that it may have come from, and a dashed one to what the network says. "
        "Larger dots mark the likelier places on the spiral."
    ).tag(sync=True, state=True)

    def __init__(self, network: Any, t: int = 60) -> None:
        trained = network_state(network)
        check_integer("t", t, least=1, most=trained["settings"]["T"])
        super().__init__(**trained, t=t)

    def still_picture(self) -> str:
        """The spiral, a point between its arms, and the average of where it may have come from."""
        angle = 1.5 * np.pi * (1 + 2 * np.linspace(0, 1, 200))
        spiral = 0.1 * angle * np.stack((np.cos(angle), np.sin(angle)))
        weight = np.exp(-((spiral - [[0.2], [0.9]]) ** 2).sum(0) / 0.1)
        mean = (spiral * weight).sum(1) / weight.sum()
        place = [scaled(values, -2, 2, (0, 400)) for values in (spiral[0], [0.2, mean[0]])]
        height = [scaled(values, -2, 2, (400, 0)) for values in (spiral[1], [0.9, mean[1]])]
        alt = (
            "The plane with the spiral in it, and one point x_t between two of its arms, with a line to the average of "
            "all the x_0 that it may have come from."
        )
        return svg(
            alt,
            (400, 400),
            dots(place[0], height[0], DATA),
            line(place[1], height[1], MODEL),
            dots(place[1][:1], height[1][:1], MODEL, 14),
            words(place[1][0] + 24, height[1][0] - 8, "xₜ"),
        )
