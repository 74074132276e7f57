"""The trained networks that the pages show, each from one committed file.

Retraining gives the same losses to the digits printed, but not the same bits on every machine. What
is compared exactly is therefore computed from these weights. ``make weights`` makes them anew.
"""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path

import torch
from torch import Generator, nn

from diffusion_notes._arguments.tensors import check_generator
from diffusion_notes._arguments.values import check_choice, check_integer, check_kind
from diffusion_notes.ddpm import DDPM
from diffusion_notes.distributions import randn_like
from diffusion_notes.fitting import load_weights, save_weights, train
from diffusion_notes.hierarchical_vae import HierarchicalVAE
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll
from diffusion_notes.vae import VAE

__all__ = [
    "RECIPES",
    "WEIGHTS",
    "put_on_spiral",
    "swiss_roll_ddpm",
    "swiss_roll_hierarchical_vae",
    "swiss_roll_vae",
]

WEIGHTS = Path(__file__).parent / "weights"

_VAE = {"points": 100_000, "steps": 20_000, "batch_size": 512, "learning_rate": 5e-3, "seed": 0}
RECIPES = {
    "ddpm": {"points": 100_000, "steps": 30_000, "batch_size": 1024, "learning_rate": 5e-3, "seed": 0},
    "ddpm_variational_uniform": {
        "points": 100_000,
        "steps": 30_000,
        "batch_size": 1024,
        "learning_rate": 5e-3,
        "seed": 0,
    },
    "ddpm_variational_weight": {
        "points": 100_000,
        "steps": 30_000,
        "batch_size": 1024,
        "learning_rate": 5e-3,
        "seed": 0,
    },
    "vae_learned": _VAE,
    "vae_sharp": _VAE,
    "vae_guided": _VAE,
    "hierarchical_vae_learned": _VAE,
    "hierarchical_vae_sharp": _VAE,
    "hierarchical_vae_sharp_again": _VAE | {"seed": 3},
}


def swiss_roll_ddpm(
    variance: str | torch.Tensor = "beta_tilde", objective: str = "simple", t_sampling: str = "uniform"
) -> DDPM:
    r"""The DDPM of the swiss roll chapter, trained: T = 1000, :math:`\beta_t` from 1e-4 to 0.02.

    Arguments:
        variance: :math:`\sigma_t^2` of the steps, as in :class:`~diffusion_notes.ddpm.DDPM`.
        objective: what it was trained on, ``"simple"`` or ``"variational"`` (with :math:`\sigma_t^2 = \beta_t`).
        t_sampling: how t was drawn: ``"uniform"``, or ``"weight"``, in proportion to its weight in the variational
            objective.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: another objective, or ``"weight"`` with the simple one, in which all weights are equal.

    >>> sum(parameter.numel() for parameter in swiss_roll_ddpm().parameters())
    11266
    """
    check_choice("objective", objective, ("simple", "variational"))
    check_choice("t_sampling", t_sampling, ("uniform", "weight"))
    if t_sampling == "weight" and objective == "simple":
        raise ValueError(
            "t_sampling must be 'uniform' with the simple objective: all its weights are equal, got 'weight'"
        )
    name = "ddpm" if objective == "simple" else f"ddpm_variational_{t_sampling}"
    return _load(_ddpm(None, variance, objective, t_sampling), name)


def swiss_roll_vae(kind: str) -> VAE:
    """A VAE of the VAE chapter, trained.

    Arguments:
        kind: ``"learned"`` has one latent and learns its decoder's standard deviation; ``"guided"`` is the
            same, put on the spiral before the training; ``"sharp"`` has two latents and a decoder with the
            roll's own standard deviation, 0.05.

    Raises:
        ValueError: ``kind`` is none of these.

    >>> swiss_roll_vae("guided").latents
    (1,)
    """
    return _trained("vae", kind)


def swiss_roll_hierarchical_vae(kind: str) -> HierarchicalVAE:
    """A hierarchical VAE of its chapter, trained: two layers of two latents each.

    Arguments:
        kind: ``"learned"`` learns its decoder's standard deviation, ``"sharp"`` has the roll's own, 0.05, and
            ``"sharp_again"`` is the same from another seed.

    Raises:
        ValueError: ``kind`` is none of these.

    >>> swiss_roll_hierarchical_vae("sharp").length
    2
    """
    return _trained("hierarchical_vae", kind)


