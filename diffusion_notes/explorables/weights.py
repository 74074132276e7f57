"""A trained network, as text that a page can hold."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import traitlets

from diffusion_notes._arguments.values import describe
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.schedules import linear_ends

__all__ = ["WithNetwork"]


class WithNetwork(Explorable):
    r"""An explorable with an :math:`\varepsilon_\theta` in it, which runs in the page.

    Arguments:
        network: a :class:`~diffusion_notes.networks.NoiseMLP` of two coordinates, made for a linear schedule.

    Raises:
        TypeError: ``network`` is no such network.
        ValueError: it has another number of coordinates, or another kind of schedule.
    """

    parts = ("maths", "drawing", "dragging")

    weights = traitlets.Unicode().tag(sync=True, state=True)
    settings = traitlets.Dict().tag(sync=True, state=True)

    def __init__(self, network: Any) -> None:
        try:
            numbers = [value.detach().cpu().numpy() for value in network.state_dict().values()]
            schedule, data_std = network.schedule, float(network.data_std)
        except (AttributeError, TypeError) as error:  # a class has these methods too, but no weights
            raise TypeError(f"network must be a NoiseMLP, got {describe(network)}") from error
        (dim, features), width, depth = numbers[0].shape, numbers[1].shape[0], len(numbers) // 2 - 1
        if dim != 2:
            raise ValueError(f"network must be one for points in the plane, got one for {dim} coordinates")
        ends = linear_ends(schedule)
        flat = np.concatenate([value.ravel() for value in numbers]).astype("<f4")
        super().__init__(
            weights=base64.b64encode(flat.tobytes()).decode("ascii"),
            settings={"width": width, "depth": depth, "features": features, "dataStd": data_std} | ends,
        )
