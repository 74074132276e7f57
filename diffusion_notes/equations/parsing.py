"""From the words of an expression to its tree, by the grammar; what it does not know raises `NotUnderstood`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError
from lark.lexer import Lexer

from diffusion_notes.equations.latex import Word
from diffusion_notes.equations.nodes import Node, NotUnderstood, Symbol
from diffusion_notes.equations.sentences import named

__all__ = ["parse"]


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


def parse(some: list[Word], start: str = "expr") -> Node:
    """The tree of some words.

    Args:
        some: The words of an expression, or of a law.
        start: What it is: a rule of the grammar.

    Raises:
        NotUnderstood: If it is not in the grammar.
    """
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
