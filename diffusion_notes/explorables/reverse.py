"""The reverse process, by a trained network that runs in the page."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_choice, check_integer, check_number
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.network_state import network_state
from diffusion_notes.explorables.still_pictures import MODEL, dots, line, scaled, svg

__all__ = ["Reverse"]

Method = Literal["ancestral", "ddim", "heun", "dpmpp_2m", "dpmpp_3m"]
Levels = Literal["thinned", "uniform", "log_snr", "karras"]

_CALLS = (1, 2, 4, 5, 8, 10, 16, 20, 50, 100, 250, 1000)
_HINTS = {
    True: "Press play. How few calls of the network are enough? What if the noise of a step is left out, and only the "
    "mean of the step is taken? And if all points start at one place, where do they end?",
    False: "Press play. Which method finds the spiral with the fewest calls of the network, and with which levels? "
    "Does the noise of DDIM, η, help when calls are few, or many? If all points start at one place, where do they end?",
}


class Reverse(Explorable):
    r"""Two thousand points find the swiss roll: :func:`~diffusion_notes.samplers.walk`, in the page.

    The method, the number of calls, the noise of a step, the levels and the start can be chosen; the steps are those
    of the package. Some of the points may leave their paths behind. Ancestral sampling may also leave out the noise of
    its steps, and follow their mean alone, which is *not* the deterministic step of DDIM. Nothing is computed before
    it is seen, or played.

    Arguments:
        network: a :class:`~diffusion_notes.networks.NoiseMLP`, trained on the roll with a linear schedule.
        method: with which it starts: ``"ancestral"``, ``"ddim"``, ``"heun"``, ``"dpmpp_2m"`` or ``"dpmpp_3m"``.
        calls: of the network, for a walk: one a step, by Heun's method two. If it is not said, 1000, or T if that is
            smaller.
        eta: :math:`\eta` in [0, 1], the share of new noise in a step of DDIM; 0 for the other methods.
        levels: the n steps t that are visited, from T down: a spacing of
            :func:`~diffusion_notes.samplers.choose_levels`, or ``"thinned"``, for ``"uniform"`` with T/n the lowest, so
            that all steps are equally long.

    Raises:
        TypeError: ``network`` is no such network, or another argument of another kind.
        ValueError: it is not one for points in the plane, or not for a linear schedule; there is no such method, or no
            such levels; ``calls`` is not from 1 to T; or ``eta`` not in [0, 1], or not 0 for another method than DDIM.
    """

    name = "reverse"
    parts = ("maths", "sampling", "drawing", "dragging", "playing")

    weights = traitlets.Unicode().tag(sync=True, state=True)
    settings = traitlets.Dict().tag(sync=True, state=True)
    method = traitlets.Unicode().tag(sync=True, state=True)
    calls = traitlets.Int().tag(sync=True, state=True)
    eta = traitlets.Float().tag(sync=True, state=True)
    levels = traitlets.Unicode().tag(sync=True, state=True)
    choices = traitlets.List(traitlets.Int()).tag(sync=True, state=True)
    hint = traitlets.Unicode().tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "Two thousand points in the plane, with the spiral as a thin line. They start as a round cloud, and step by "
        "step they gather along the spiral. Some of them leave their paths behind."
    ).tag(sync=True, state=True)

    def __init__(
        self,
        network: Any,
        method: Method = "ancestral",
        calls: int | None = None,
        eta: float = 0.0,
        levels: Levels = "thinned",
    ) -> None:
        trained = network_state(network)
        T = trained["settings"]["T"]
        check_choice("method", method, get_args(Method))
        calls = min(1000, T) if calls is None else check_integer("calls", calls, least=1, most=T)
        eta = check_number("eta", eta, 0, 1)
        if eta > 0 and method != "ddim":
            raise ValueError(f"eta must be 0 with the method {method!r}, got {eta}")
        check_choice("levels", levels, get_args(Levels))
        choices = sorted({each for each in _CALLS if each <= T} | {calls})
        hint = _HINTS[method == "ancestral"]
        super().__init__(**trained, method=method, calls=calls, eta=eta, levels=levels, choices=choices, hint=hint)

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
