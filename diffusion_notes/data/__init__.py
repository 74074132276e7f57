"""Distributions whose every quantity is known, and the quadrature behind them."""

from diffusion_notes.data.clusters import Clusters
from diffusion_notes.data.kernel_density import KernelDensity
from diffusion_notes.data.known import Band, KnownDistribution, Reference
from diffusion_notes.data.mixtures import GaussianMixture, Seen
from diffusion_notes.data.peaks import Peaks
from diffusion_notes.data.quadrature import integrate_plane, unit_interval

__all__ = [
    "Band",
    "Clusters",
    "GaussianMixture",
    "KernelDensity",
    "KnownDistribution",
    "Peaks",
    "Reference",
    "Seen",
    "integrate_plane",
    "unit_interval",
]
