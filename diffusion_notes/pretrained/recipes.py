"""How each of the trained networks is made: the untrained model, its data, and its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import check_generator
from diffusion_notes._arguments.values import check_choice, check_integer, check_kind
from diffusion_notes.data import KickedOscillator, TwoNotes
from diffusion_notes.ddpm import DDPM, Objective, TSampling, Variance
from diffusion_notes.distributions import randn_like
from diffusion_notes.guidance import ConditionalDDPM, NoisyClassifier
from diffusion_notes.hierarchical_vae import HierarchicalVAE
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_weight
from diffusion_notes.pretrained.expected_noise import ExpectedNoise
from diffusion_notes.schedule import Schedule
from diffusion_notes.signals import one_after_the_other
from diffusion_notes.swiss_roll import SwissRoll
from diffusion_notes.vae import VAE

__all__ = [
    "RECIPES",
    "Recipe",
    "put_on_spiral",
    "untrained_arms",
    "untrained_arms_classifier",
    "untrained_ddpm",
    "untrained_forecaster",
    "untrained_precise_ddpm",
    "untrained_vocoder",
]

_NOISE = 0.05  # the roll's own
_ARMS = 3  # for labels


@dataclass(frozen=True)
class Recipe:
    """How a network is made: by :func:`~diffusion_notes.fitting.loop.train`, mostly from points of the swiss roll.

    Attributes:
        build: makes the untrained model. Its ``generator`` draws the initial weights.
        points: how many points there are to train on.
        steps: how many steps the training takes.
        batch_size: how many points a batch holds.
        learning_rate: its largest value.
        seed: of the generator that draws everything.
        seed_data: whether the data start the generator afresh, or come after the initial weights.
        pretrain: what is done with the model before the training.
        examples: how many a model makes of the points before the training, to learn from them: see
            :class:`~diffusion_notes.pretrained.expected_noise.ExpectedNoise`. With None it learns from the points.
        decay: of the moving average of the parameters, for each step.
        labels: of how many arms of the roll, see :func:`~diffusion_notes.guidance.arms`, each point has one for its
            label; with None there are no labels.
        data: draws so many points, with a generator, where there are no labels.
    """

    build: Callable[..., DDPM | VAE | HierarchicalVAE | ConditionalDDPM | NoisyClassifier]
    points: int = 100_000
    steps: int = 20_000
    batch_size: int = 512
    learning_rate: float = 5e-3
    seed: int = 0
    seed_data: bool = True
    pretrain: Callable[..., None] | None = None
    examples: int | None = None
    decay: float = 0.995
    labels: int | None = None
    data: Callable[[int, Generator], Tensor] = SwissRoll().sample

    @property
    def hyperparameters(self) -> dict[str, int | float]:
        """The numbers of the recipe, by name."""
        more = {} if self.examples is None else {"examples": self.examples, "decay": self.decay}
        more |= {} if self.labels is None else {"labels": self.labels}
        return more | {
            "points": self.points,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }


def untrained_ddpm(
    variance: Variance | torch.Tensor = "beta_tilde",
    objective: Objective = "simple",
    t_sampling: TSampling = "uniform",
    generator: Generator | None = None,
) -> DDPM:
    r"""The DDPM of the swiss roll chapter, before its training: T = 1000, :math:`\beta_t` from 1e-4 to 0.02."""
    schedule = Schedule.linear(T=1000)
    return DDPM(NoiseMLP(schedule, generator=generator), schedule, variance, objective, t_sampling)


def untrained_precise_ddpm(variance: Variance | torch.Tensor = "beta", generator: Generator | None = None) -> DDPM:
    r"""The same network, to be trained on the bound with targets without noise.

    A level is drawn by its weight in the bound, times the root of the loss that Gaussian data would have at it.
    """
    schedule = Schedule.linear(T=1000)
    network = NoiseMLP(schedule, generator=generator)
    worth = variational_weight(schedule, schedule.beta) * network.left_over.squeeze(-1).double()
    return ExpectedNoise(network, schedule, variance, "variational", worth)


def untrained_arms(variance: Variance | torch.Tensor = "beta", generator: Generator | None = None) -> ConditionalDDPM:
    r"""The same network, told which of three arms of the roll a point is of, but for a tenth of them.

    To be trained on the bound, with a level drawn by its weight in it.
    """
    schedule = Schedule.linear(T=1000)
    network = NoiseMLP(schedule, generator=generator, condition=_ARMS)
    return ConditionalDDPM(network, schedule, _ARMS, variance, "variational", drop=0.1, t_sampling="weight")


def untrained_arms_classifier(generator: Generator | None = None) -> NoisyClassifier:
    """A classifier of noisy points of the roll: which of its three arms they are of."""
    return NoisyClassifier(Schedule.linear(T=1000), _ARMS, generator=generator)


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


def untrained_forecaster(generator: Generator | None = None) -> ConditionalDDPM:
    """The forecaster of the chapter on signals, before its training: a diffusion of 100 steps, told two values."""
    schedule = Schedule.cosine(T=100)
    network = NoiseMLP(schedule, dim=1, features=8, data_std=1.2, condition=2, generator=generator)
    return ConditionalDDPM(network, schedule, condition=2, variance="beta")


def untrained_vocoder(kind: str, generator: Generator | None = None) -> ConditionalDDPM:
    """A diffusion of 50 steps for the 32 coefficients of a waveform, told four powers, before its training.

    Arguments:
        kind: ``"standard"``, or ``"prior"``, of waveforms that are whitened by the prior that the powers make.
        generator: draws the initial weights.

    Raises:
        TypeError, ValueError: an argument is not as said.
    """
    check_choice("kind", kind, ("standard", "prior"))
    schedule = Schedule.cosine(T=50)
    spread = 1.0 if kind == "prior" else 0.6
    notes = TwoNotes()
    network = NoiseMLP(
        schedule, notes.length, 128, features=1, data_std=spread, condition=notes.bands, generator=generator
    )
    return ConditionalDDPM(network, schedule, notes.bands, variance="beta")


def _series(points: int, generator: Generator) -> Tensor:
    """Next values with what came before them, from series of seven values."""
    return one_after_the_other(KickedOscillator().series(points // 5, 7, generator), order=2)


def _waveforms(kind: str, points: int, generator: Generator) -> Tensor:
    """Waveforms, whitened if there is a prior, with the powers of their bands."""
    notes = TwoNotes()
    x, c = notes.sample(points, generator)
    return torch.cat((x / notes.band_variance(c).sqrt() if kind == "prior" else x, c), 1)


_ddpm = partial(Recipe, steps=30_000, batch_size=1024, seed_data=False)
_precise = partial(_ddpm, untrained_precise_ddpm, steps=15_000, learning_rate=8e-3, examples=262_144, decay=0.999)
_arms = partial(Recipe, untrained_arms, batch_size=1024, labels=_ARMS)
_sharp = partial(HierarchicalVAE, [2, 2], std=_NOISE, features=16)
RECIPES = {
    "ddpm": _ddpm(untrained_ddpm),
    "ddpm_variational_uniform": _ddpm(partial(untrained_ddpm, "beta", "variational")),
    "ddpm_variational_weight": _ddpm(partial(untrained_ddpm, "beta", "variational", "weight")),
    **{f"ddpm_precise_{seed}": _precise(seed=seed) for seed in range(3)},
    **{f"arms_{seed}": _arms(steps=30_000, seed=seed) for seed in range(3)},
    **{f"arms_short_{seed}": _arms(steps=1000, seed=seed) for seed in range(3)},
    "arms_classifier": Recipe(untrained_arms_classifier, steps=10_000, batch_size=1024, labels=_ARMS),
    "vae_learned": Recipe(partial(VAE, 1)),
    "vae_sharp": Recipe(partial(VAE, 2, std=_NOISE, features=16)),
    "vae_guided": Recipe(partial(VAE, 1), pretrain=put_on_spiral),
    "hierarchical_vae_learned": Recipe(partial(HierarchicalVAE, [2, 2])),
    "hierarchical_vae_sharp": Recipe(_sharp),
    "hierarchical_vae_sharp_again": Recipe(_sharp, seed=3),
    "forecaster": Recipe(untrained_forecaster, steps=8000, seed_data=False, data=_series),
    **{
        f"vocoder_{kind}": Recipe(
            partial(untrained_vocoder, kind),
            steps=6000,
            learning_rate=3e-3,
            seed_data=False,
            data=partial(_waveforms, kind),
        )
        for kind in ("standard", "prior")
    },
}
