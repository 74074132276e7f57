"""What samples of the swiss roll are measured by: four numbers, and each has a floor, that of true samples.

Two need the roll: the divergence over 500 cells of equal mass, and the share off the spiral. Two compare with as many
true samples, at most 10,000, and know nothing of a spiral.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from diffusion_notes.measured import energy_distance, sliced_distance
from diffusion_notes.quality import cell_divergence, off_spiral_share
from diffusion_notes.swiss_roll import SwissRoll


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
