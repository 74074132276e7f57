"""One relation between two expressions: does it hold in every world that can compute it?

An equality must hold in every world, an inequality in every world, the extreme ones too, and strictly in one. "Up to a
constant C" says that the difference of the sides does not move when theta does, so one of the sides has to move.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from diffusion_notes.equations.anatomy import constant, indices, numbers
from diffusion_notes.equations.bounds import Bounds
from diffusion_notes.equations.conditions import Said
from diffusion_notes.equations.constancy import POINTS, Constancy
from diffusion_notes.equations.evaluate import Definitions, Evaluator
from diffusion_notes.equations.names import START
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.pool import extremes, rolls, worlds
from diffusion_notes.equations.proof import proved
from diffusion_notes.equations.quantities import CODERS, NETWORKS
from diffusion_notes.equations.sides import STRICT, TOLERANCE, Fails, size_of
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited, Valueless, World

__all__ = ["Fails", "Step"]

RESERVED = {*NETWORKS, *CODERS, "f", "f_phi", "Phi", "H", "I", "D", "T", "K", "pi", "e"}
LETTERS = {None, "t", "T", "K", "D", "L", "k", "s", "i", "j"}
MANY = 6  # steps, of which a few are looked at
PLAIN = (1e-4, 1e4)
SPIRAL = ("c", "Phi", "tau")


@dataclass
class Step(Bounds, Constancy):
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
        self._numbers_are_plain(found[0])
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
        if self.bounding and not strict:
            raise Fails("the two sides are always equal: write =")
        if self.bounding:
            self._survives(found)
        if defining:
            return "definition", f"has a value in {count} worlds"
        algebra = self.relation == "=" and not constants and START[self.context] == "x0"
        if algebra and proved(self.left, self.right):
            return "proved", "proved symbolically"
        return "holds", f"holds in {count} world{'s' * (count > 1)}"

    def _numbers_are_plain(self, world: World) -> None:
        """A number so large or small that it hides what stands beside it can say anything."""
        for node in (number for side in (self.left, self.right) for number in numbers(side)):
            with suppress(Undefined, Unsuited):
                size = np.abs(Evaluator(world, {}).value(node, Point())).max()
                if size and not PLAIN[0] <= size <= PLAIN[1]:
                    raise NotUnderstood("a number so large or so small hides what stands beside it", node.place)

    def _survives(self, found: tuple[World, ...]) -> None:
        """An inequality holds in the extreme worlds as well, where they can compute it; none of them has the spiral."""
        spiral = all(world in rolls(self.context) for world in found)
        for world in () if spiral else self._chosen(extremes(self.context)):
            with suppress(Unsuited, Undefined):
                self._in_world(world, (), extreme=True)
        if not self.is_near():
            raise NotUnderstood("no world comes near this bound, so one that is not here may break it")

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
        if self.context == "vae" and {Symbol("s"), Symbol("sigma", label="theta")} <= symbols:
            raise NotUnderstood("the deviation of a decoder is fixed, s, or learned, σ_θ(z)")
        if not spiral and any(symbol.base in ("u", "n") for symbol in symbols):
            raise NotUnderstood(
                "u and n are a place on the spiral and the noise around it, and there is no spiral here"
            )
        return self._chosen(rolls(self.context) if spiral else worlds(self.context))

    def _chosen(self, found: tuple[World, ...]) -> tuple[World, ...]:
        """The worlds with the variance that the display chooses."""
        return tuple(world.choosing(self.said.variance) for world in found) if self.said.variance else found

    def _in_world(self, world: World, constants: tuple[Node, ...], extreme: bool = False) -> bool:
        """Whether an inequality is strict here; a relation that does not hold raises."""
        point = world.draws(POINTS)
        letters = {index.letter for side in (self.left, self.right) for index in indices(side)}
        if letters - LETTERS:
            raise NotUnderstood(f"nothing says what the index {min(letters - LETTERS)} is")
        steps = range(2, world.T + 1)
        if self.said.steps is not None:
            steps = self.said.steps(world.T)
        if not world.diffusing or ("t" not in letters and not self.said.earlier):
            steps = range(2, 3)
        if len(steps) > MANY:
            steps = (*steps[:2], steps[len(steps) // 2], steps[-1])
        strict, seen, why, unsuited = False, 0, None, None
        for here in (counted for t in steps for counted in self._counted(point.at(t=t), letters)):
            try:
                strict |= self._at(world, here, constants)
                seen += 1
            except Unsuited as reason:  # another step may still be a counterexample
                unsuited = reason
            except Undefined as undefined:
                if not extreme and (self.said.steps is not None or isinstance(undefined, Valueless)):
                    raise Fails(f"it has no value at {_told(here)} ({world.title}): {undefined}") from None
                why = undefined
        if unsuited or not seen:
            raise unsuited or Unsuited(f"it has no value: {why}")
        return strict

    def _counted(self, point: Point, letters: set[str | None]) -> list[Point]:
        """The point, for every earlier step s that the display speaks of."""
        if self.said.earlier is None or "s" not in letters:
            return [point]
        first, apart = self.said.earlier
        found = range(first, point.counts["t"] - apart + 1)
        return [point.at(s=s) for s in (found if len(found) < MANY else (first, first + 1, found[-1]))]

    def _given(self, world: World) -> bool:
        """Whether a definition is about a data point that is given."""
        return START[self.context] in Evaluator(world, self.definitions).free(self.right, world.draws(1).at(t=2))

    def _at(self, world: World, point: Point, constants: tuple[Node, ...]) -> bool:
        evaluator = Evaluator(world, self.definitions)
        free = evaluator.free(self.left, point) | evaluator.free(self.right, point)
        evaluator.given = START[self.context] in free
        if constants:
            return self.constant_at(evaluator, point, constants[0])
        if self.relation == r"\propto":
            return self.proportional(evaluator, point)
        a, b = self.settled(evaluator, point)
        size = self.scale(evaluator, point, a, b)
        off = self.broken(self.over(a, b), size) if self.bounding else size_of(a - b) > TOLERANCE * size
        if off.any():
            self._fail(world, point, a, b, int(np.argmax(off)))
        if not self.bounding:
            return False
        self.approached(evaluator, point, (a, b))
        return bool((self.over(a, b) > STRICT * size).any())

    def _fail(self, world: World, point: Point, a: np.ndarray, b: np.ndarray, i: int) -> None:
        said = [_said(value[i].real) for value in (a, b)]
        letters = {index.letter for side in (self.left, self.right) for index in indices(side)}
        speaks = world.diffusing and letters & {"t", "s"}
        where = f"{world.title}, T = {world.T}" + (f", {_told(point)}" if speaks else "")
        raise Fails(f"in one world ({where}) the left side is {said[0]}, the right side {said[1]}")


def _told(point: Point) -> str:
    """The steps at which it is looked at."""
    return ", ".join(f"{letter} = {number}" for letter, number in point.counts.items())


def _said(value: np.ndarray) -> str:
    return f"{float(value):.6g}" if value.ndim == 0 else "(" + ", ".join(f"{x:.6g}" for x in value.ravel()) + ")"
