"""From the words of a display to its statements, and from a statement to a tree.

A display holds one statement or several: relations (a chain `a = b ≥ c`), conditions (`t = 2, …, T`) and draws
(`ε ~ N(0, I)`). Nothing is skipped on the way: what the grammar does not know raises `NotUnderstood`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError
from lark.lexer import Lexer

from diffusion_notes.equations.latex import Word, words
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Symbol

__all__ = ["Display", "Statement", "read"]

CLOSER = {"LP": "RP", "LB": "RB", "LC": "RC", "OPEN": "CLOSE", "LANGLE": "RANGLE", "LNORM": "RNORM"}
OPERATORS = ("PLUS", "MINUS", "TIMES", "SLASH")
LAWS = {("p", ""), ("p", "theta"), ("q", ""), ("q", "phi")}
FUNCTIONS = {"f", "f_phi", "c", "Phi", "C", "SNR", "x_theta", "v_theta", "tilde mu"}


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


def _place(some: list[Word]) -> tuple[int, int]:
    return (some[0].place[0], some[-1].place[1])


def _brackets(found: list[Word]) -> list[Word]:
    """Every bracket with its partner; what a bar means is decided by what is open around it."""
    stack: list[tuple[str, bool, int]] = []
    result: list[Word] = []
    for at, word in enumerate(found):
        kind = word.kind
        if kind == "BARS":
            if stack and stack[-1][0] == "RP" and stack[-1][1]:
                kind, stack[-1] = "PAR", ("RP", False, stack[-1][2])
            else:
                kind = "RNORM" if stack and stack[-1][0] == "RNORM" else "LNORM"
        if kind in CLOSER:
            stack.append((CLOSER[kind], at > 0 and found[at - 1].kind == "KL", at))
        elif kind in CLOSER.values():
            if not stack or stack[-1][0] != kind:
                raise NotUnderstood("a bracket is closed that was not opened", word.place)
            stack.pop()
        result.append(replace(word, kind=kind))
    if stack:
        raise NotUnderstood("a bracket is never closed", found[stack[-1][2]].place)
    return result


def _depths(found: list[Word]) -> list[int]:
    depth, depths = 0, []
    for word in found:
        depth -= word.kind in CLOSER.values()
        depths.append(depth)
        depth += word.kind in CLOSER
    return depths


def _sentences(found: list[Word]) -> list[list[Word]]:
    """Split at commas and at lines that begin something new; a line that begins with a sign goes on."""
    depths, sentences, current = _depths(found), [], []
    ended = True  # did the last sentence end with a comma or a full stop?

    def close() -> None:
        nonlocal current
        if current:
            sentences.append(current)
        current = []

    for at, word in enumerate(found):
        after = next((w for w in found[at + 1 :] if w.kind not in ("QUAD", "NEWLINE")), None)
        dots = "DOTS" in (after.kind if after else "", current[-1].kind if current else "")
        joined = current and current[-1].kind in (*OPERATORS, "REL", "SIM")
        goes_on = joined or (after is not None and after.kind in ("REL", *OPERATORS) and not ended)
        if depths[at]:
            if word.kind == "QUAD" and found[at - 1].kind not in ("COMMA", "SEMI"):
                raise NotUnderstood("a wide space between two things: is it a product?", word.place)
            if word.kind == "STOP":
                raise NotUnderstood("a full stop inside brackets", word.place)
            if word.kind not in ("QUAD", "NEWLINE"):
                current.append(word)
        elif word.kind == "COMMA" and dots:
            current.append(word)
        elif word.kind in ("COMMA", "IMPLIES", "STOP"):
            if word.kind == "STOP" and found[at + 1 : at + 2] and found[at + 1].kind not in ("NEWLINE", "QUAD"):
                raise NotUnderstood("a full stop in the middle", word.place)
            close()
            ended = True
            continue
        elif word.kind == "NEWLINE":
            if not goes_on:
                close()
            continue
        elif word.kind == "QUAD":
            if current and after is not None and not goes_on and found[at + 1].kind not in ("NEWLINE", "COMMA", "STOP"):
                raise NotUnderstood("a wide space between two things: is it a product?", word.place)
            continue
        else:
            current.append(word)
        ended = False
    close()
    return sentences


def _called(some: list[Word]) -> list[Word]:
    """Tell the letters apart: laws, functions, variables; and log(a) b, which nobody can read, from log(ab)."""
    result: list[Word] = []
    some = _noisy(some)
    for at, word in enumerate(some):
        after = some[at + 1].kind if at + 1 < len(some) else ""
        kind = word.kind
        if kind == "SYMBOL":
            symbol: Symbol = word.value
            if symbol.base in ("p", "q") and not symbol.accent and symbol.index is None:
                if (symbol.base, symbol.label) not in LAWS:
                    raise NotUnderstood(f"{symbol.base} has parameters of its own, not these", word.place)
                kind = "LAW"
            elif symbol.base in ("calN", "calU"):
                kind = {"calN": "NORMAL", "calU": "UNIFORM"}[symbol.base]
            elif symbol.base in ("H", "I") and after in ("LP", "LB"):
                kind = {"H": "ENTROPY", "I": "MUTUAL"}[symbol.base]
            elif ((symbol.name in FUNCTIONS or symbol.base == "calL") and after == "LP") or (symbol.base in ("mu", "sigma", "eps") and symbol.label and after == "LP"):
                kind = "FUNCTION"
        elif kind in ("LOG", "E"):
            kind = _reach(some, at)
        elif kind in ("COMMA", "SEMI", "MID"):
            kind = "_" + kind
        result.append(replace(word, kind=kind))
    return result


def _reach(some: list[Word], at: int) -> str:
    """Do brackets end what a logarithm or an expectation is taken of?"""
    kind, start = some[at].kind, at + 1
    depths = _depths(some)
    if kind == "E" and start < len(some) and some[start].kind == "BELOW":
        start = (
            next(i for i in range(start + 2, len(some)) if depths[i] == depths[start] and some[i].kind == "CLOSE") + 1
        )
    if start >= len(some) or some[start].kind not in ("LP", "LB", "LC"):
        return kind
    end = next(i for i in range(start + 1, len(some)) if depths[i] == depths[start])
    after = some[end + 1].kind if end + 1 < len(some) else ""
    if after == "POWER":
        raise NotUnderstood(
            "is the power taken before or after? Put it where only one reading is left", some[end + 1].place
        )
    ends = (*OPERATORS[:2], *CLOSER.values(), "", "COMMA", "SEMI", "MID", "PAR", "REL", "BELOW", "DIFFERENTIAL")
    if kind == "LOG" and after not in ends:
        raise NotUnderstood(
            "log(a) b may be log(ab) or b log(a): add brackets, or turn the factors round", some[at].place
        )
    return "ECALL" if kind == "E" else kind


def _noisy(some: list[Word]) -> list[Word]:
    r"""$x_t(x_0, \varepsilon)$ is $x_t$, as the paper writes it where it wants to remind us of how it was made."""
    result: list[Word] = []
    at = 0
    while at < len(some):
        result.append(some[at])
        inner = [w.value if w.kind == "SYMBOL" else w.kind for w in some[at + 1 : at + 6]]
        noisy = some[at].value
        start, noise = Symbol("x", index=Index(None, 0)), Symbol("eps")
        at += 1
        if isinstance(noisy, Symbol) and noisy.base == "x" and inner == ["LP", start, "COMMA", noise, "RP"]:
            at += 5
    return result


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
            t.value for t in told if t.type in ("SYMBOL", "LAW", "FUNCTION", "DIFFERENTIAL", "NUMBER", "MUTUAL")
        )
        return Node(str(data), parts, kept, (meta.start_pos, meta.end_pos))

    def same(self, meta, children):
        return children[-1]

    def number(self, meta, children):
        return Node("number", (), children[0].value, (meta.start_pos, meta.end_pos))

    def symbol(self, meta, children):
        return Node("symbol", (), children[0].value, (meta.start_pos, meta.end_pos))

    def beside(self, meta, children):
        if children[1].kind == "number" or (children[1].kind == "power" and children[1].parts[0].kind == "number"):
            raise NotUnderstood("a number after another factor: write the number first, or \\cdot", children[1].place)
        return Node("mul", tuple(children), None, (meta.start_pos, meta.end_pos))

    def total(self, meta, children):
        kind, _, _, letter, relation, *rest = children
        parts = tuple(part for part in rest if isinstance(part, Node))
        return Node("total", parts, (kind.type, letter.value, relation.value), (meta.start_pos, meta.end_pos))

    def wave(self, meta, children):
        return Node("wave", (children[1],), children[0].type, (meta.start_pos, meta.end_pos))

    def log(self, meta, children):
        inner = children[1]
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
    some = _called(some)
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
    place = _place(some)
    depths = _depths(some)
    cuts = [i for i, word in enumerate(some) if word.kind == "REL" and not depths[i]]
    draw = [i for i, word in enumerate(some) if word.kind == "SIM" and not depths[i]]
    about = (latex[slice(*place)].strip(), place)
    if draw and not cuts:
        laws = [_parse(some[: draw[0]][-1:], "expr"), _parse(some[draw[0] + 1 :], "law")]
        return Statement(laws, ["~"], "draw", *about)
    if any(word.kind == "DOTS" and not depths[i] for i, word in enumerate(some)):
        if len(cuts) != 1 or [w.kind for w in some[-4:]] != ["COMMA", "DOTS", "COMMA", "SYMBOL"]:
            raise NotUnderstood("dots are read only in a range: t = 2, \\dots, T", place)
        ends = [_parse(some[: cuts[0]]), _parse(some[cuts[0] + 1 : -4]), _parse(some[-1:])]
        return Statement(ends, ["=", "…"], "range", *about)
    if not cuts:
        raise NotUnderstood("no relation in it: nothing is said", place)
    pieces = [some[a + 1 : b] for a, b in zip([-1, *cuts], [*cuts, len(some)], strict=True)]
    sides = [_parse(piece) if piece or i else None for i, piece in enumerate(pieces)]
    return Statement(sides, [some[i].value for i in cuts], "relation", *about)


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
    statements = [_statement(sentence, latex) for sentence in _sentences(_brackets(found))]
    if not statements:
        raise NotUnderstood("an empty display")
    labels = []
    for name, what in named:
        label = latex[slice(*name)]
        if label.strip().startswith(r"\text"):
            continue  # a comment, not a name
        inner = _brackets(words(latex[: what[1]][what[0] :])[0])
        labels.append(
            Statement(
                [_parse(words(label)[0]), _parse(inner)], ["="], "relation", f"{label} = {latex[slice(*what)]}", what
            )
        )
    return Display(statements, tag, labels)
