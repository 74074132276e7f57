"""From the words of a display to its statements, and from a statement to a tree.

A display holds one statement or several: relations (a chain `a = b ≥ c`), conditions (`t = 2, …, T`) and draws
(`ε ~ N(0, I)`). Nothing is skipped on the way: what the grammar does not know raises `NotUnderstood`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError
from lark.lexer import Lexer

from diffusion_notes.equations.latex import Word, words
from diffusion_notes.equations.nesting import nesting
from diffusion_notes.equations.nodes import Node, NotUnderstood, Symbol
from diffusion_notes.equations.sentences import named, paired, span, split

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


class _Words(Lexer):
    """Lark reads words that are words already."""

    def __init__(self, conf: object) -> None:
        pass

    def lex(self, some: list[Word]) -> Iterator[Token]:
        for word in some:
            yield Token(word.kind, word.value, start_pos=word.place[0], end_pos=word.place[1])


@v_args(meta=True)
class _Tree(Transformer):
    def __default__(self, data, children, meta):
        parts = tuple(child for child in children if isinstance(child, Node))
        told = [child for child in children if isinstance(child, Token)]
        kept = tuple(
            Symbol("dots") if t.type == "DOTS" else t.value
            for t in told
            if t.type in ("SYMBOL", "LAW", "FUNCTION", "DIFFERENTIAL", "NUMBER", "MUTUAL", "DOTS")
        )
        return Node(str(data), parts, kept, (meta.start_pos, meta.end_pos))

    def same(self, meta, children):
        return children[-1]

    def number(self, meta, children):
        return Node("number", (), children[0].value, (meta.start_pos, meta.end_pos))

    def symbol(self, meta, children):
        return Node("symbol", (), children[0].value, (meta.start_pos, meta.end_pos))

    def beside(self, meta, children):
        if children[0].kind == "div":
            raise NotUnderstood("a/b c may be a/(bc) or (a/b) c: use a fraction, or brackets", children[1].place)
        if children[1].kind == "number" or (children[1].kind == "power" and children[1].parts[0].kind == "number"):
            raise NotUnderstood("a number after another factor: write the number first, or \\cdot", children[1].place)
        return Node("mul", tuple(children), None, (meta.start_pos, meta.end_pos))

    def total(self, meta, children):
        kind, _, _, letter, relation, *rest = children
        parts = tuple(part for part in rest if isinstance(part, Node))
        if any(isinstance(part, Token) and part.type == "MINUS" for part in rest):
            if kind.type == "PROD":
                raise NotUnderstood("a product of negatives: put brackets", (meta.start_pos, meta.end_pos))
            parts = (*parts[:-1], Node("neg", parts[-1:], None, parts[-1].place))
        return Node("total", parts, (kind.type, letter.value, relation.value), (meta.start_pos, meta.end_pos))

    def integral(self, meta, children):
        (count, named), place = children[0].value, (meta.start_pos, meta.end_pos)
        parts = tuple(child for child in children if isinstance(child, Node))
        over = tuple(t.value for t in children[1:] if isinstance(t, Token) and t.type == "DIFFERENTIAL")
        if count not in (1, len(over)) or (named and set(named) != set(over)):
            raise NotUnderstood("the integrals and their differentials do not belong together", place)
        return Node("integral", parts, over, place)

    def gradient(self, meta, children):
        inner = children[-1]
        if inner.kind == "mul" and inner.parts[0].kind == "log":
            raise NotUnderstood("does the gradient take all that follows? Put brackets", inner.place)
        return self.__default__("gradient", children, meta)

    def mutual(self, meta, children):
        groups = tuple(c for c in children[1:] if isinstance(c, Node))
        return Node(
            "mutual", (), (children[0].value, *(group.value for group in groups)), (meta.start_pos, meta.end_pos)
        )

    def wave(self, meta, children):
        return Node("wave", (children[1],), children[0].type, (meta.start_pos, meta.end_pos))

    def log(self, meta, children):
        inner = children[1]
        if inner.kind == "mul" and inner.parts[1].kind in ("log", "gradient"):  # log a log b is a product
            first = self.log(meta, [children[0], inner.parts[0]])
            return Node("mul", (first, inner.parts[1]), None, (meta.start_pos, meta.end_pos))
        if _mixed(inner):
            raise NotUnderstood("does the logarithm take all that follows? Put brackets", inner.place)
        return Node("log", (inner,), None, (meta.start_pos, meta.end_pos))


def _factors(node: Node) -> list[Node]:
    return [f for part in node.parts for f in _factors(part)] if node.kind == "mul" else [node]


def _mixed(node: Node) -> bool:
    """Densities beside plain factors: does log p(x) w mean the logarithm of both?"""
    kinds = {factor.kind for factor in _factors(node)}
    return bool(kinds & {"density", "normal"}) and bool(kinds & {"symbol", "number", "call", "power", "group", "sqrt"})


@cache
def _parser(start: str) -> Lark:
    grammar = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=_Words, start=start, propagate_positions=True)


def _parse(some: list[Word], start: str = "expr") -> Node:
    if not some:
        raise NotUnderstood("one side is empty")
    some = named(some)
    try:
        return _Tree().transform(_parser(start).parse(some))
    except UnexpectedInput as error:
        token = getattr(error, "token", None)
        ended = token is None or token.type == "$END"
        place = some[-1].place if ended else (token.start_pos, token.end_pos)
        why = "the expression ends too early" if ended else "this does not belong here"
        raise NotUnderstood(why, place) from None
    except VisitError as error:
        raise error.orig_exc from None


def _statement(some: list[Word], latex: str) -> Statement:
    place = span(some)
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
        laws = [_parse(some[: draw[0]], "expr"), _parse(some[draw[0] + 1 :], "law")]
        return Statement(laws, ["~"], "draw", *about)
    if any(word.kind == "DOTS" and not depths[i] for i, word in enumerate(some)):
        return _range(some, cuts, about)
    if not cuts:
        raise NotUnderstood("no relation in it: nothing is said", place)
    pieces = [some[a + 1 : b] for a, b in zip([-1, *cuts], [*cuts, len(some)], strict=True)]
    sides = [_parse(piece) if piece or i else None for i, piece in enumerate(pieces)]
    return Statement(sides, [some[i].value for i in cuts], "relation", *about)


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
    ends = [_parse(some[: cuts[0]]), _parse(first), _parse(some[dots + 2 :])]
    return Statement(ends, ["=", "…"], "range", *about)


def expression(latex: str) -> Node:
    """Read an expression, without a relation in it.

    Args:
        latex: The expression.

    Raises:
        NotUnderstood: If any part of it is not in the book's notation.
    """
    return _parse(paired(words(latex)[0]))


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
            Statement([_parse(words(label)[0]), expression(inner)], ["="], "relation", f"{label} = {inner}", what)
        )
    return Display(statements, tag, labels)