def put_on_spiral(vae: VAE, generator: Generator, steps: int = 3000) -> None:
    r"""Teach a VAE with one latent the answer, from pairs of z and x that belong together.

    The decoder learns :math:`\mathcal N(c(\Phi(z)),\ s^2 I)`, whose :math:`\Phi(z)` is uniform on the spiral, and
    the encoder to find its way back. Raises a TypeError or a ValueError unless ``vae`` is such a VAE, ``generator``
    one on its device, and ``steps`` a number of them.
    """
    check_kind("vae", vae, VAE)
    if vae.latents != (1,):
        raise ValueError(f"vae must have one latent, got {vae.latents}")
    check_kind("generator", generator, Generator)
    check_generator("generator", generator, next(vae.parameters()).device)
    check_integer("steps", steps, least=1)
    roll = SwissRoll()
    optimizer = torch.optim.Adam(vae.parameters(), lr=5e-3)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        z = torch.randn(512, *vae.latents, generator=generator, device=generator.device)
        x = roll.spiral(torch.special.ndtr(z[:, 0]))
        x = x + roll.noise * randn_like(x, generator)
        loss = -(vae.generate(z).log_prob(x) + vae.infer(x).log_prob(z)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        annealing.step()


_NOISE = 0.05  # the roll's own
_UNTRAINED = {
    "ddpm": lambda generator: _ddpm(generator),
    "ddpm_variational_uniform": lambda generator: _ddpm(generator, "beta", "variational"),
    "ddpm_variational_weight": lambda generator: _ddpm(generator, "beta", "variational", "weight"),
    "vae_learned": lambda generator: VAE(1, generator=generator),
    "vae_sharp": lambda generator: VAE(2, std=_NOISE, features=16, generator=generator),
    "vae_guided": lambda generator: VAE(1, generator=generator),
    "hierarchical_vae_learned": lambda generator: HierarchicalVAE([2, 2], generator=generator),
    "hierarchical_vae_sharp": lambda generator: HierarchicalVAE([2, 2], std=_NOISE, features=16, generator=generator),
}
_UNTRAINED["hierarchical_vae_sharp_again"] = _UNTRAINED["hierarchical_vae_sharp"]


def _ddpm(
    generator: Generator | None,
    variance: str | torch.Tensor = "beta_tilde",
    objective: str = "simple",
    t_sampling: str = "uniform",
) -> DDPM:
    schedule = Schedule.linear(T=1000)
    return DDPM(NoiseMLP(schedule, generator=generator), schedule, variance, objective, t_sampling)


def _trained(model: str, kind: str) -> nn.Module:
    kinds = [name.removeprefix(f"{model}_") for name in RECIPES if name.startswith(f"{model}_")]
    check_choice("kind", kind, kinds)
    name = f"{model}_{kind}"
    return _load(_UNTRAINED[name](None), name)


def _load(model: nn.Module, name: str) -> nn.Module:
    load_weights(model, WEIGHTS / f"{name}.safetensors")
    return model.eval().requires_grad_(False)


def _make(names: list[str], folder: Path = WEIGHTS) -> None:
    """Train networks and write their weights."""
    for name in names or RECIPES:
        recipe = RECIPES[name]
        generator = Generator().manual_seed(recipe["seed"])
        model = _UNTRAINED[name](generator)
        if not name.startswith("ddpm"):  # its data come after its initial weights, those of the others start afresh
            generator.manual_seed(recipe["seed"])
        data = SwissRoll().sample(recipe["points"], generator)
        if name == "vae_guided":
            put_on_spiral(model, generator)
        settings = {key: recipe[key] for key in ("steps", "batch_size", "learning_rate")}
        state = deque(train(model, data, generator=generator, **settings), maxlen=1).pop()
        save_weights(state.average, folder / f"{name}.safetensors", about={"model": name, "recipe": recipe})


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m diffusion_notes.pretrained", description=_make.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(RECIPES)}; all of them if none is named")
    names = parser.parse_args().names
    if unknown := set(names) - RECIPES.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; NAME must be one of {', '.join(RECIPES)}")
    _make(names)
