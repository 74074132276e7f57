"""What a distribution offers when everything that a diffusion model estimates can be computed of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

__all__ = ["Band", "KnownDistribution", "Reference"]


@runtime_checkable
class KnownDistribution(Protocol):
    """A distribution in the plane that is known at every noise level, as ``SwissRoll`` and ``Clusters`` are."""

    def diffuse(self, alpha_bar: float) -> KnownDistribution:
        """The distribution at that level."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Its log density in nats."""

    def score(self, x: Tensor) -> Tensor:
        """The gradient of that."""

    def expect(self, f: Callable[[Tensor], Tensor]) -> Tensor:
        """The exact expectation of a function."""


@runtime_checkable
class Reference(Protocol):
    """What samples are measured against: Gaussian noise around a shape without width (a spiral, eight places).

    Attributes:
        noise: the standard deviation of that noise.
    """

    noise: float

    def distance(self, x: Tensor) -> Tensor:
        """How far each of n points, ``(n, 2)``, is from that shape, ``(n,)``."""

    def cells(self, x: Tensor) -> tuple[Tensor, int]:
        """The number of the cell in which each of n points lies, and how many cells of equal probability there are."""


@runtime_checkable
class Band(Protocol):
    """Data in a band along a curve."""

    def across(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest place on the curve, and how far to its side each of n points is, ``(n,)`` each."""
