"""The trained networks that the pages show, each from one committed file.

Retraining gives the same losses to the digits printed, but not the same bits on every machine. What
is compared exactly is therefore computed from these weights. ``make weights`` makes them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

import torch
from torch import Tensor, nn

from diffusion_notes._arguments.values import check_choice, check_integer, check_kind
from diffusion_notes.ddpm import DDPM, TSampling, Variance
from diffusion_notes.fitting import load_weights
from diffusion_notes.guidance import ConditionalDDPM, NoisyClassifier
from diffusion_notes.hierarchical_vae import HierarchicalVAE
from diffusion_notes.pretrained.recipes import (
    RECIPES,
    put_on_spiral,
    untrained_arms,
    untrained_arms_classifier,
    untrained_ddpm,
    untrained_forecaster,
    untrained_precise_ddpm,
    untrained_vocoder,
)
from diffusion_notes.vae import VAE

__all__ = [
    "RECIPES",
    "WEIGHTS",
    "oscillator_forecaster",
    "put_on_spiral",
    "swiss_roll_arms",
    "swiss_roll_arms_classifier",
    "swiss_roll_ddpm",
    "swiss_roll_hierarchical_vae",
    "swiss_roll_precise_ddpm",
    "swiss_roll_vae",
    "two_notes_vocoder",
]

WEIGHTS = Path(__file__).parent / "weights"

Model = TypeVar("Model", bound=nn.Module)


def swiss_roll_ddpm(
    variance: Variance | Tensor = "beta_tilde",
    objective: Literal["simple", "variational"] = "simple",
    t_sampling: TSampling = "uniform",
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
    check_choice("objective", objective, ("simple", "variational"))  # what networks are stored for
    check_choice("t_sampling", t_sampling, get_args(TSampling))
    if t_sampling == "weight" and objective == "simple":
        raise ValueError(
            "t_sampling must be 'uniform' with the simple objective: all its weights are equal, got 'weight'"
        )
    name = "ddpm" if objective == "simple" else f"ddpm_variational_{t_sampling}"
    return _load(partial(untrained_ddpm, variance, objective, t_sampling), name)


def swiss_roll_precise_ddpm(seed: int = 0, variance: Variance | Tensor = "beta") -> DDPM:
    r"""The DDPM of the chapter on fewer steps, trained: the network of :func:`swiss_roll_ddpm`, on better targets.

    They are what is expected of the noise, given the 100,000 points: see
    :class:`~diffusion_notes.pretrained.expected_noise.ExpectedNoise`.

    Arguments:
        seed: which of three trainings, each with points of its own: 0, 1 or 2.
        variance: :math:`\sigma_t^2` of the steps, as in :class:`~diffusion_notes.ddpm.DDPM`.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: there is no such training, or no such variance.

    >>> sum(parameter.numel() for parameter in swiss_roll_precise_ddpm().parameters())
    11266
    """
    seed = check_integer("seed", seed, least=0, most=2)
    return _load(partial(untrained_precise_ddpm, variance), f"ddpm_precise_{seed}")


def swiss_roll_arms(seed: int = 0, short: bool = False, variance: Variance | Tensor = "beta") -> ConditionalDDPM:
    r"""The conditional DDPM of the chapter on guidance, trained: it can be told which of three arms a point is of.

    Arguments:
        seed: which of three trainings, each with points of its own: 0, 1 or 2.
        short: whether it was trained with 1,000 steps only, and is poor.
        variance: :math:`\sigma_t^2` of the steps, as in :class:`~diffusion_notes.ddpm.DDPM`.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: there is no such training, or no such variance.

    >>> swiss_roll_arms().given(torch.tensor([0.0, 0.0, 1.0])).sample(torch.randn(5, 2)).shape
    torch.Size([5, 2])
    """
    seed = check_integer("seed", seed, least=0, most=2)
    check_kind("short", short, bool)
    return _load(partial(untrained_arms, variance), f"arms_short_{seed}" if short else f"arms_{seed}")


def swiss_roll_arms_classifier() -> NoisyClassifier:
    """The classifier of noisy points of that chapter, trained: which of the roll's three arms they are of.

    >>> swiss_roll_arms_classifier()(torch.zeros(1, 2), 500).shape
    torch.Size([1, 3])
    """
    return _load(untrained_arms_classifier, "arms_classifier")


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
    return cast(VAE, _of_kind("vae", kind))


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
    return cast(HierarchicalVAE, _of_kind("hierarchical_vae", kind))


def oscillator_forecaster() -> ConditionalDDPM:
    """The forecaster of the chapter on signals, trained: the next value of a kicked oscillator, given two.

    >>> oscillator_forecaster().given(torch.zeros(5, 2)).sample(torch.randn(5, 1)).shape
    torch.Size([5, 1])
    """
    return _load(untrained_forecaster, "forecaster")


def two_notes_vocoder(kind: str) -> ConditionalDDPM:
    """A model of waveforms given the powers of four bands, trained.

    Arguments:
        kind: ``"standard"``, or ``"prior"``: of waveforms that are whitened by the prior that the powers make.

    Raises:
        TypeError, ValueError: ``kind`` is none of these.

    >>> two_notes_vocoder("prior").given(torch.zeros(5, 4)).sample(torch.randn(5, 32)).shape
    torch.Size([5, 32])
    """
    check_choice("kind", kind, ("standard", "prior"))
    return _load(partial(untrained_vocoder, kind), f"vocoder_{kind}")


def _of_kind(model: str, kind: str) -> nn.Module:
    kinds = [name.removeprefix(f"{model}_") for name in RECIPES if name.startswith(f"{model}_")]
    check_choice("kind", kind, kinds)
    name = f"{model}_{kind}"
    return _load(RECIPES[name].build, name)


def _load(build: Callable[[], Model], name: str) -> Model:
    """The model with the weights of that name, in their single precision, whatever is usual where it is loaded."""
    with _single_precision():
        model = build()
    load_weights(model, WEIGHTS / f"{name}.safetensors")
    return model.eval().requires_grad_(False)


@contextmanager
def _single_precision() -> Iterator[None]:
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)
