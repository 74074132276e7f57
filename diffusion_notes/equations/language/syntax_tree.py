"""Syntax trees: what an equation is made of, once it has been read, and what can be asked of it without a world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = [
    "DOT",
    "ELLIPSIS",
    "ESTIMATE",
    "Index",
    "Node",
    "NotUnderstood",
    "Place",
    "Range",
    "Symbol",
    "componentwise",
    "constants_in_exponents",
    "free_indices",
    "numeric_parts",
    "renamed",
    "split_constants",
    "terms",
]

Place = tuple[int, int]
"""The first and the last character of a part of the LaTeX, as a slice."""


class NotUnderstood(Exception):  # noqa: N818 it is a verdict, not an error
    """The checker does not know what is meant here, so it must not say that it holds.

    Args:
        why: What is not understood, and what would be.
        place: The first and the last character of the LaTeX that it is about, if it is about a part.
    """

    def __init__(self, why: str, place: Place | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.place = place


@dataclass(frozen=True)
class Index:
    """An index, as in $x_{t-1}$: a letter, or none, and a number that is added to it."""

    letter: str | None
    plus: int = 0


@dataclass(frozen=True)
class Range:
    """A range of indices, as in $x_{1:T}$; both ends belong to it."""

    first: Index
    last: Index


@dataclass(frozen=True)
class Symbol:
    r"""A letter with what hangs on it: $\tilde\mu_t$ is `Symbol("mu", "tilde", Index("t"))`.

    Args:
        base: The letter, or the word: `x`, `alpha`, `simple`.
        accent: `bar`, `tilde`, `hat` or nothing.
        index: What stands below, if it counts something.
        label: What stands below, if it is a name: `theta`, `phi`, `simple`.
        copy: What stands above a variable: the number of the sample, as in $z^k$.
    """

    base: str
    accent: str = ""
    index: Index | Range | None = None
    label: str = ""
    copy: Index | Range | None = None

    @property
    def name(self) -> str:
        """The symbol without its index."""
        return f"{self.accent}{' ' if self.accent else ''}{self.base}{'_' if self.label else ''}{self.label}"


@dataclass(frozen=True)
class Node:
    """A part of an equation.

    Args:
        kind: What it is: `add`, `mul`, `log`, `density`, `expectation`, …; the grammar names them.
        parts: The nodes below it.
        value: What is no node. Its type follows from the kind: the digits of a `number`; the `Symbol` of a `symbol`;
            a tuple of symbols for a `call` (the function), a `density` (the model, then what it is about), a `given`,
            a `gradient`, an `integral`; `SUM` or `PROD`, the letter and the relation for a `total`.
        place: Its first and last character in the LaTeX; two nodes that differ in nothing else are equal.
    """

    kind: str
    parts: tuple[Node, ...] = ()
    value: Any = None
    place: Place | None = field(default=None, compare=False)

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def symbols(self) -> list[Symbol]:
        """The symbols of this node itself."""
        return _symbols(self.value)

    def of_kind(self, kind: str) -> list[Node]:
        """All nodes of a kind, this one included."""
        return [node for node in self.walk() if node.kind == kind]


def _symbols(value: object) -> list[Symbol]:
    if isinstance(value, tuple):
        return [symbol for part in value for symbol in _symbols(part)]
    return [value] if isinstance(value, Symbol) else []


ELLIPSIS = "…"
"""The relation below a sum or a product that was written with dots: it has at least one member."""


def renamed(node: Node, new: Callable[[Symbol], Symbol]) -> Node:
    """An expression in which other symbols stand for those in it."""
    parts = tuple(renamed(part, new) for part in node.parts)
    return replace(node, parts=parts, value=_renamed(node.value, new))


def _renamed(value: Any, new: Callable[[Symbol], Symbol]) -> Any:
    if isinstance(value, tuple):
        return tuple(_renamed(part, new) for part in value)
    return new(value) if isinstance(value, Symbol) else value


# Queries

ESTIMATE = Symbol("x", "hat", Index(None, 0))
r"""$\hat x_0$, what the noise that is predicted at x_t says of the data."""

DOT = Symbol("dot")
r"""What stands for a variable that needs no name, as in $q(\cdot \mid x)$."""

UNWRITTEN = {
    *(Symbol(base) for base in ("eps", "v", "y", "kappa")),
    *(Symbol(base, accent, label="theta") for base in ("eps", "x") for accent in ("", "hat")),
    *(Symbol(base, label="theta") for base in ("v", "mu", "s", "Sigma")),
    *(Symbol(base, label="q") for base in ("mu", "sigma", "Sigma")),
    ESTIMATE,
}
"""The letters that stand for those of the step t where no index is written."""

NUMERIC = ("number", "add", "sub", "neg", "mul", "div", "frac", "power", "sqrt", "exp", "log", "group")


CONSTANTS = (Symbol("C"), Symbol("C", "prime"))


def split_constants(node: Node) -> tuple[Node | None, tuple[Node, ...]]:
    """An expression without the constants that are added to it, and the constants."""
    if node.kind == "constant" or _head(node) in CONSTANTS:
        return None, (node,)
    if node.kind in ("add", "sub"):
        (a, first), (b, second) = (split_constants(part) for part in node.parts)
        if b is None:
            return a, first + second
        if a is None:
            return (b if node.kind == "add" else replace(node, kind="neg", parts=(b,))), first + second
        return replace(node, parts=(a, b)), first + second
    return node, ()


def constants_in_exponents(node: Node) -> list[Node]:
    """What is left open in the exponents of an expression: C, or C(x_t, x_0)."""
    inside = [part for exponential in node.of_kind("exp") for part in exponential.walk()]
    return [part for part in inside if part.kind == "constant" or _head(part) == Symbol("C")]


def _head(node: Node) -> Symbol | None:
    """The letter that a node is, or the function that it calls."""
    match node.kind:
        case "call":
            return node.value[0]
        case "symbol":
            return node.value
    return None


def componentwise(node: Node, letter: str) -> Node:
    """An expression in which what has a letter for its index is a component of the vector without it."""
    parts = tuple(componentwise(part, letter) for part in node.parts)
    head = _head(node)
    if head is None or head.index != Index(letter):
        return replace(node, parts=parts)
    whole = replace(head, index=None)
    inner = replace(node, parts=parts, value=whole if node.kind == "symbol" else (whole, *node.value[1:]))
    return Node("component", (inner,), letter, node.place)


def terms(node: Node) -> list[Node]:
    """What is added up in an expression."""
    if node.kind in ("add", "sub", "neg", "group"):
        return [term for part in node.parts for term in terms(part)]
    return [node]


def numeric_parts(node: Node) -> list[Node]:
    """The largest parts of an expression that have no letter in them."""
    if node.kind in NUMERIC and not any(part.kind not in NUMERIC for part in node.walk()):
        return [node]
    return [found for part in node.parts for found in numeric_parts(part)]


def free_indices(node: Node) -> list[Index]:
    """The indices in an expression that nothing in it binds; a `t` of its own counts, and one that is not written."""
    found: list[Index] = []
    for symbol in node.symbols():
        index = symbol.index
        found += [index] if isinstance(index, Index) else [index.first, index.last] if index else []
        unwritten = node.kind == "symbol" and symbol in UNWRITTEN
        found += [Index("t")] if symbol == Symbol("t") or unwritten else []
    if node.kind == "total":
        letter = node.value[1].base
        within = [index for index in free_indices(node.parts[-1]) if index.letter != letter]
        return within + [index for part in node.parts[:-1] for index in free_indices(part)]
    found += [index for part in node.parts for index in free_indices(part)]
    drawn = [part.value[0] for part in node.parts if part.kind in ("variable", "drawn")]
    if node.kind in ("expectation", "variance") and Symbol("t") in drawn:
        return [index for index in found if index.letter != "t"]
    return found
