r"""What samples of the swiss roll are measured by, and whom they are measured beside.

Four numbers, and each has a floor, that of true samples. Two need the roll: the divergence over 500 cells of equal
probability, and the share of strays. Two compare with as many true samples, at most 10,000, and know nothing of a
spiral. The baselines are who has learned the training points by heart, and who blurs them.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import check_generator, check_points, check_samples
from diffusion_notes._arguments.values import check_integer
from diffusion_notes.data import KernelDensity
from diffusion_notes.metrics import binned_kl, energy_distance, sliced_distance, stray_share
from diffusion_notes.swiss_roll import SwissRoll

__all__ = ["REFERENCES", "memorised", "scores", "smoothed", "true_samples"]


def scores(samples: Tensor, seed: int = 0) -> dict[str, float]:
    """All four, by name; the true samples are fresh ones for each seed, at most 10,000 of them.

    Arguments:
        samples: points of shape ``(n, 2)``, n ≥ 1, all finite.
        seed: of the true samples.

    Raises:
        TypeError, ValueError: they are not, or ``seed`` is no integer.

    >>> sorted(scores(SwissRoll().sample(50)))
    ['KL500', 'energy distance', 'off the spiral', 'sliced distance']
    """
    check_samples("samples", samples, dim=2)
    seed = check_integer("seed", seed, least=0)
    roll = SwissRoll()
    generator = Generator(samples.device).manual_seed(10_000 + seed)
    some = samples[:10_000]
    true = roll.sample(len(some), generator, dtype=samples.dtype)
    return {
        "KL500": binned_kl(samples, roll),
        "off the spiral": stray_share(samples, roll),
        "sliced distance": sliced_distance(some, true),
        "energy distance": energy_distance(some, true),
    }


def true_samples(points: Tensor, samples: int, generator: Generator | None) -> Tensor:
    """The floor: ``samples`` draws from the roll itself, whatever the training ``points`` are."""
    return SwissRoll().sample(check_integer("samples", samples, least=0), generator)


def memorised(points: Tensor, samples: int, generator: Generator | None) -> Tensor:
    """Draws, with replacement, from the training points: who has learned them by heart."""
    check_points("points", points, dim=2, least=1, finite=True)
    samples = check_integer("samples", samples, least=0)
    check_generator("generator", generator, points.device)
    return points[torch.randint(len(points), (samples,), generator=generator, device=points.device)]


def smoothed(points: Tensor, samples: int, generator: Generator | None) -> Tensor:
    """Draws from a kernel density estimate of the training points: who has learned how wide to blur them."""
    check_points("points", points, dim=2, least=2, finite=True)
    samples = check_integer("samples", samples, least=0)
    estimate = KernelDensity(points.double())
    return estimate.sample(samples, generator).to(points.dtype)


REFERENCES = {"true samples": true_samples, "training points": memorised, "kernel density": smoothed}
