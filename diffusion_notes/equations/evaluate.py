"""The value of an expression in a world.

One method a kind of node. What a world cannot compute is `Unsuited` there, what has no value at an index is
`Undefined`, and what has no meaning at all (a number taken from a vector, a divergence between laws of different
variables) is `NotUnderstood`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from diffusion_notes.equations.arithmetic import Arithmetic
from diffusion_notes.equations.changes import Changes
from diffusion_notes.equations.divergences import Divergences
from diffusion_notes.equations.names import is_index_letter, meaning
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Range, Symbol
from diffusion_notes.equations.quantities import call, letter
from diffusion_notes.equations.sums import Sums
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited, World

__all__ = ["Definitions", "Evaluator"]


Definitions = dict[tuple[str, Index | Range | None], tuple[tuple[Node, ...], Node, bool]]
"""What a page has defined: by name and index, the arguments, the expression, and whether the data point is given."""


@dataclass
class Evaluator(Arithmetic, Changes, Sums, Divergences):
    """Evaluates nodes in a world.

    Args:
        world: Where.
        definitions: What the page has defined, by name: its parameters and its expression.
        given: Whether the data point is given in this relation, or averaged over.
        scale: The largest sum so far, before its terms cancelled.
        largest: The largest that was added up so far, in the part that is being evaluated.
        searching: Whether it looks for a minimum, far out too, where something may vanish beside something else.
    """

    world: World
    definitions: Definitions
    given: bool = True
    scale: list[float] = field(default_factory=lambda: [0.0])
    largest: list[float] = field(default_factory=lambda: [0.0])
    searching: bool = False

    def value(self, node: Node, point: Point) -> np.ndarray:
        """The value of an expression at the points."""
        return getattr(self, f"_{node.kind}", self._unknown)(node, point)

    def _unknown(self, node: Node, point: Point) -> np.ndarray:
        raise NotUnderstood("this has no value of its own here", node.place)

    # What indices and letters mean

    def count(self, index: Index, point: Point) -> int:
        """The number that an index is."""
        world = self.world
        known = {None: 0, "T": world.T, "K": world.K, "L": world.T, "D": world.D} | point.counts
        if index.letter not in known:
            raise NotUnderstood(f"nothing says what the index {index.letter} is")
        return known[index.letter] + index.plus

    def integer(self, node: Node, point: Point) -> int:
        """The whole number that an expression is."""
        value = self.value(node, point)
        if value.shape != (1,) or value[0] != round(value[0].real):
            raise NotUnderstood("a whole number belongs here", node.place)
        return round(value[0].real)

    def variable(self, symbol: Symbol, point: Point) -> tuple[str, ...] | None:
        """The variables that a symbol names: one, a run of them, or none."""
        if symbol.accent or symbol.label:
            return None
        chain = self.world.diffusing
        if symbol.base == "eps" and symbol.index is None and symbol.copy is None:
            return ("eps",)
        if symbol.base in ("u", "n") and symbol.index is None:
            return (symbol.base,)
        if self.world.context == "hvae" and symbol == Symbol("z"):  # all layers of it
            return ("z1", "z2")
        if chain and symbol == Symbol("x"):  # any vector, in the density of any Gaussian
            return ("x",)
        if symbol.base not in (("x",) if chain else ("x", "z")):
            return None
        if isinstance(symbol.index, Range):
            ends = self.count(symbol.index.first, point), self.count(symbol.index.last, point)
            names = [f"{symbol.base}{i}" for i in range(ends[0], ends[1] + 1)]
            if not names:
                raise Undefined("an empty range of variables")
        else:
            names = [symbol.base + ("" if symbol.index is None else str(self.count(symbol.index, point)))]
        if self.world.context == "vae" and symbol.base == "z" and symbol.index is not None and symbol.copy is None:
            return self.variable(Symbol("z", copy=symbol.index), point)  # a sample may be numbered below as well
        if any(name not in self.world.keys for name in names):
            if isinstance(symbol.index, Index) and symbol.index.letter:
                raise Undefined(f"there is no {names[0]}")
            raise NotUnderstood(f"there is no {' '.join(names)} in this chapter")
        if isinstance(symbol.copy, Range):
            ends = self.count(symbol.copy.first, point), self.count(symbol.copy.last, point)
            return tuple(f"{name}^{k}" for name in names for k in range(ends[0], ends[1] + 1))
        if symbol.copy is not None:
            names = [f"{name}^{self.count(symbol.copy, point)}" for name in names]
        return tuple(names)

    def variables(self, symbols: tuple[Symbol, ...], point: Point) -> tuple[str, ...]:
        """All variables of a list, in its order."""
        found: list[str] = []
        for i, symbol in enumerate(symbols):
            if symbol == Symbol("dots"):  # x_1, …, x_T
                ends = [self.variable(other, point) for other in (symbols[i - 1], *symbols[i + 1 : i + 2])]
                found += self.between(*ends) if len(ends) == 2 and i else [""]
                continue
            keys = self.variable(symbol, point)
            if keys is None:
                raise NotUnderstood(f"{symbol.name} is no variable")
            found += keys
        return tuple(found)

    def between(self, first: tuple[str, ...] | None, last: tuple[str, ...] | None) -> list[str]:
        """The variables of the chain between two of them."""
        keys = self.world.keys
        if not first or not last or first[0] not in keys or last[0] not in keys:
            raise NotUnderstood("dots between what are not variables of the chain")
        return list(keys[keys.index(first[0]) + 1 : keys.index(last[0])])

    def known(self, symbol: Symbol, point: Point) -> Node | None:
        """The expression that a letter stands for, by the page or by the book."""
        context, name = self.world.context, symbol.name
        if (name, symbol.index) in self.definitions:
            return self.definitions[name, symbol.index][1]
        if symbol.accent or (symbol.label and symbol.label != "simple"):
            return None
        if name == "L" and symbol.index is not None:
            step = self.count(symbol.index, point) if isinstance(symbol.index, Index) else -1
            if not 0 <= step <= self.world.T:
                raise Undefined(f"there is no L_{step}")
            kind = {0: "L first", self.world.T: "L last"}.get(step, "L between")
            return meaning(context, kind, not self.given)
        if name == "calL" and symbol.index is not None:
            return meaning(context, "calL K")
        if name in ("calL", "L"):
            return meaning(context, name, not self.given)
        if name == "v" and symbol.index in (None, Index("t")):
            return meaning(context, name)
        if name == "C" and isinstance(symbol.index, Index) and self.count(symbol.index, point) == 1:
            return meaning(context, "C first")  # the first step has no posterior: its constant is that of a density
        return meaning(context, name) if name in ("L_simple", "w", "C", "ell") else None

    def _scope(self, symbol: Symbol, point: Point) -> Point:
        """Where the expression behind a letter is evaluated: L_{t-1} is about the step t."""
        if symbol.name in ("w", "C", "ell") and symbol.index is not None:
            return point.at(t=self.count(symbol.index, point))
        if symbol.name == "calL" and isinstance(symbol.index, Index):
            return point.at(K=self.count(symbol.index, point))
        if symbol.name == "L" and symbol.index is not None:
            return point.at(t=self.count(symbol.index, point) + 1)
        return point

    # Letters

    def _symbol(self, node: Node, point: Point) -> np.ndarray:
        symbol: Symbol = node.value
        if is_index_letter(symbol) and symbol.base in point.counts:
            return np.array([float(point.counts[symbol.base])])
        keys = self.variable(symbol, point)
        if keys is not None:
            if len(keys) != 1:
                raise NotUnderstood("several variables where one belongs", node.place)
            return self.look(keys[0], point, node)
        if (symbol.name, symbol.index) in self.definitions:
            _, inside, given = self.definitions[symbol.name, symbol.index]
            return replace(self, given=given).value(inside, point)
        inside = self.known(symbol, point)
        if inside is not None:
            if symbol.name in ("w", "C", "ell") and symbol.index is None:
                raise NotUnderstood(f"{symbol.base} has an index, the step", node.place)
            return self.value(inside, self._scope(symbol, point))
        return letter(self, symbol, point, node)

    def look(self, key: str, point: Point, node: Node | None = None) -> np.ndarray:
        """The value of a variable; the noise follows from what it made, unless it is drawn itself."""
        if key in point.values:
            if self.world.cells:
                raise Unsuited("boxes have no coordinates")
            return point.values[key]
        if key == "eps":
            return self.world.noise(point)
        raise NotUnderstood(f"{key} has no value here", node.place if node else None)

    def _call(self, node: Node, point: Point) -> np.ndarray:
        name: Symbol = node.value[0]
        mine = self.definitions.get((name.name, name.index))
        if mine is not None:
            if mine[0] != node.parts:
                raise NotUnderstood("a function of this page, with other arguments", node.place)
            return replace(self, given=mine[2]).value(mine[1], point)
        return call(self, name, node, point)
