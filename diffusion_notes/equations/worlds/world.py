"""Worlds in which everything can be computed, so that an equation is either true in them or not.

A world has two joint distributions over the same chain of variables: the model $p$, whose steps go down from the top,
and $q$, whose steps go up from the data. There are two kinds. In `histogram_world.py` every variable is spread over a
few boxes, so all integrals are finite sums: what holds there for arbitrary densities holds for no reason of Gaussians.
In `gaussian_world.py`, and in the worlds that are built on it, steps are Gaussian and variables are vectors, so means,
noise and networks have a meaning too.

Values carry a first axis for the points at which they are evaluated: a number is `(S,)`, a vector `(S, D)`, a matrix
`(S, D, D)`. Derivatives are taken by a complex step, so nothing here may take an absolute value.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from diffusion_notes.equations.language.syntax_tree import NotUnderstood

__all__ = [
    "ATTACHED",
    "CHAINS",
    "LATER",
    "OF_LABELS",
    "START",
    "Inexact",
    "Point",
    "SeveralDimensions",
    "Undefined",
    "Unsuited",
    "Valueless",
    "Values",
    "World",
]

Values = dict[str, np.ndarray]

MOST = 2.5e5  # of nodes at once

CHAINS = {
    "vae": ("x", "z"),
    "hvae": ("x", "z1", "z2"),
    "diffusion": tuple(f"x{t}" for t in range(41)),
    "ddpm": tuple(f"x{t}" for t in range(41)),
    "samplers": tuple(f"x{t}" for t in range(41)),
    "score": tuple(f"x{t}" for t in range(41)),
    "conditioning": tuple(f"x{t}" for t in range(41)),
    "guidance": tuple(f"x{t}" for t in range(41)),
    "signals": tuple(f"x{t}" for t in range(41)),
}
"""The variables of each chapter, from the data up; a chain x_0, …, x_T may be shorter."""

ATTACHED = {"conditioning": ("y", "c"), "guidance": ("c", "y"), "signals": ("h", "c")}
"""What is seen of the data in the chapters about conditions: an observation y, a label c, a history h; each is a
variable beside the chain, and given x_0 it has nothing to do with the others."""

OF_LABELS = ("guidance", "signals")
"""The chapters in which p_θ( · | c) is a model of its own, whose network is told the condition; in chapter 10 it is
what Bayes' rule makes of a model that is told nothing."""

LATER = ("samplers", "score", "conditioning", "guidance", "signals")
"""The chapters in which z is new noise, and a page may number its own letters."""

START = {context: chain[0] for context, chain in CHAINS.items()}
"""The data, whose value may be given or averaged over."""


class Unsuited(Exception):  # noqa: N818 it says something about a world, not of an error
    """This world cannot compute it: boxes have no mean, two-dimensional integrals take too long, and so on."""


class Inexact(Unsuited):
    """An integral that no rule takes exactly: it is not one of a polynomial, nor smooth enough on a line."""


class SeveralDimensions(Unsuited):
    """A sum over a grid would have too many places."""


class Undefined(Exception):  # noqa: N818 it says something about an expression, not of an error
    """It has no value at this index: q(x_0 | x_1, x_0) is no density."""


class Valueless(Undefined):
    """It has no value here, whatever the index: the root of a negative number."""


@dataclass(frozen=True)
class Point:
    """Where an expression is evaluated: the values of variables (many at once), and of counting letters.

    Args:
        values: By variable, arrays whose first axis goes over the points; all have the same number of them.
        counts: By letter, its number: `t`, `k`.
    """

    values: Values = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many points there are."""
        return max((len(value) for value in self.values.values()), default=1)

    def at(self, **counts: int) -> Point:
        """The same points with other counts."""
        return replace(self, counts=self.counts | counts)

    def spread(self, new: Values, nodes: int, without: tuple[str, ...] = ()) -> Point:
        """Every point, `nodes` times, with the new values `(size, nodes, …)` put in.

        Args:
            new: The values of the variables that are summed over.
            nodes: How many of them there are for each point.
            without: Variables that lose their value, because they follow from the new ones.
        """
        size = max(self.size, *(len(value) for value in new.values()))
        if size * nodes > MOST:
            raise Unsuited("too many nodes")
        old = {key: np.broadcast_to(value, (size, *value.shape[1:])) for key, value in self.values.items()}
        values = {key: np.repeat(value, nodes, axis=0) for key, value in old.items() if key not in without}
        for key, value in new.items():
            full = np.broadcast_to(value, (size, *value.shape[1:]))
            values[key] = full.reshape(size * nodes, *value.shape[2:])
        return replace(self, values=values)


class World(ABC):
    """What the checker asks of a world; the names are those of the book.

    Args:
        context: The chapter, a key of `CHAINS`.
        title: What to call it in a counterexample.
    """

    D: int | None = None
    """How many coordinates each variable has, if it has any."""

    def __init__(self, context: str, title: str, T: int = 4) -> None:
        self.context = context
        self.title = title
        self.keys = CHAINS[context][: T + 1]
        self.attached = ATTACHED.get(context, ())
        self.names = self.keys + self.attached
        self.T = len(self.keys) - 1
        self.K = 2
        self.weight = 1.0
        self.temper = 0.6

    def heavier(self) -> Self:
        """The same world with a weight of guidance that is more than one."""
        other = copy.copy(self)
        other.weight = max(self.weight, 1 / self.weight)
        other.rebuild()
        return other

    def any_number(self, name: str) -> float:
        """A positive number of which nothing is known but its name."""
        rng = np.random.default_rng([*name.encode(), *self.title.encode()])
        return float(rng.uniform(0.3, 2.5))

    def rebuild(self) -> None:
        """Make the joint laws anew, after something has changed."""
        return

    def perfected(self, kind: str = "perfect") -> World:
        """The same world with networks that are perfect, where it has networks; or with an `exact` classifier."""
        return self

    def with_exact_encoder(self) -> World | None:
        """The same world with q's steps up those of p turned round; or nothing, if q cannot be that here."""
        return None

    @property
    def diffusing(self) -> bool:
        """Is this the chain x_0, …, x_T, rather than x and its latents?"""
        return self.keys[0] == "x0"

    def linked(self, point: Point) -> tuple[str, str]:
        """The two variables that noise links: x_0 and x_t, or x and z."""
        if not self.diffusing:
            return self.keys[0], self.keys[1]
        if "t" not in point.counts:
            raise NotUnderstood("the noise of which step?")
        return "x0", f"x{point.counts['t']}"

    def choosing(self, variance: str) -> World:
        """The same world with a choice of the variances of p, where it has them."""
        return self

    def original(self, key: str) -> str:
        """The variable of which this is a copy: z^k is a z."""
        return key.split("^")[0]

    @abstractmethod
    def noise(self, point: Point) -> np.ndarray:
        """The noise that made a variable."""

    @abstractmethod
    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of p(about | given) or of q(about | given), `(S,)`."""

    @abstractmethod
    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """Values of `about`, `(S, N, …)`, and weights `(S, N)`, whose weighted sums are expectations given `given`."""

    @abstractmethod
    def measure(self, key: str, point: Point) -> tuple[Values, np.ndarray]:
        """Values and weights whose weighted sums are integrals over a variable."""

    @abstractmethod
    def moved(self, parameters: str, direction: int, by: complex) -> World:
        """The same world with `theta` or `phi` moved in a direction."""

    @abstractmethod
    def draws(self, count: int) -> Point:
        """Points from the joint distribution q, at which what is free is evaluated."""
