"""The worlds in which every equation of a chapter is tried."""

from __future__ import annotations

from functools import cache

from diffusion_notes.equations.clusters import Clusters
from diffusion_notes.equations.extremes import chains, latents
from diffusion_notes.equations.gaussians import Gaussians
from diffusion_notes.equations.learned import Learned
from diffusion_notes.equations.roll import Roll
from diffusion_notes.equations.tables import Tables
from diffusion_notes.equations.worlds import World

__all__ = ["extremes", "rolls", "worlds"]


@cache
def worlds(context: str) -> tuple[World, ...]:
    """The worlds of a chapter: boxes, some with a model that is q turned round, and Gaussians."""
    boxes = [Tables(context, 1), Tables(context, 2, sharp=2.0, small=0.03), Tables(context, 3, tight=1.0, small=0.2)]
    boxes += [Tables(context, 4, sharp=0.7, tight=0.97, small=0.02), Tables(context, 5, sharp=1.5, small=4.0)]
    boxes += [Tables(context, seed, sharp=2.0, narrow=4.0, small=0.1) for seed in (6, 7, 8)]
    boxes += [
        Tables(context, 9, sharp=0.5, tight=0.999, narrow=3.0, small=1.0),
        Tables(context, 10, sharp=3.0, small=0.3),
    ]
    boxes += [Tables(context, 11, T=5), Tables(context, 12, sharp=1.5, small=0.5, T=3)]
    smooth = [Gaussians(context, 1, 1), Gaussians(context, 2, 2, bent=0.3, T=3), Gaussians(context, 3, 2, T=3)]
    smooth += [Gaussians(context, 4, 1, tight=True, sharp=0.3), Gaussians(context, 5, 1, bent=0.4, sharp=0.4, T=3)]
    smooth += [Gaussians(context, 6, 1, sharp=0.6, T=3), Gaussians(context, 7, 3, T=2), Gaussians(context, 8, 1, T=5)]
    if context in ("vae", "hvae"):
        smooth += [Gaussians(context, seed, 1, sharp=0.8) for seed in (9, 10, 11)]
        smooth += [Learned(seed, D) for seed, D in ((12, 1), (13, 2)) if context == "vae"]
    else:
        smooth += [Gaussians(context, seed, 1, T=3, wide=True) for seed in (9, 10, 11)]
        smooth += [Clusters(context, 12, 3), Clusters(context, 13, 4)]
    for i, world in enumerate((*boxes, *smooth)):
        world.K = 1 + i % 3
    return (*boxes, *smooth)


@cache
def rolls(context: str) -> tuple[World, ...]:
    """Worlds with the book's own data, and more or less noise around the spiral."""
    return Roll(context, 7, 4, 0.15), Roll(context, 8, 3, 0.25)


@cache
def extremes(context: str) -> tuple[World, ...]:
    """Worlds at the edge of what is possible, in which a bound is reached or broken."""
    found: list[World] = latents(context) if context in ("vae", "hvae") else chains(context)
    if context not in ("vae", "hvae"):
        found.append(Clusters(context, 14, 3, width=0.05, betas=(0.02, 0.03, 0.6)))
    for world in found:
        world.K = 1 if world.D == 1 else 9
    return tuple(found)
