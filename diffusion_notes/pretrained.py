"""The trained network that the pages show, from one committed file.

Retraining gives the same losses to the digits printed, but not the same bits on every machine. What
is compared exactly is therefore computed from these weights. ``make weights`` makes them anew.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from torch import Generator

from diffusion_notes.checkpoints import load_weights, save_weights
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import Schedule
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.swiss_roll import SwissRoll
from diffusion_notes.training import train

__all__ = ["SWISS_ROLL_RECIPE", "SWISS_ROLL_WEIGHTS", "swiss_roll_ddpm"]

SWISS_ROLL_WEIGHTS = Path(__file__).parent / "weights" / "swiss_roll.safetensors"

SWISS_ROLL_RECIPE = {"points": 100_000, "steps": 30_000, "batch_size": 1024, "learning_rate": 5e-3, "seed": 0}


def swiss_roll_ddpm(variance: str = "beta_tilde") -> DDPM:
    r"""The DDPM of the swiss roll chapter, trained: T = 1000, :math:`\beta_t` from 1e-4 to 0.02.

    Arguments:
        variance: :math:`\sigma_t^2`, as in :class:`~diffusion_notes.ddpm.DDPM`.

    >>> sum(parameter.numel() for parameter in swiss_roll_ddpm().parameters())
    11266
    """
    schedule = Schedule.linear(T=1000)
    model = DDPM(NoiseMLP(schedule), schedule, variance)
    load_weights(model, SWISS_ROLL_WEIGHTS)
    return model.eval().requires_grad_(False)


def _make(path: Path = SWISS_ROLL_WEIGHTS) -> None:
    """Train the network and write its weights."""
    generator = Generator().manual_seed(SWISS_ROLL_RECIPE["seed"])
    schedule = Schedule.linear(T=1000)
    model = DDPM(NoiseMLP(schedule, generator=generator), schedule)
    data = SwissRoll().sample(SWISS_ROLL_RECIPE["points"], generator)
    settings = {name: SWISS_ROLL_RECIPE[name] for name in ("steps", "batch_size", "learning_rate")}
    state = deque(train(model, data, generator=generator, **settings), maxlen=1).pop()
    save_weights(state.average, path, about={"model": "swiss_roll_ddpm", "recipe": SWISS_ROLL_RECIPE})


if __name__ == "__main__":
    _make()
