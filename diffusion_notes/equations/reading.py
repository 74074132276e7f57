"""From the words of a display to its statements, and from a statement to a tree.

A display holds one statement or several: relations (a chain `a = b ≥ c`), conditions (`t = 2, …, T`) and draws
(`ε ~ N(0, I)`). Nothing is skipped on the way: what the grammar does not know raises `NotUnderstood`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from diffusion_notes.equations.dotted import dotted
from diffusion_notes.equations.latex import Word, words
from diffusion_notes.equations.nesting import nesting
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.parsing import parse
from diffusion_notes.equations.sentences import paired, span, split

__all__ = ["Display", "Statement", "expression", "read"]


@dataclass
class Statement:
    """One statement of a display.

    Args:
        sides: The expressions, from left to right; the first is `None` if the statement goes on from before.
        relations: What stands between them.
        kind: `relation`, `draw` (`x ~ q(x)`) or `range` (`t = 1, …, T`).
        latex: The statement as it was written, without the spacing around it.
        place: Where it stands in the display.
    """

    sides: list[Node | None]
    relations: list[str]
    kind: str
    latex: str
    place: tuple[int, int]


@dataclass
class Display:
    """A displayed equation, read: its statements, its tag, and what its braces name."""

    statements: list[Statement]
    tag: str = ""
    named: list[Statement] = field(default_factory=list)


def _statement(some: list[Word], latex: str) -> Statement:
    place, some = span(some), dotted(some)
    depths = nesting(some)
    cuts = [i for i, word in enumerate(some) if word.kind == "REL" and not depths[i]]
    draw = [i for i, word in enumerate(some) if word.kind == "SIM" and not depths[i]]
    about = (latex[slice(*place)].strip(), place)
    if len(cuts) == 1 and some[cuts[0]].value == r"\in":
        inside = some[cuts[0] + 1 :]
        if [inside[0].kind, inside[-1].kind] != ["LC", "RC"]:
            raise NotUnderstood("a set is read as \\{1, \\dots, T\\}", place)
        return _range([*some[: cuts[0] + 1], *inside[1:-1]], cuts, about)
    if draw and not cuts:
        drawn, law = parse(some[: draw[0]], "drawn_or_expr"), parse(some[draw[0] + 1 :], "law")
        if drawn.kind == "conditional":  # the law of one variable given another is a relation
            return Statement([_density(drawn), law], ["="], "relation", *about)
        return Statement([drawn, law], ["~"], "draw", *about)
    if any(word.kind == "DOTS" and not depths[i] for i, word in enumerate(some)):
        return _range(some, cuts, about)
    if not cuts:
        raise NotUnderstood("no relation in it: nothing is said", place)
    pieces = [some[a + 1 : b] for a, b in zip([-1, *cuts], [*cuts, len(some)], strict=True)]
    sides = [parse(piece) if piece or i else None for i, piece in enumerate(pieces)]
    return Statement(sides, [some[i].value for i in cuts], "relation", *about)


def _density(drawn: Node) -> Node:
    """The density of a variable given others: of p if all of them are above it, else of q."""
    (symbol,), given = drawn.value, drawn.parts[0].value
    heights = [_height(other) for other in (symbol, *given)]
    model = "p" if all(height > heights[0] for height in heights[1:]) else "q"
    return Node("density", drawn.parts, (Symbol(model), symbol), drawn.place)


def _height(symbol: Symbol) -> int:
    """How far up the chain a variable stands: x, z; x_0, x_{t-1}, x_t, x_T; z_1, z_2."""
    if symbol.index is None:
        return {"x": 0, "z": 1}.get(symbol.base, 0)
    if not isinstance(symbol.index, Index):
        raise NotUnderstood(f"the law of {symbol.name}, one variable at a time")
    return {None: 0, "t": 1000, "T": 2000}.get(symbol.index.letter, 0) + symbol.index.plus


def _range(some: list[Word], cuts: list[int], about: tuple[str, tuple[int, int]]) -> Statement:
    """A range of steps, as in t = 1, …, T; or with the second number as well; or in braces."""
    kinds = [word.kind for word in some]
    dots = kinds.index("DOTS")
    if (
        len(cuts) != 1
        or some[cuts[0]].value not in ("=", r"\in")
        or kinds[dots - 1 : dots + 2] != ["COMMA", "DOTS", "COMMA"]
    ):
        raise NotUnderstood("dots are read only in a range: t = 2, \\dots, T", about[1])
    first = some[cuts[0] + 1 : dots - 1]
    if [word.kind for word in first] == ["NUMBER", "COMMA", "NUMBER"] and int(first[2].value) == int(
        first[0].value
    ) + 1:
        first = first[:1]
    ends = [parse(some[: cuts[0]]), parse(first), parse(some[dots + 2 :])]
    return Statement(ends, ["=", "…"], "range", *about)


def expression(latex: str) -> Node:
    """Read an expression, without a relation in it.

    Args:
        latex: The expression.

    Raises:
        NotUnderstood: If any part of it is not in the book's notation.
    """
    return parse(paired(words(latex)[0]))


def read(latex: str) -> Display:
    """Read a displayed equation.

    Args:
        latex: What stands between the dollars.

    Returns:
        Its statements, in order.

    Raises:
        NotUnderstood: If any part of it is not in the book's notation.
    """
    found, tag, named = words(latex)
    statements = [_statement(sentence, latex) for sentence in split(paired(found))]
    if not statements:
        raise NotUnderstood("an empty display")
    labels = []
    for name, what in named:
        label = latex[slice(*name)]
        if re.fullmatch(r"\s*\\text\{[^{}=<>$\\]*\}\s*", label):
            continue  # a comment, not a name
        inner = latex[slice(*what)]
        labels.append(
            Statement([parse(words(label)[0]), expression(inner)], ["="], "relation", f"{label} = {inner}", what)
        )
    return Display(statements, tag, labels)
