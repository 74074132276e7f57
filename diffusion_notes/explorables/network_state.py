"""A trained network, as text and settings that a page can hold."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from diffusion_notes._arguments.values import describe
from diffusion_notes.explorables.linear_schedule import linear_ends

__all__ = ["network_state"]


def network_state(network: Any) -> dict[str, Any]:
    r"""The traits of an explorable with an :math:`\varepsilon_\theta` in it, from which the page makes it anew.

    Arguments:
        network: a :class:`~diffusion_notes.networks.NoiseMLP` of two coordinates, made for a linear schedule.

    Returns:
        ``weights``, all of them in the order of the layers, as base64 of 32-bit floats; and ``settings``, the sizes and
        the schedule.

    Raises:
        TypeError: ``network`` is no such network.
        ValueError: it has another number of coordinates, or another kind of schedule.
    """
    try:
        numbers = [value.detach().cpu().numpy() for value in network.state_dict().values()]
        schedule = network.schedule
        data_std = float(network.data_std)
    except (AttributeError, TypeError) as error:  # a class has these methods too, but no weights
        raise TypeError(f"network must be a NoiseMLP, got {describe(network)}") from error
    dim, features = numbers[0].shape
    if dim != 2:
        raise ValueError(f"network must be one for points in the plane, got one for {dim} coordinates")
    sizes = {"width": numbers[1].shape[0], "depth": len(numbers) // 2 - 1, "features": features, "dataStd": data_std}
    flat = np.concatenate([value.ravel() for value in numbers]).astype("<f4")
    return {
        "weights": base64.b64encode(flat.tobytes()).decode("ascii"),
        "settings": sizes | linear_ends(schedule),
    }
