"""A Gaussian world with something changed: its parameters, its variances, its rule of integration."""

from __future__ import annotations

import numpy as np

__all__ = ["Variations"]


class Variations:
    """The part of a Gaussian world that makes others like it."""

    def moved(self, parameters: str, direction: int, by: complex) -> Variations:
        """The same world with the network's, or the encoder's, parameters moved."""
        other = object.__new__(type(self))
        other.__dict__ = dict(self.__dict__)
        turn, shift, scale = (part[direction] for part in self.shapes)
        if parameters == "theta":
            other.net = [(a + by * w, b + by * v, c) for (a, b, c), w, v in zip(self.net, turn, shift, strict=True)]
        else:
            other.up = [(a + by * w, b + by * v) for (a, b), w, v in zip(self.up, turn, shift, strict=False)]
            other.sigma_phi = self.sigma_phi * np.exp(by * scale)
            constant, linear, square = self.any["f phi"]
            other.any = self.any | {"f phi": (constant + by, linear + by * shift[0], square + by * turn[0])}
        other._build()
        return other

    def with_sigma(self, t: int, sigma: complex) -> Variations:
        """The same world with another deviation of the t-th step of p."""
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"sigma": self.sigma.astype(complex)}
        other.sigma[t] = sigma
        other._build()
        return other

    def choosing(self, variance: str) -> Variations:
        """The same world with β_t or β̃_t for the variances of p, and β_1 for the first step."""
        other = self.with_rule(self.rule)
        before = np.concatenate([[1.0], self.alpha_bar[:-1]])
        tilde = (1 - before[1:]) / (1 - self.alpha_bar[1:]) * self.beta[1:]
        chosen = np.sqrt(np.where(tilde > 0, tilde, self.beta[1:]) if variance == "tilde" else self.beta[1:])
        other.sigma = np.concatenate([[0.0], chosen])
        other._build()
        return other

    def with_rule(self, rule: str | int) -> Variations:
        """The same world, integrating by another rule."""
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"rule": rule}
        return other
