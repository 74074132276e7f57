"""A chain `a = b ≥ c`: its links, each judged by itself, and the leaps over sides that say less than they seem to.

A side with a constant in it, or one that was not read, breaks a chain in two: of `L = A + C = B` each link may hold
while the ends differ. So what stands before such a side is compared with what stands after it as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from diffusion_notes.equations.language.parser import Statement
from diffusion_notes.equations.language.syntax_tree import Node, split_constants

__all__ = ["Chain", "Link", "as_one_line"]

EQUAL = ("=", ":=")
LINES = r"\\(?:begin|end)\{(?:align|gather|split|equation|multline)\w*\*?\}"
SPACING = rf"(?:{LINES}|\\\\(?:\[[^\]]*\])?|\\q?quad(?![a-z])|\\[,;:! ]|[&\s])+"
"""What may stand around a side and is no part of it."""


@dataclass(frozen=True)
class Link:
    """Two sides of a chain and what is said of them.

    Args:
        left: One side.
        relation: What is said of the two.
        right: The other side.
        latex: The relation as it is written.
        goes_on: Whether the left side is not written out, but the last one of what came before.
        head: What the chain begins with: all its sides say something of that.
    """

    left: Node
    relation: str
    right: Node
    latex: str
    goes_on: bool = False
    head: Node | None = None


@dataclass(frozen=True)
class Chain:
    """The sides of a statement, from left to right, with those that it goes on from.

    Args:
        sides: The sides.
        relations: What is said of each and the next.
        texts: The sides as they are written.
        signs: The relations as they are written; a blank where that is not known.
        begun: How many of the sides belong to what came before.
        origin: What it began with, if that has been left out of its sides.
        tied: Whether it is said to hold where another statement does, and only there.
    """

    sides: tuple[Node, ...]
    relations: tuple[str, ...]
    texts: tuple[str, ...]
    signs: tuple[str, ...]
    begun: int = 0
    origin: Node | None = None
    tied: bool = False

    @property
    def head(self) -> Node:
        """What it begins with."""
        return self.origin or self.sides[0]

    @classmethod
    def of(cls, statement: Statement, before: Chain | None = None) -> Chain:
        """The chain that a statement is, after the chain that it goes on from, if it goes on."""
        sides = tuple(statement.expressions)
        relations = tuple(statement.relations)
        texts, signs = _texts(statement)
        if before is None or statement.sides[0] is not None:
            return cls(sides, relations, texts, signs, tied=statement.tied)
        return cls(
            before.sides + sides,
            before.relations + relations,
            before.texts + texts[1:],
            before.signs + signs,
            len(before.sides),
            before.head,
        )

    def rest(self) -> Chain:
        """What the next display goes on from: the last side, and all back to one that says all that it means."""
        first = len(self.sides) - 1
        while first > 0 and not _is_firm(self.sides[first]):
            first -= 1
        return Chain(
            self.sides[first:], self.relations[first:], self.texts[first:], self.signs[first:], origin=self.head
        )

    def elsewhere(self) -> Chain:
        """The same chain in another display, in whose LaTeX it has no place."""
        return self.each(_without_places)

    def each(self, change: Callable[[Node], Node]) -> Chain:
        """The same chain with its sides changed, one by one."""
        return replace(self, sides=tuple(map(change, self.sides)), origin=change(self.head))

    def links(self) -> Iterator[Link]:
        """The links that are written out, from left to right."""
        for i in range(max(self.begun - 1, 0), len(self.relations)):
            goes_on = i < self.begun
            left = "" if goes_on else self.texts[i]
            text = as_one_line(f"{left} {self.signs[i]} {self.texts[i + 1]}")
            yield Link(self.sides[i], self.relations[i], self.sides[i + 1], text, goes_on, self.head)

    def leaps(self) -> Iterator[Link]:
        """What the chain says of sides between which it was broken, where that is written out."""
        firm = [i for i, side in enumerate(self.sides) if _is_firm(side)]
        for i, j in pairwise(firm):
            relation = _composed(self.relations[i:j])
            if j > i + 1 and j >= self.begun and relation:
                text = as_one_line(f"{self.texts[i]} {relation} {self.texts[j]}")
                yield Link(self.sides[i], relation, self.sides[j], text, head=self.head)


def _is_firm(side: Node) -> bool:
    """Whether a side was read, and has no constant in it of which nothing more is said."""
    return side.kind != "unread" and not split_constants(side)[1]


def as_one_line(latex: str) -> str:
    """A piece of LaTeX without the places where its lines are aligned."""
    return " ".join(latex.replace("&", " ").split())


def _without_places(node: Node) -> Node:
    return replace(node, parts=tuple(map(_without_places, node.parts)), place=None)


def _texts(statement: Statement) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sides of a statement and its relations, as they are written."""
    if len(statement.cuts) < len(statement.relations):
        return (statement.latex, *[" "] * len(statement.relations)), (" ",) * len(statement.relations)
    starts = [first - statement.place[0] for first, _ in statement.cuts]
    ends = [last - statement.place[0] for _, last in statement.cuts]
    pieces = [statement.latex[a:b] for a, b in zip([0, *ends], [*starts, None], strict=True)]
    signs = [statement.latex[a:b] for a, b in zip(starts, ends, strict=True)]
    return tuple(re.sub(rf"^{SPACING}|{SPACING}$", "", piece) for piece in pieces), tuple(signs)


def _composed(relations: tuple[str, ...]) -> str:
    """What a run of relations says of its ends; nothing, if it says nothing that could be tried."""
    others = {relation for relation in relations if relation not in EQUAL}
    if not others:
        return "="
    if others <= {r"\ge", r"\gt"} or others <= {r"\le", r"\lt"}:
        strict = others & {r"\gt", r"\lt"}
        return min(strict or others)
    return ""
