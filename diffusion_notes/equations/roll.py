"""A world with this book's data: a spiral with noise around it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from diffusion_notes.equations.gaussians import Gaussians
from diffusion_notes.equations.normal import log_normal
from diffusion_notes.equations.worlds import Point, Unsuited

__all__ = ["Roll"]

PLACES = 3001


class Roll(Gaussians):
    """The swiss roll, or the decoder that would be perfect for it: p(x | z) around the place Φ(z) of the spiral.

    Args:
        context: The chapter.
        seed: For the random numbers.
        T: How many steps.
        noise: The standard deviation around the spiral.
    """

    def __init__(self, context: str, seed: int, T: int, noise: float) -> None:
        super().__init__(context, seed, 2, T=T)
        self.title = f"the swiss roll with noise {noise}"
        self.roll_noise = noise
        if not self.diffusing:
            self.sigma = np.full_like(self.sigma, noise)
        line, weights = np.polynomial.legendre.leggauss(701)
        self.places, self.weights = (line + 1) / 2, weights / 2

    def spiral(self, u: np.ndarray) -> np.ndarray:
        """The place on the spiral: as a complex number it is τ e^{iτ} / 10."""
        angle = 1.5 * np.pi * (1 + 2 * u)
        place = angle * np.exp(1j * angle) / 10
        return np.stack([place.real, place.imag], axis=-1)

    def noise_of_the_data(self) -> np.ndarray:
        """The standard deviation of the noise around the spiral."""
        return np.array([self.roll_noise])

    def normal_cdf(self, z: np.ndarray) -> np.ndarray:
        """Φ, for numbers."""
        if z.ndim != 1:
            raise Unsuited("Φ of a vector")
        return np.array([(1 + math.erf(x / math.sqrt(2))) / 2 for x in z])

    def log_density(self, model, about, given, point):  # noqa: D102
        if given == () and about == (self.keys[0],) and model == "q":
            near = np.exp(
                np.stack(
                    [
                        log_normal(point.values[about[0]], self.spiral(u)[None], self.roll_noise**2 * np.eye(2)[None])
                        for u in self.places
                    ]
                )
            )
            return np.log(self.weights @ near)
        if (model, about, given) == ("p", ("z",), ()):
            return -(point.values["z"] ** 2) / 2 - np.log(2 * np.pi) / 2
        if model == "q" and self.keys[0] in given and self.keys[0] not in about and self.diffusing:
            return super().log_density(model, about, given, point)
        raise Unsuited("the data are no Gaussian here")

    def nodes(self, model, about, given, point):  # noqa: D102
        raise Unsuited("the data are no Gaussian here")

    def measure(self, key, point):  # noqa: D102
        if key != "z":
            raise Unsuited("an integral over several dimensions")
        line = np.linspace(-8, 8, PLACES)
        return {"z": line[None]}, np.full((1, PLACES), line[1] - line[0])

    def draws(self, count: int) -> Point:
        """Points on the roll: a place, the noise around it, and what becomes of them."""
        rng = np.random.default_rng(count)
        u, n = rng.uniform(size=count), rng.normal(size=(count, 2))
        start = self.spiral(u) + self.roll_noise * n
        values = {"u": u, "n": n, self.keys[0]: start}
        if not self.diffusing:
            return Point(values | {"z": rng.normal(size=count)})
        for t in range(1, self.T + 1):
            noise = rng.normal(size=(count, 2)) * np.sqrt(self.beta[t])
            values[f"x{t}"] = np.sqrt(1 - self.beta[t]) * values[f"x{t - 1}"] + noise
        return replace(Point(), values=values)
