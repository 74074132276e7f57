"""The two sides of a relation: their values, exact or not given at all, and how they compare.

A Gaussian world integrates by rules: what two rules agree on is exact. Each side has its own rules, since one may be a
polynomial and the other not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from diffusion_notes.equations.evaluation.arithmetic import logarithm
from diffusion_notes.equations.evaluation.binding import Draw, draw_from, free_variables
from diffusion_notes.equations.evaluation.calculus import average
from diffusion_notes.equations.evaluation.evaluator import Evaluator
from diffusion_notes.equations.evaluation.laws import about, log_law
from diffusion_notes.equations.language.parser import Statement
from diffusion_notes.equations.language.syntax_tree import Index, Node, NotUnderstood, Symbol, constants_in_exponents
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.histogram_world import HistogramWorld
from diffusion_notes.equations.worlds.world import Inexact, Point, Undefined, Unsuited, World

__all__ = ["INEQUALITIES", "POINTS", "STRICT", "TOLERANCE", "Comparison", "Fails", "largest_entry"]

POINTS = 3
DIRECTIONS = 3
TOLERANCE = 1e-8
STRICT = 1e-6
SHAKES = 3
EXACT = ("number", "add", "sub", "neg", "mul", "div", "frac", "power", "sqrt", "group")
LETTERS = (Symbol("pi"), Symbol("e"))
INEQUALITIES = (r"\ge", r"\gt", r"\le", r"\lt")

Pair = tuple[np.ndarray, np.ndarray]
"""The values of the left and of the right side."""


class Fails(Exception):  # noqa: N818 it is a verdict, not an error
    """A counterexample was found."""


def largest_entry(value: np.ndarray) -> np.ndarray:
    """The largest entry at each point."""
    return np.abs(value).reshape(len(value), -1).max(1)


@dataclass(frozen=True)
class Comparison:
    """Two expressions, and what is said of the two.

    Args:
        left: One side.
        relation: What is said of the two.
        right: The other side.
        draws: What the display draws, as in ε ~ N(0, I).
        head: What the chain begins with of which this is a link, if it is one.
    """

    left: Node
    relation: str
    right: Node
    draws: Sequence[Statement] = ()
    head: Node | None = None

    # Values

    def values(self, evaluator: Evaluator, point: Point, shifted: bool = False) -> Pair:
        """Both sides, each by a rule of integration that is exact for it.

        Args:
            evaluator: Where.
            point: The points.
            shifted: Whether the sides differ by a constant, so that their distance says nothing.
        """
        world = evaluator.world
        if not isinstance(world, GaussianWorld):
            return self._as_they_are(evaluator, point)
        if self.relation in ("=", ":="):  # by the first rule, if that is good enough
            with suppress(Unsuited):
                a, b = self._as_they_are(evaluator, point)
                if (largest_entry(a - b) <= self.tolerance * self._floor(evaluator, a, b)).all():
                    return a, b
        a, doubt = self._by_rules(evaluator, world, point, self.left, self.right)
        b, more = self._by_rules(evaluator, world, point, self.right, self.left)
        a, b = self._alike(a, b)
        exact = 0.1 * TOLERANCE * self._floor(evaluator, a, b)
        if (doubt + more > exact).any() and (shifted or not self._plainly_wrong(a, b, doubt + more)):
            raise Inexact("an integral that is not exact here")
        return a, b

    def _as_they_are(self, evaluator: Evaluator, point: Point) -> Pair:
        """Both sides by the rule of integration at hand."""
        a = self._side(evaluator, point, self.left, self.right)
        b = self._side(evaluator, point, self.right, self.left)
        return self._alike(a, b)

    def _side(self, evaluator: Evaluator, point: Point, side: Node, other: Node) -> np.ndarray:
        """The value of one side. A law that names no variable is one of the variable on the other side."""
        if self.relation == r"\approx":
            return self._expected(evaluator, side, point)
        if side.kind != "normal_law" and other.kind != "normal_law":
            return evaluator.value(side, point)
        density = other if side.kind == "normal_law" else side
        if density.kind != "density" or len(about(evaluator, density, point)) != 1:
            raise NotUnderstood("a law is compared with what is not the law of one variable")
        return np.exp(log_law(evaluator, side, point, about(evaluator, density, point)[0]))

    def _expected(self, evaluator: Evaluator, side: Node, point: Point) -> np.ndarray:
        """An estimate is right if its expectation over what is drawn is."""
        draws: list[Draw] = []
        for draw in self.draws:
            drawn, law = draw.expressions
            if drawn.value.copy is not None:
                copies = [replace(drawn.value, copy=Index(None, k + 1)) for k in range(evaluator.world.K)]
                draws += [draw_from(evaluator, [copy], law, point) for copy in copies]
        sides = (self.left, self.right)
        free = (free_variables(evaluator, expression, point) for expression in sides)
        estimates = [any(key.startswith("z^") for key in keys) for keys in free]
        if estimates not in ([True, False], [False, True]):
            raise NotUnderstood("≈ is read between a number and an estimate of it by what is drawn", side.place)
        if not draws:
            raise NotUnderstood("nothing is drawn here, so ≈ says nothing that can be checked")
        return average(evaluator, draws, lambda inner: evaluator.value(side, inner), point)

    def _by_rules(
        self, evaluator: Evaluator, world: GaussianWorld, point: Point, side: Node, other: Node
    ) -> tuple[np.ndarray, np.ndarray]:
        """One side and how far two rules are apart on it, for the pair of rules that agree best."""
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for pair in world.rules:
            there = [replace(evaluator, world=world.with_rule(rule)) for rule in pair]
            try:
                one, two = (self._side(each, point, side, other) for each in there)
            except Unsuited:
                continue
            doubt = largest_entry(one - two)
            if (doubt <= 0.1 * TOLERANCE * self._floor(evaluator, one, two)).all():
                return one, doubt
            if pair[0] != 4:  # four nodes may agree with six and both be wrong
                found.append((one, doubt))
        if not found:
            raise Inexact("an integral that is not exact here")
        return min(found, key=lambda pair: pair[1].max())

    def _alike(self, a: np.ndarray, b: np.ndarray) -> Pair:
        """Two sides of the same shape and finite; a zero is a zero of any kind."""
        if _is_zero(self.left):
            a = np.zeros_like(b)
        if _is_zero(self.right):
            b = np.zeros_like(a)
        if a.shape[1:] != b.shape[1:]:
            raise NotUnderstood("a number and a vector, or vectors of different kinds, are compared")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise Undefined("a side that is not finite")
        a, b = np.broadcast_arrays(a, b)
        return a, b

    # Sizes

    @cached_property
    def tolerance(self) -> float:
        """How far apart equal sides may be, in parts of their size; numbers that are written out are exact."""
        parts = (part for side in (self.left, self.right) for part in side.walk())
        exact = all(part.kind in EXACT or part.value in LETTERS for part in parts)
        return 1e-4 * TOLERANCE if exact else TOLERANCE

    def size(self, evaluator: Evaluator, point: Point, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The size against which a difference counts; where sides cancel to nothing, what rounding makes of that."""
        size = self._floor(evaluator, a, b)
        apart = largest_entry(a - b)
        if (apart <= self.tolerance * size).all() or self.relation == r"\approx":
            return size
        if (apart > STRICT * np.maximum(size, evaluator.magnitude.part)).any():
            return size  # no rounding is as large as that
        return np.maximum(size, self._rounding(evaluator, point, a - b) / self.tolerance)

    def _rounding(self, evaluator: Evaluator, point: Point, gap: np.ndarray) -> np.ndarray:
        """By how much the difference of the sides moves if every value on the way is a little wrong."""
        moved = [np.zeros(len(gap))]
        for seed in range(SHAKES):
            shaken = replace(evaluator, shaken=np.random.default_rng(seed), memory={})
            with suppress(Unsuited, Undefined):
                a, b = self._as_they_are(shaken, point)
                moved.append(largest_entry(a - b - gap))
        return np.max(moved, axis=0)

    def _floor(self, evaluator: Evaluator, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The size of the sides, or a little of what was summed to get them, if that cancelled."""
        return np.maximum(np.maximum(largest_entry(a), largest_entry(b)), 1e-5 * evaluator.magnitude.overall)

    # What is said of the two

    @property
    def is_inequality(self) -> bool:
        """Is it an inequality?"""
        return self.relation in INEQUALITIES

    def gap(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """How much larger the side is that is said to be larger."""
        gap = (a - b).real
        return gap if self.relation in (r"\ge", r"\gt") else -gap

    def broken(self, a: np.ndarray, b: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Where the relation does not hold."""
        if not self.is_inequality:
            return largest_entry(a - b) > self.tolerance * size
        gap = self.gap(a, b)
        if gap.ndim > 1:
            raise NotUnderstood("which of two vectors is larger?")
        room = self.tolerance * size
        return gap <= room if self.relation in (r"\gt", r"\lt") else gap < -room

    def _plainly_wrong(self, a: np.ndarray, b: np.ndarray, doubt: np.ndarray) -> bool:
        """Whether the sides are further apart than any doubt about them explains."""
        far = 100 * doubt + STRICT * (largest_entry(a) + largest_entry(b))
        if self.relation == "=":
            return bool((largest_entry(a - b) > far).any())
        return self.is_inequality and a.ndim == 1 and bool((self.gap(a, b) < -far).any())

    # Equal up to what is left open

    def check_equal_up_to(self, constant: Node, evaluator: Evaluator, point: Point) -> None:
        """The difference of the sides may depend on nothing that the constant does not depend on.

        Args:
            constant: `const`, or a C, which does not depend on the parameters; or C(x), which depends on x alone.
            evaluator: Where.
            point: The points.

        Raises:
            Fails: If the difference moves with something else.
            NotUnderstood: If the left side does not move either, so that nothing is said.
        """
        if constant.kind == "call":
            fixed = tuple(part.value for part in constant.parts if part.kind == "symbol")
            here = _held(point, evaluator.variables(fixed, point))
            a, b = self._as_they_are(evaluator, here)
            sides = list(zip(a, b, strict=True))
        else:
            sides = [
                self.values(replace(evaluator, world=world), point, shifted=True)
                for world in _learners(evaluator.world)
            ]
        size = max(np.abs(a).max() for a, _ in sides)
        first, second = sides[0]
        if max(np.abs(a - first).max() for a, _ in sides) < STRICT * size:
            raise NotUnderstood(
                "the left side does not depend on what the constant must not depend on: it says nothing"
            )
        if max(np.abs(a - b - (first - second)).max() for a, b in sides) > TOLERANCE * size:
            raise Fails(f"in one world ({evaluator.world.title}) the difference of the sides is not constant")

    def check_equal_for(self, law: Node, evaluator: Evaluator, point: Point) -> None:
        """As functions of the variable of a law, the sides differ by a constant.

        Raises:
            Fails: If they do not.
            NotUnderstood: If they do not depend on it.
        """
        own = about(evaluator, law, point)
        here = _along(point, own, evaluator.world)
        a, b = self._as_they_are(evaluator, here)
        size = max(1, np.abs(a).max())
        if a.ndim > 1 or np.abs((a - b) - (a - b)[0]).max() > TOLERANCE * size:
            raise Fails(f"in one world ({evaluator.world.title}) the difference of the sides is not constant")
        if np.abs(a - a[0]).max() < STRICT * size:
            raise NotUnderstood("the sides do not depend on the variable of the law: it says nothing")

    def check_same_optimum(self, evaluator: Evaluator, point: Point) -> None:
        """As functions of their parameters, each side is a positive multiple of the other and a constant.

        Raises:
            Fails: If one is smallest where the other is largest.
            NotUnderstood: If it cannot be told in this way that both are smallest at the same place.
        """
        inside = replace(self, left=self.left.parts[0], right=self.right.parts[0])
        parameters = {letter.name for letter in self.left.value}
        if set(self.left.value) != set(self.right.value) or not parameters <= {"theta", "phi"}:
            raise NotUnderstood("an optimum is one over the same parameters on both sides", self.left.place)
        worlds = [evaluator.world.moved(name, i, 0.6) for name in sorted(parameters) for i in range(DIRECTIONS)]
        there = [replace(evaluator, world=world) for world in (evaluator.world, *worlds)]
        a, b = (np.stack(side) for side in zip(*(inside.values(e, point, shifted=True) for e in there), strict=True))
        da, db = (side[1:] - side[0] for side in (a, b))
        if a.ndim > 2 or min(np.abs(da).max() / np.abs(a).max(), np.abs(db).max() / np.abs(b).max()) < STRICT:
            raise NotUnderstood("what is optimised does not depend on the parameters", self.left.place)
        largest = np.abs(da).argmax(axis=0)
        each = np.arange(da.shape[1])
        of_a, of_b = da[largest, each], db[largest, each]
        if (np.abs(da * of_b - db * of_a) > TOLERANCE * np.abs(of_a * of_b)).any():
            raise NotUnderstood("are both smallest at one place? One is no multiple of the other", self.right.place)
        if (of_a * of_b <= 0).any():
            raise Fails(f"in one world ({evaluator.world.title}) one side is smallest where the other is largest")

    @cached_property
    def left_open(self) -> list[Node]:
        """What the exponents of its sides leave open."""
        return [constant for side in (self.left, self.right) for constant in constants_in_exponents(side)]

    def _own(self, evaluator: Evaluator, point: Point) -> tuple[str, ...]:
        """As a function of which variables the sides are proportional."""
        for law in (self.left, self.head, self.right):
            if law is not None and law.kind in ("density", "normal") and _is_of_letter(law):
                return about(evaluator, law, point)
        laws = [part for part in self.left.walk() if part.kind in ("density", "normal")]
        owns = [set(about(evaluator, law, point)) & set(evaluator.world.keys) for law in laws if _is_of_letter(law)]
        if evaluator.world.attached and owns and owns[0]:  # the first law says of what it is one
            return tuple(owns[0])
        free = free_variables(evaluator, self.left, point) & set(evaluator.world.keys)
        if len(free) != 1 or not evaluator.world.attached:
            raise NotUnderstood("∝ is read after a density: as a function of its variable", self.left.place)
        return tuple(free)

    def _not_open(self, evaluator: Evaluator, point: Point) -> tuple[str, ...]:
        """The variables of the sides that what is left open does not depend on, as it is written."""
        if any(constant.kind != "call" for constant in self.left_open):
            return self._own(evaluator, point)
        fixed = [part for constant in self.left_open for part in constant.parts]
        held = set().union(*(free_variables(evaluator, part, point) for part in fixed))
        free = set().union(*(free_variables(evaluator, side, point) for side in (self.left, self.right)))
        return tuple(free & set(evaluator.world.keys) - held)

    def check_proportional(self, evaluator: Evaluator, point: Point) -> None:
        """As functions of the variable of the density on the left, the sides have a constant ratio.

        Where an exponent leaves something open, C(x_t, x_0), they are functions of what that does not depend on.

        Raises:
            Fails: If the ratio is not constant.
            NotUnderstood: If the left side is no density, and does not depend on one variable of the chain alone.
        """
        own = self._not_open(evaluator, point) if self.left_open else self._own(evaluator, point)
        if self.relation == r"\propto" and not set(self._own(evaluator, point)) <= set(own):
            raise NotUnderstood("what is left open may depend on all but the variable of the density", self.right.place)
        here = _along(point, own, evaluator.world)
        for value in (0.0, 1.0) if self.left_open else (None,):
            there = replace(evaluator, constant=value)
            a, b = self._alike(*(logarithm(there, side, here) for side in (self.left, self.right)))
            gap = a - b
            if a.ndim > 1 or np.abs(gap - gap[0]).max() > TOLERANCE * max(1, np.abs(a).max()):
                raise Fails(f"in one world ({evaluator.world.title}) the ratio of the sides is not constant")
        if self.left_open and np.abs(a - a[0]).max() < STRICT * max(1, np.abs(a).max()):
            raise NotUnderstood("the left side depends on nothing but what is left open: it says nothing")


def _along(point: Point, keys: Collection[str], world: World) -> Point:
    """Points that differ in some variables alone."""
    here = _held(point, tuple(key for key in point.values if key not in keys))
    if isinstance(world, HistogramWorld):
        here = replace(here, values=here.values | {key: np.arange(POINTS) for key in keys})
    return here


def _held(point: Point, keys: tuple[str, ...]) -> Point:
    """The points, with the same value of some variables at all of them: that of the first."""
    held = {key: np.repeat(point.values[key][:1], len(point.values[key]), 0) for key in point.values if key in keys}
    return replace(point, values=point.values | held)


def _learners(world: World) -> Iterator[World]:
    """The world, and the same with its parameters moved, one way after another."""
    yield world
    for parameters in ("theta",) if world.diffusing else ("theta", "phi"):
        for direction in range(2):
            yield world.moved(parameters, direction, 0.6)


def _is_of_letter(law: Node) -> bool:
    """Whether a law is one of a variable of the chain, and not of what is seen of it."""
    return law.kind == "density" or (
        len(law.parts) == 3 and law.parts[0].kind == "symbol" and law.parts[0].value.base == "x"
    )


def _is_zero(node: Node) -> bool:
    return node.kind == "number" and float(node.value) == 0
