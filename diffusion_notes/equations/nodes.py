"""What an equation is made of, once it has been read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Index", "Node", "NotUnderstood", "Range", "Symbol"]


class NotUnderstood(Exception):  # noqa: N818 it is a verdict, not an error
    """The checker does not know what is meant here, so it must not say that it holds.

    Args:
        why: What is not understood, and what would be.
        place: The first and the last character of the LaTeX that it is about, if it is about a part.
    """

    def __init__(self, why: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(why)
        self.why, self.place = why, place


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
        kind: What it is: `add`, `mul`, `log`, `density`, `expectation`, …
        parts: The nodes below it.
        value: What is no node: a number, a symbol.
        place: Its first and last character in the LaTeX; two nodes that differ in nothing else are equal.
    """

    kind: str
    parts: tuple[Node, ...] = ()
    value: object = None
    place: tuple[int, int] | None = field(default=None, compare=False)

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def symbols(self) -> list[Symbol]:
        """The symbols of this node itself."""
        return _symbols(self.value)

    def having(self, kind: str) -> list[Node]:
        """All nodes of a kind, this one included."""
        return [node for node in self.walk() if node.kind == kind]


def _symbols(value: object) -> list[Symbol]:
    if isinstance(value, tuple):
        return [symbol for part in value for symbol in _symbols(part)]
    return [value] if isinstance(value, Symbol) else []
