"""What samples of the swiss roll are measured by: four numbers, and each has a floor, that of true samples.

Two need the roll: the divergence over 500 cells of equal mass, and the share off the spiral. Two compare with as many
true samples and know nothing of a spiral.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from diffusion_notes.quality import cell_divergence, off_spiral_share
from diffusion_notes.swiss_roll import SwissRoll

DIRECTIONS = 180  # evenly spaced: in the plane no chance is needed
BLOCK = 1000  # points whose distances are held at once


def sliced_distance(x: Tensor, y: Tensor) -> float:
    r"""The sliced Wasserstein distance :math:`\sqrt{\operatorname{mean}_\omega W_2^2(\omega\cdot x, \omega\cdot y)}`.

    Of two sets of as many points in the plane. Along a line :math:`W_2` pairs the points in their order.

    >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(sliced_distance(square, square + torch.tensor([3.0, 4.0])), 4)  # 5 / √2
    3.5355
    """
    angle = torch.arange(DIRECTIONS, dtype=x.dtype) * math.pi / DIRECTIONS
    directions = torch.stack((angle.cos(), angle.sin()))
    along = [(points @ directions).sort(0).values for points in (x, y)]
    return (along[0] - along[1]).square().mean().sqrt().item()


def mean_distance(x: Tensor, y: Tensor) -> float:
    """Of all pairs of a point of x and a point of y, those of a point with itself not left out."""
    direct = "donot_use_mm_for_euclid_dist"  # the fast way cancels where points are near
    rows = [torch.cdist(block, y, compute_mode=direct).double().sum() for block in x.split(BLOCK)]
    return (sum(rows) / (len(x) * len(y))).item()


def energy_distance(x: Tensor, y: Tensor) -> float:
    r""":math:`2\,\mathbb E\lVert X-Y\rVert - \mathbb E\lVert X-X'\rVert - \mathbb E\lVert Y-Y'\rVert` of two sets.

    Never negative (Székely and Rizzo 2013), and zero for equal sets only.

    >>> energy_distance(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    10.0
    """
    return 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)


def scores(samples: Tensor, seed: int = 0) -> dict[str, float]:
    """All four; the true samples are fresh ones for each seed, at most 10,000 of them."""
    generator = Generator().manual_seed(10_000 + seed)
    some = samples[:10_000]
    true = SwissRoll().sample(len(some), generator)
    return {
        "KL500": cell_divergence(samples),
        "off the spiral": off_spiral_share(samples),
        "sliced distance": sliced_distance(some, true),
        "energy distance": energy_distance(some, true),
    }


def true_samples(points: Tensor, samples: int, generator: Generator) -> Tensor:
    """The floor: samples of the roll itself."""
    return SwissRoll().sample(samples, generator)


def memorised(points: Tensor, samples: int, generator: Generator) -> Tensor:
    """Who has learned the training points by heart, and draws from them."""
    return points[torch.randint(len(points), (samples,), generator=generator)]


REFERENCES = {"true samples": true_samples, "training points": memorised}
