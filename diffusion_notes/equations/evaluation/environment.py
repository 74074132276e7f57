"""What an expression is evaluated in: a world, what the page has defined, and what indices and letters mean there.

What a world cannot compute is `Unsuited` there, what has no value at an index is `Undefined`, and what has no meaning
at all (a number taken from a vector, a divergence between laws of different variables) is `NotUnderstood`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from diffusion_notes.equations.language.notation import STEPPED, is_index_letter, is_new_noise, meaning
from diffusion_notes.equations.language.syntax_tree import ELLIPSIS, ESTIMATE, Index, Node, NotUnderstood, Range, Symbol
from diffusion_notes.equations.worlds.continuous_worlds import ContinuousWorld
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.line_world import DRAWN, NUMBER, PLACE, LineWorld
from diffusion_notes.equations.worlds.world import LATER, Point, Undefined, Unsuited, World

__all__ = [
    "NEW_NOISE",
    "Definition",
    "Definitions",
    "Environment",
    "Magnitude",
    "bound_name",
    "gaussian",
    "unfolded",
]

NEW_NOISE = "noise "
"""How the keys begin of noise with a name of its own; it has no value but where its law is looked at."""

TERMS = {"": (0, False), "vlb": (0, False), "drawn": (0, True), "step": (1, False), "drawnstep": (1, True)}
"""Of the terms L_t, by what a convention calls them: how much higher they count than the book's, and whether they have
no expectation."""


class Definition(NamedTuple):
    """What a page has defined: the arguments, the expression, and whether the data point is given in it."""

    arguments: tuple[Node, ...]
    expression: Node
    given: bool


Definitions = dict[tuple[str, Index | Range | None], Definition]
"""The definitions of a page, by name and index."""


@dataclass
class Magnitude:
    """How large numbers became on the way, before they cancelled; a sum is no more exact than that.

    Args:
        overall: The largest sum so far.
        part: The largest that was added up so far, in the part that is being evaluated.
    """

    overall: float = 0.0
    part: float = 0.0


@dataclass
class Environment(ABC):
    """What the rules of evaluation ask for, each for one kind of node; `Evaluator` knows all rules.

    Args:
        world: Where.
        definitions: What the page has defined, by name: its parameters and its expression.
        given: Whether the data point is given in this relation, or averaged over.
        magnitude: How large numbers became; shared with all environments that are made from this one.
        searching: Whether it looks for a minimum, far out too, where something may vanish beside something else.
        exact: Whether curves follow the expectation of the noise, and not what a network predicts.
        paired: Whether x_t is what x_0 and its noise make of it, and moves with the level alone.
        memory: Integrals over time that have been taken already; shared like the magnitude.
        limiting: Whether the number of steps goes to infinity; then the first of them has a level too.
        constant: The value of what is left open in an exponent, C(x_t, x_0).
    """

    world: World
    definitions: Definitions
    given: bool = True
    magnitude: Magnitude = field(default_factory=Magnitude)
    searching: bool = False
    exact: bool = False
    paired: bool = False
    memory: dict[object, np.ndarray] = field(default_factory=dict)
    limiting: bool = False
    constant: float | None = None

    @abstractmethod
    def value(self, node: Node, point: Point) -> np.ndarray:
        """The value of an expression at the points."""

    def seen(self, value: np.ndarray) -> None:
        """Remember the size of what is summed: a sum that cancels is no more exact than that."""
        size = float(np.nanmax(np.abs(value), initial=0.0))
        self.magnitude.overall = max(self.magnitude.overall, size)
        self.magnitude.part = max(self.magnitude.part, size)

    @property
    def is_continuous(self) -> bool:
        """Whether time is a real number here."""
        return isinstance(self.world, ContinuousWorld)

    @property
    def is_deep(self) -> bool:
        """Whether derivatives of derivatives are read in this chapter."""
        return self.world.context == "score" or bool(self.world.attached)

    # Indices

    def count(self, index: Index | Range | None, point: Point) -> int:
        """The number that an index is."""
        if not isinstance(index, Index):
            raise TypeError("one index belongs here, and no range")
        world = self.world
        if self.is_continuous and self.limiting and index == Index(None, 1):
            return 1  # the first level, with which the steps begin
        if self.is_continuous and (index.plus or index.letter not in (None, "t", "s", "T")):
            raise NotUnderstood("in continuous time there are 0, s, t and T, and no steps")
        known: dict[str | None, int | None] = {None: 0, "T": world.T, "K": world.K, "D": world.D}
        known["L"] = world.K if world.context == "vae" else world.T  # of samples, or of layers
        known.update(point.counts)
        number = known.get(index.letter)
        if number is None:
            raise NotUnderstood(f"nothing says what the index {index.letter} is")
        return number + index.plus

    def integer(self, node: Node, point: Point) -> int:
        """The whole number that an expression is."""
        value = self.value(node, point)
        if value.shape != (1,) or value[0] != round(value[0].real):
            raise NotUnderstood("a whole number belongs here", node.place)
        return round(value[0].real)

    def step(self, node: Node, point: Point) -> int:
        """The step that an argument is; in continuous time, where its variable stands among the four."""
        if not self.is_continuous:
            return self.integer(node, point)
        if node.kind == "number" and float(node.value) == 0:
            return 0
        letter = node.value if node.kind == "symbol" else None
        if letter in (Symbol("t"), Symbol("s"), Symbol("T")):
            return self.count(Index(letter.base), point)
        if letter in (Symbol("kappa"), Symbol("lambda"), Symbol("tau")):
            return self.count(Index("t"), point)
        raise NotUnderstood("a time belongs here", node.place)

    def index_range(self, node: Node, point: Point) -> Iterator[Point]:
        """The points of a sum or product, one count after another."""
        _, letter, relation = node.value
        if self.is_continuous:
            raise NotUnderstood("a sum over steps, in continuous time", node.place)
        if not is_index_letter(letter):
            raise NotUnderstood("sums count with t, s, i, j or k", node.place)
        low = self.integer(node.parts[0], point)
        if len(node.parts) == 3:
            if relation not in ("=", ELLIPSIS):
                raise NotUnderstood("a sum over t = 2, …, T, or over t > 1, not a mixture", node.place)
            last = self.integer(node.parts[1].parts[0], point)
        else:
            if relation not in (r"\gt", r"\ge") or letter.base != "t":
                raise NotUnderstood("the sum has no upper end", node.place)
            low += relation == r"\gt"
            last = self.world.T
        if last < low - (relation != ELLIPSIS):
            raise Undefined("a row whose end comes before its beginning")
        for i in range(low, last + 1):
            yield self.remade(point.at(**{letter.base: i}), letter.base)

    def remade(self, point: Point, letter: str = "t") -> Point:
        """Where the noise is drawn, x_t follows from it, for the current t only."""
        if letter != "t" or "eps" not in point.values or not self.world.diffusing or "t" not in point.counts:
            return point
        keep = {key: value for key, value in point.values.items() if not key.startswith("x") or key == "x0"}
        return replace(point, values=keep | gaussian(self.world, "boxes have no noise").noised(point))

    # Variables

    def variable(self, symbol: Symbol, point: Point) -> tuple[str, ...] | None:
        """The variables that a symbol names: one, a run of them, or none."""
        if isinstance(self.world, LineWorld):
            return self._of_line(symbol)
        if is_new_noise(symbol, self.world.context):
            number = "" if symbol.index is None else f" {self.count(symbol.index, point)}"
            return (f"{NEW_NOISE}{symbol.name}{number}",)
        if symbol.accent == "prime" and symbol.base in ("x", "z") and not symbol.label:  # another one of its kind
            keys = self._plain_variable(replace(symbol, accent=""), point)
            return keys and tuple(f"{key}^prime" for key in keys)
        return None if symbol.accent or symbol.label else self._plain_variable(symbol, point)

    def _plain_variable(self, symbol: Symbol, point: Point) -> tuple[str, ...] | None:
        """The variables that a letter names on which nothing hangs but an index."""
        chain = self.world.diffusing
        if not chain and symbol.base in ("X", "Z"):  # a random variable and its value are one here
            symbol = replace(symbol, base=symbol.base.lower())
        if symbol.base == "eps" and symbol.index is None and not self._is_numbered(symbol, point):
            return ("eps",)
        if symbol.base in ("u", "n") and symbol.index is None:
            return (symbol.base,)
        if self.is_coordinate(symbol) or (symbol == Symbol("x") and self.world.context == "score"):
            return (f"x{self.count(symbol.index if self.is_whitened(symbol) else Index('t'), point)}",)
        if symbol == Symbol(symbol.base) and symbol.base in self.world.attached:  # what is seen of the data
            return (symbol.base,)
        if symbol == Symbol("z") and self.world.context in LATER:  # new noise, of a step
            return ("z",)
        if self.world.context == "hvae" and symbol == Symbol("z"):  # all layers of it
            return ("z1", "z2")
        if chain and symbol == Symbol("x"):  # any vector, in the density of any Gaussian
            return ("x",)
        return self._of_chain(symbol, point) if symbol.base in (("x",) if chain else ("x", "z")) else None

    def _is_numbered(self, symbol: Symbol, point: Point) -> bool:
        """Whether it is one of several samples, and not any one of them."""
        return symbol.copy is not None and (
            not isinstance(symbol.copy, Index) or symbol.copy.letter in (None, "K", "L", *point.counts)
        )

    def _of_line(self, symbol: Symbol) -> tuple[str, ...] | None:
        """The number that a symbol is, where there is a law on the line."""
        name = symbol.base + ("'" if symbol.accent == "prime" else "")
        plain = replace(symbol, base="", accent="") == Symbol("") and name in (*DRAWN, NUMBER, PLACE)
        return (name,) if plain else None

    def is_whitened(self, symbol: Symbol) -> bool:
        """Whether it is a variable of the chain measured from the prior, z_t = Σ^{-1/2} (x_t - μ)."""
        plain = symbol == Symbol("z", index=symbol.index) and isinstance(symbol.index, Index)
        return plain and self.world.context == "signals"

    def is_coordinate(self, symbol: Symbol) -> bool:
        """Whether it is x_t in other units: y, or the x_τ of flow matching."""
        if self.is_whitened(symbol):
            return True
        if self.world.context != "score" or symbol.accent or symbol.label or symbol.copy:
            return False
        if symbol.base == "y":
            return symbol.index in (None, Index("t"), Index("kappa"))
        return symbol == Symbol("x", index=Index("tau"))

    def unit(self, symbol: Symbol, point: Point) -> np.ndarray:
        """By how much a coordinate grows with x_t."""
        if self.is_whitened(symbol):
            raise NotUnderstood(f"a derivative in {symbol.base}")
        bar = gaussian(self.world, "boxes have no coordinates").alpha_bar[self.count(Index("t"), point)]
        kappa = np.sqrt((1 - bar) / bar)
        return np.array([1 / np.sqrt(bar) / (1 if symbol.base == "y" else 1 + kappa)])

    def log_unit(self, symbol: Symbol, point: Point) -> np.ndarray:
        """By how much the volume of a coordinate grows with that of x_t, as a logarithm."""
        world = gaussian(self.world, "boxes have no coordinates")
        if self.is_whitened(symbol):
            return np.array([np.linalg.slogdet(world.whiten)[1]])
        return np.log(self.unit(symbol, point)) * world.D

    def _of_chain(self, symbol: Symbol, point: Point) -> tuple[str, ...]:
        """The variables of the chain that a symbol names, or copies of them."""
        if isinstance(symbol.index, Range):
            names = [f"{symbol.base}{i}" for i in self._run(symbol.index, point)]
            if not names:
                raise Undefined("an empty range of variables")
        else:
            names = [symbol.base + ("" if symbol.index is None else str(self.count(symbol.index, point)))]
        if self.world.context == "vae" and symbol.base == "z" and symbol.index is not None and symbol.copy is None:
            return self._of_chain(Symbol("z", copy=symbol.index), point)  # a sample may be numbered below as well
        if any(name not in self.world.keys for name in names):
            if isinstance(symbol.index, Index) and symbol.index.letter:
                raise Undefined(f"there is no {names[0]}")
            raise NotUnderstood(f"there is no {' '.join(names)} in this chapter")
        if not self._is_numbered(symbol, point):
            return tuple(names)
        if isinstance(symbol.copy, Range):
            return tuple(f"{name}^{k}" for name in names for k in self._run(symbol.copy, point))
        if symbol.copy is not None:
            return tuple(f"{name}^{self.count(symbol.copy, point)}" for name in names)
        return tuple(names)

    def _run(self, numbers: Range, point: Point) -> range:
        first = self.count(numbers.first, point)
        last = self.count(numbers.last, point)
        return range(first, last + 1)

    def variables(self, symbols: tuple[Symbol, ...], point: Point) -> tuple[str, ...]:
        """All variables of a list, in its order."""
        found: list[str] = []
        for i, symbol in enumerate(symbols):
            if symbol == Symbol("dots"):  # x_1, …, x_T
                ends = [self.variable(other, point) for other in (symbols[i - 1], *symbols[i + 1 : i + 2])]
                found += self._between(*ends) if len(ends) == 2 and i else [""]
                continue
            keys = self.variable(symbol, point)
            if keys is None:
                raise NotUnderstood(f"{symbol.name} is no variable")
            found += keys
        return tuple(found)

    def _between(self, first: tuple[str, ...] | None, last: tuple[str, ...] | None) -> list[str]:
        """The variables of the chain between two of them."""
        keys = self.world.keys
        if not first or not last or first[0] not in keys or last[0] not in keys:
            raise NotUnderstood("dots between what are not variables of the chain")
        return list(keys[keys.index(first[0]) + 1 : keys.index(last[0])])

    def look(self, key: str, point: Point, node: Node | None = None) -> np.ndarray:
        """The value of a variable; the noise follows from what it made, unless it is drawn itself."""
        if key in point.values and isinstance(self.world, LineWorld):
            return point.values[key]
        if key in point.values:
            gaussian(self.world, "boxes have no coordinates")
            if point.values[key].ndim == 1 and key in self.world.attached:
                raise Unsuited("a label is no vector")
            return point.values[key]
        if key == "eps":
            return self.world.noise(point)
        if key == "n" and self.world.context == "conditioning" and {"x0", "y"} <= set(point.values):
            world = gaussian(self.world, "boxes have no noise")
            return (point.values["y"] - point.values["x0"]) / world.deviation_seen()
        unmade = "which noise is this? It is read in x_t = … and x_{t-1} = …"
        why = unmade if key.startswith(NEW_NOISE) else f"{key} has no value here"
        raise NotUnderstood(why, node.place if node else None)

    # Letters that stand for an expression

    def known(self, symbol: Symbol, point: Point) -> Node | None:
        """The expression that a letter stands for, by the page or by the book."""
        context = self.world.context
        name = symbol.name
        if (name, symbol.index) in self.definitions:
            return self.definitions[name, symbol.index].expression
        if self.is_of_family(symbol):
            return self.definitions[name, Index("t")].expression
        if symbol == ESTIMATE:
            return meaning(context, name)
        if self.is_coordinate(symbol):
            return meaning(context, "z" if self.is_whitened(symbol) else "y" if symbol.base == "y" else "x tau")
        if symbol.base in ("calL", "L") and not symbol.accent:
            return self._known_bound(symbol, point)
        if name == "v":
            return meaning(context, name) if symbol.index in (None, Index("t")) else None
        if name == "C" and isinstance(symbol.index, Index) and self.count(symbol.index, point) == 1:
            return meaning(context, "C first")  # the first step has no posterior: its constant is that of a density
        return meaning(context, name) if name in STEPPED else None

    def is_of_family(self, symbol: Symbol) -> bool:
        """Whether the page has defined the letter for every step t, and here it has another step for its index."""
        stepped = isinstance(symbol.index, Index) and (symbol.name, Index("t")) in self.definitions
        return stepped and (symbol.name, symbol.index) not in self.definitions

    def _known_bound(self, symbol: Symbol, point: Point) -> Node | None:
        """The bound 𝓛, that of K samples, the loss L or another loss, or a term of it."""
        context = self.world.context
        if symbol.label == "loss":
            return Node("neg", (Node("symbol", (), replace(symbol, label="")),))
        if symbol.index is None and symbol.name == "L_simple":
            return meaning(context, symbol.name)
        if symbol.index is None:
            return meaning(context, symbol.name, not self.given)
        if symbol.name == "L_simple":
            return meaning(context, "L_simple step")
        if symbol.name == "calL" and not self.world.diffusing:
            return meaning(context, "calL K")
        return self._known_term(symbol, point)

    def _known_term(self, symbol: Symbol, point: Point) -> Node | None:
        """A term of the loss L, averaged over what it is about, or not."""
        if symbol.label not in TERMS or not isinstance(symbol.index, Index):
            return None
        below, drawn = TERMS[symbol.label]
        step = self.count(symbol.index, point) - below
        if not 0 <= step <= self.world.T:
            raise Undefined(f"there is no L_{step}")
        term = {0: "first", self.world.T: "last"}.get(step, "between")
        if drawn:
            return meaning(self.world.context, f"L drawn {term}")
        return meaning(self.world.context, f"L {term}", not self.given)

    def scope(self, symbol: Symbol, point: Point) -> Point:
        """Where the expression behind a letter is evaluated: L_{t-1} is about the step t."""
        if self.is_coordinate(symbol) and not self.is_whitened(symbol):
            return point
        if (
            self.is_whitened(symbol)
            or self.is_of_family(symbol)
            or (symbol.name in STEPPED and symbol.index is not None)
        ):
            return point.at(t=self.count(symbol.index, point))
        return self._scope_of_bound(symbol, point) if symbol.base in ("calL", "L") else point

    def _scope_of_bound(self, symbol: Symbol, point: Point) -> Point:
        """Where a bound of K samples, or the term of a loss, is evaluated: L_{t-1} and L_t^simple at the step t."""
        if not isinstance(symbol.index, Index):
            return point
        count = self.count(symbol.index, point)
        if not self.world.diffusing:
            return point.at(K=count)
        at_step = symbol.name == "L_simple" and symbol.index.plus == 0
        below, _ = TERMS.get(symbol.label, (0, False))
        return point.at(t=count + 1 - (at_step or below))


def unfolded(node: Node, definitions: Definitions, seen: tuple[object, ...] = ()) -> Iterator[Node]:
    """All nodes of an expression, and of what the page has defined that occurs in it."""
    for part in node.walk():
        yield part
        for symbol in part.symbols():
            keys = {(symbol.name, symbol.index), (symbol.name, Index("t"))}
            for key in keys - set(seen):
                if key in definitions:
                    yield from unfolded(definitions[key].expression, definitions, (*seen, *keys))


def bound_name(letter: Symbol) -> str:
    """Under which name a point has the value of a letter that an integral binds, or of one that may be anything."""
    return f"({letter.name}{'' if letter.index is None else letter.index})"


def gaussian(world: World, why: str) -> GaussianWorld:
    """The world, if its variables are vectors; where they lie in boxes it is unsuited, for the reason that is given."""
    if not isinstance(world, GaussianWorld):
        raise Unsuited(why)
    return world
