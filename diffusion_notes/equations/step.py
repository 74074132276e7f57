"""One relation between two expressions: does it hold in every world that can compute it?

An equality must hold in every world, an inequality in every world and strictly in one. "Up to a constant C" says that
the difference of the sides does not move when theta does, so one of the sides has to move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diffusion_notes.equations.anatomy import constant, indices
from diffusion_notes.equations.conditions import Said
from diffusion_notes.equations.evaluate import Definitions, Evaluator
from diffusion_notes.equations.names import START
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood
from diffusion_notes.equations.pool import rolls, worlds
from diffusion_notes.equations.proof import proved
from diffusion_notes.equations.quantities import CODERS, NETWORKS
from diffusion_notes.equations.sides import STRICT, TOLERANCE, Sides, size_of
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited, World

__all__ = ["Fails", "Step"]

POINTS = 3
RESERVED = {*NETWORKS, *CODERS, "f", "f_phi", "Phi", "H", "I", "D", "T", "K", "pi", "e"}
LETTERS = {None, "t", "T", "K", "D", "L", "k", "s", "i", "j"}
SPIRAL = ("c", "Phi", "tau")


class Fails(Exception):  # noqa: N818 it is a verdict, not an error
    """A counterexample was found."""


@dataclass
class Step(Sides):
    """One relation.

    Args:
        context: The chapter.
        definitions: What the page has defined so far; a definition adds to it.
        left: One side.
        relation: What is said of the two.
        right: The other side.
        said: What the display says beside its relations.
    """

    context: str
    definitions: Definitions
    left: Node
    relation: str
    right: Node
    said: Said

    def verdict(self) -> tuple[str, str]:
        """The kind of verdict and how it was reached.

        Raises:
            Fails: If it does not hold, with a counterexample.
            NotUnderstood: If it has no meaning here, or no world can compute it.
        """
        defining, found = self.relation == ":=", self._worlds()
        if defining and self._define():
            self.left = self.right  # what is defined is the right side: it has to have a meaning
        constants = self._without_constants()
        count, strict, reasons = 0, False, []
        for world in found:
            try:
                strict |= self._in_world(world, constants)
                count += 1
            except Unsuited as why:
                reasons.append(str(why))
        if not count:
            raise NotUnderstood("no world can compute it: " + "; ".join(dict.fromkeys(reasons)))
        if self.relation in (r"\ge", r"\le", r"\gt", r"\lt") and not strict:
            raise Fails("the two sides are always equal: write =")
        if defining:
            return "definition", f"has a value in {count} worlds"
        algebra = self.relation == "=" and not constants and START[self.context] == "x0"
        if algebra and proved(self.left, self.right):
            return "proved", "proved symbolically"
        return "holds", f"holds in {count} world{'s' * (count > 1)}"

    def _define(self) -> bool:
        """Remember a name that is new; a name that the book knows has to keep its meaning."""
        node = self.left
        if node.kind not in ("symbol", "call"):
            return False
        name = node.value if node.kind == "symbol" else node.value[0]
        if node.kind == "symbol" and name.name in RESERVED:
            raise NotUnderstood(f"{name.name} is a function in this book", node.place)
        if (name.name, name.index) in self.definitions or (isinstance(name.index, Index) and name.index.letter):
            return False
        if any(part.kind == node.kind and part.value == node.value for part in self.right.walk()):
            raise NotUnderstood("a definition of something by itself", node.place)
        for world in self._worlds():
            try:
                Evaluator(world, self.definitions).value(node, world.draws(POINTS).at(t=2))
            except (Unsuited, Undefined):
                continue
            except NotUnderstood:
                if name.name in RESERVED:
                    raise NotUnderstood(f"{name.name} is something else in this book", node.place) from None
                self.definitions[name.name, name.index] = (node.parts, self.right, self._given(world))
                return True
        return False

    def _without_constants(self) -> tuple[Node, ...]:
        """Take the constants that are added to the sides away, and return them."""
        (left, some), (right, more) = constant(self.left), constant(self.right)
        constants = some + more
        if len(constants) > 1 or (constants and self.relation != "="):
            raise NotUnderstood("one constant, in an equality: nothing else can be checked")
        if left is None or right is None:
            raise NotUnderstood("an equation with a constant alone says nothing")
        self.left, self.right = left, right
        return constants

    def _worlds(self) -> tuple[World, ...]:
        """What speaks of the spiral is looked at on the spiral."""
        symbols = {symbol for side in (self.left, self.right) for node in side.walk() for symbol in node.symbols()}
        spiral = any(symbol.base in SPIRAL for symbol in symbols) and self.context != "hvae"
        if not spiral and any(symbol.base in ("u", "n") for symbol in symbols):
            raise NotUnderstood(
                "u and n are a place on the spiral and the noise around it, and there is no spiral here"
            )
        found = rolls(self.context) if spiral else worlds(self.context)
        return tuple(world.choosing(self.said.variance) for world in found) if self.said.variance else found

    def _in_world(self, world: World, constants: tuple[Node, ...]) -> bool:
        """Whether an inequality is strict here; a relation that does not hold raises."""
        point = world.draws(POINTS)
        letters = {index.letter for side in (self.left, self.right) for index in indices(side)}
        if letters - LETTERS:
            raise NotUnderstood(f"nothing says what the index {min(letters - LETTERS)} is")
        steps = range(2, world.T + 1)
        if self.said.steps is not None:
            steps = self.said.steps(world.T)
        if "t" not in letters:
            steps = range(2, 3)
        strict, seen, why = False, 0, None
        for t in steps:
            try:
                strict |= self._at(world, point.at(t=t), constants)
                seen += 1
            except Undefined as undefined:
                if self.said.steps is not None:
                    raise Fails(f"it has no value at t = {t}: {undefined}") from None
                why = undefined
        if not seen:
            raise Unsuited(f"it has no value: {why}")
        return strict

    def _given(self, world: World) -> bool:
        """Whether a definition is about a data point that is given."""
        return START[self.context] in Evaluator(world, self.definitions).free(self.right, world.draws(1).at(t=2))

    def _at(self, world: World, point: Point, constants: tuple[Node, ...]) -> bool:
        evaluator = Evaluator(world, self.definitions)
        free = evaluator.free(self.left, point) | evaluator.free(self.right, point)
        evaluator.given = START[self.context] in free
        if constants:
            return self._constant_at(evaluator, point, constants[0])
        if self.relation == r"\propto":
            return self._proportional(evaluator, point)
        a, b = self.settled(evaluator, point)
        gap, size = (a - b).real, self.scale(evaluator, point, a, b)
        off = size_of(gap) > TOLERANCE * size
        if self.relation in ("=", ":=", r"\approx"):
            if off.any():
                self._fail(world, point, a, b, int(np.argmax(off)))
            return False
        if gap.ndim > 1:
            raise NotUnderstood("which of two vectors is larger?")
        gap = gap if self.relation in (r"\ge", r"\gt") else -gap
        if (gap < (1 if self.relation in (r"\gt", r"\lt") else -1) * TOLERANCE * size).any():
            self._fail(world, point, a, b, int(np.argmin(gap / size)))
        return bool((gap > STRICT * size).any())

    def _fail(self, world: World, point: Point, a: np.ndarray, b: np.ndarray, i: int) -> None:
        said = [_said(value[i].real) for value in (a, b)]
        speaks = any(index.letter == "t" for side in (self.left, self.right) for index in indices(side))
        where = f"{world.title}, T = {world.T}" + (f", t = {point.counts['t']}" if speaks else "")
        raise Fails(f"in one world ({where}) the left side is {said[0]}, the right side {said[1]}")

    def _constant_at(self, evaluator: Evaluator, point: Point, what: Node) -> bool:
        """The difference of the sides may depend on nothing that the constant does not depend on."""
        sides = []
        if what.kind == "call":
            named = tuple(part.value for part in what.parts if part.kind == "symbol")
            fixed = evaluator.variables(named, point)
            values = {k: (np.repeat(v[:1], len(v), 0) if k in fixed else v) for k, v in point.values.items()}
            here = replace(point, values=values)
            sides = [self.alike(*(self.side(evaluator, here, i) for i in (0, 1)))]
            sides = [(a[i], b[i]) for a, b in sides for i in range(len(a))]
        else:
            learned = ("theta",) if evaluator.world.diffusing else ("theta", "phi")
            moved = (evaluator.world.moved(name, i, 0.6) for name in learned for i in range(2))
            for world in (evaluator.world, *moved):
                there = replace(evaluator, world=world)
                sides.append(self.settled(there, point))
        size = max(np.abs(a).max() for a, _ in sides)
        if max(np.abs(a - sides[0][0]).max() for a, _ in sides) < STRICT * size:
            raise NotUnderstood(
                "the left side does not depend on what the constant must not depend on: it says nothing"
            )
        first = sides[0][0] - sides[0][1]
        if max(np.abs(a - b - first).max() for a, b in sides) > TOLERANCE * size:
            raise Fails(f"in one world ({evaluator.world.title}) the difference of the sides is not constant")
        return False

    def _proportional(self, evaluator: Evaluator, point: Point) -> bool:
        """As functions of the variable of the density on the left, the sides have a constant ratio."""
        if self.left.kind != "density":
            raise NotUnderstood("∝ is read after a density: as a function of its variable", self.left.place)
        about = evaluator.about(self.left, point)
        values = {k: (v if k in about else np.repeat(v[:1], len(v), 0)) for k, v in point.values.items()}
        if evaluator.world.cells:
            values |= {k: np.arange(POINTS) for k in about}
        here = replace(point, values=values)
        a, b = self.alike(*(evaluator.logarithm(node, here) for node in (self.left, self.right)))
        gap = a - b
        if a.ndim > 1 or np.abs(gap - gap[0]).max() > TOLERANCE * max(1, np.abs(a).max()):
            raise Fails(f"in one world ({evaluator.world.title}) the ratio of the sides is not constant")
        return False


def _said(value: np.ndarray) -> str:
    return f"{float(value):.6g}" if value.ndim == 0 else "(" + ", ".join(f"{x:.6g}" for x in value.ravel()) + ")"
