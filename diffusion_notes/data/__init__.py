"""Distributions whose every quantity is known, and the quadrature behind them."""

from diffusion_notes.data.clusters import Clusters
from diffusion_notes.data.conditional import ConditionalMixture
from diffusion_notes.data.kernel_density import KernelDensity
from diffusion_notes.data.known import Band, KnownDistribution, Reference
from diffusion_notes.data.mixtures import GaussianMixture, Seen
from diffusion_notes.data.notes import TwoNotes
from diffusion_notes.data.oscillator import KickedOscillator
from diffusion_notes.data.peaks import Peaks
from diffusion_notes.data.quadrature import integrate_plane, unit_interval

__all__ = [
    "Band",
    "Clusters",
    "ConditionalMixture",
    "GaussianMixture",
    "KernelDensity",
    "KickedOscillator",
    "KnownDistribution",
    "Peaks",
    "Reference",
    "Seen",
    "TwoNotes",
    "integrate_plane",
    "unit_interval",
]
