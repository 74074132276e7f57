"""The parser: from the tokens of a display to its statements, and from the tokens of an expression to its tree.

A display holds one statement or several: relations (a chain `a = b ≥ c`), conditions (`t = 2, …, T`) and draws
(`ε ~ N(0, I)`). Statements are told apart here, expressions are read by `grammar.lark`. Nothing is skipped on the way:
what is not known stays in its place, as a statement or as a side that says why it is not understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import lark
from lark import Lark, Transformer, v_args
from lark.exceptions import UnexpectedToken, VisitError
from lark.lexer import Lexer
from lark.tree import Meta

from diffusion_notes.equations.language.ellipses import expand_ellipses
from diffusion_notes.equations.language.expectations import not_expected
from diffusion_notes.equations.language.lexer import tokenise
from diffusion_notes.equations.language.normalisation import bracket_depths, classified, pair_brackets
from diffusion_notes.equations.language.splitting import is_worded, split
from diffusion_notes.equations.language.syntax_tree import (
    DOT,
    Index,
    Node,
    NotUnderstood,
    Place,
    Range,
    Symbol,
    componentwise,
)
from diffusion_notes.equations.language.tokens import MOST, Token

__all__ = ["Display", "Statement", "read", "read_expression", "read_whole"]


@dataclass
class Statement:
    """One statement of a display.

    Args:
        sides: The expressions, from left to right; the first is `None` if the statement goes on from before.
        relations: What stands between them.
        kind: `relation`, `draw` (`x ~ q(x)`), `range` (`t = 1, …, T`), `limit` (`κ_t → 0`), or `unread`. A side of a
            relation that could not be read is a node of that kind, with the reason for its value.
        latex: The statement as it was written, without the spacing around it.
        place: Where it stands in the display.
        why: What of an unread statement is not understood.
        cuts: Where its relations stand in the display, if it is a chain.
        tied: Whether it is said to hold where another one does, as in a = b ⟺ c = d, and only there.
    """

    sides: list[Node | None]
    relations: list[str]
    kind: str
    latex: str
    place: Place
    why: NotUnderstood | None = None
    cuts: list[Place] = field(default_factory=list)
    tied: bool = False

    @property
    def expressions(self) -> list[Node]:
        """The sides that are written out."""
        return [side for side in self.sides if side is not None]

    @property
    def doubts(self) -> list[NotUnderstood]:
        """What is not understood in it."""
        unread = [side.value for side in self.expressions if side.kind == "unread"]
        return [self.why, *unread] if self.why else unread


@dataclass
class Display:
    """A displayed equation, read: its statements, its tag, and what its braces name."""

    statements: list[Statement]
    tag: str = ""
    named: list[Statement] = field(default_factory=list)


def read(latex: str) -> Display:
    """Read a displayed equation.

    Args:
        latex: What stands between the dollars.

    Returns:
        Its statements, in order. What cannot be read is among them, as a statement or a side of the kind `unread`.

    Raises:
        NotUnderstood: If its statements cannot be told apart.
    """
    found, tag, named = tokenise(latex)
    statements = [_read(tokens, latex) for tokens in split(_paired(found))]
    if not statements:
        raise NotUnderstood("an empty display")
    labels = [label for name, what in named if (label := _named(latex, name, what))]
    return Display(statements, tag, labels)


def _paired(tokens: list[Token]) -> list[Token]:
    """The tokens with their brackets paired; where that cannot be, line by line, if some of the lines can be read."""
    try:
        return pair_brackets(tokens)
    except NotUnderstood:
        paired = [_paired_line(line) for line in _lines(tokens)]
        if all(line[-1:] and line[-1].kind == "UNREAD" for line in paired):
            raise
        return [token for line in paired for token in line]


def _lines(tokens: list[Token]) -> list[list[Token]]:
    """The lines of a display, each but the first with the mark that begins it."""
    starts = [0, *(i for i, token in enumerate(tokens) if token.kind == "NEWLINE"), len(tokens)]
    return [tokens[a:b] for a, b in pairwise(starts) if a < b]


def _paired_line(line: list[Token]) -> list[Token]:
    """A line with its brackets paired, or one token in its place that says why it is not read."""
    try:
        return pair_brackets(line)
    except NotUnderstood as why:
        return [*line[: line[0].kind == "NEWLINE"], Token("UNREAD", why, (line[0].place[0], line[-1].place[1]))]


def read_whole(latex: str) -> Display:
    """Read a displayed equation of which all has to be read.

    Args:
        latex: What stands between the dollars.

    Raises:
        NotUnderstood: If any part of it is not in the book's notation.
    """
    display = read(latex)
    for statement in (*display.statements, *display.named):
        for why in statement.doubts:
            raise why
    return display


def read_expression(latex: str) -> Node:
    """Read an expression, without a relation in it.

    Args:
        latex: The expression.

    Raises:
        NotUnderstood: If any part of it is not in the book's notation.
    """
    return _parse(expand_ellipses(pair_brackets(tokenise(latex)[0])))


DIMENSIONS = (Symbol("D"), Symbol("J"), Symbol("d"))
"""What the number of components is called."""


def _named(latex: str, name: Place, what: Place) -> Statement | None:
    """What a brace says: that its name is what it holds, or a relation that this is in; words say nothing."""
    label, inner = (latex[slice(*place)] for place in (name, what))
    named = [token for token in _tokens_of(latex, name) if not is_worded(token)]
    if not named:
        return None
    held = _side(_tokens_of(latex, what), what)
    if named[0].kind == "REL" and named[0].value in ("=", ":=") and [token.kind for token in named[1:]] == ["SYMBOL"]:
        named = named[1:]
        label = latex[slice(*named[0].place)]
    if named[0].kind == "REL":  # as in \underbrace{…}_{\ge 0}
        return Statement([held, _side(named[1:], name)], [named[0].value], "relation", f"{inner} {label}", what)
    return Statement([_side(named, name), held], ["="], "relation", f"{label} = {inner}", what)


def _tokens_of(latex: str, place: Place) -> list[Token]:
    """The tokens of a part of a display, with their places in the display."""
    start = place[0]
    try:
        found = pair_brackets(tokenise(latex[slice(*place)])[0])
    except NotUnderstood as why:
        return [Token("UNREAD", _moved(why, start, place), place)]
    return [_token_moved(token, start) for token in found]


def _token_moved(token: Token, by: int) -> Token:
    place = (token.place[0] + by, token.place[1] + by)
    value = _moved(token.value, by, place) if isinstance(token.value, NotUnderstood) else token.value
    return replace(token, value=value, place=place)


def _moved(why: NotUnderstood, by: int, otherwise: Place) -> NotUnderstood:
    """The same doubt about what stands further on."""
    return NotUnderstood(why.why, (why.place[0] + by, why.place[1] + by) if why.place else otherwise)


# What a statement says


def _read(tokens: list[Token], latex: str) -> Statement:
    """What some tokens say, or that it is not understood."""
    place = (min(token.place[0] for token in tokens), max(token.place[1] for token in tokens))
    text = latex[slice(*place)].strip()
    said = [token for token in tokens if token.kind != "IMPLIES"]
    try:
        return replace(_statement(said, text, place), tied=len(said) < len(tokens))
    except NotUnderstood as why:
        return Statement([], [], "unread", text, place, why if why.place else NotUnderstood(why.why, place))


def _statement(tokens: list[Token], text: str, place: Place) -> Statement:
    if [token.kind for token in tokens[-6:]] == ["REL", "LP", "NUMBER", "COMMA", "NUMBER", "RP"]:
        tokens = expand_ellipses(tokens)
    depths = bracket_depths(tokens)
    outside = [token.kind if depth == 0 else "" for token, depth in zip(tokens, depths, strict=True)]
    cuts = [i for i, kind in enumerate(outside) if kind == "REL"]
    if tokens[0].kind == "DIFFERENTIAL" and cuts == [1]:
        return _motion(tokens, text, place)
    if _is_between(tokens, cuts):
        tokens, cuts = _between(tokens)
    elif len(cuts) == 1 and tokens[cuts[0]].value == r"\in":
        return _range([*tokens[: cuts[0] + 1], *_members(tokens[cuts[0] + 1 :], place)], cuts, text, place)
    if "SIM" in outside and not cuts:
        return _draw(tokens, outside.index("SIM"), text, place)
    if "TO" in outside and not cuts:
        return _limit(tokens, outside.index("TO"), text, place)
    if _is_listed(outside):
        return _range(tokens, cuts, text, place)
    if not cuts:
        _check_read(tokens)
        raise NotUnderstood("no relation in it: nothing is said", place)
    pieces = [tokens[a + 1 : b] for a, b in zip([-1, *cuts], [*cuts, len(tokens)], strict=True)]
    pieces, signs = _without_pauses(pieces, [tokens[i] for i in cuts])
    beside = [sign.place for sign in (signs[0], *signs)]
    sides = [
        _side(piece, there) if piece or i else None for i, (piece, there) in enumerate(zip(pieces, beside, strict=True))
    ]
    relations = [sign.value for sign in signs]
    return Statement(sides, relations, "relation", text, place, cuts=[sign.place for sign in signs])


def _is_between(tokens: list[Token], cuts: list[int]) -> bool:
    r"""Whether a number is said to be between two: $\beta_t \in (0, 1)$; of a step it would be a range."""
    kinds = [token.kind for token in tokens[1:]]
    told = cuts == [1] and tokens[1].value == r"\in" and tokens[0].kind == "SYMBOL" and tokens[0].value != Symbol("t")
    return told and kinds in (["REL", a, "NUMBER", "COMMA", "NUMBER", b] for a, b in (("LP", "RP"), ("LB", "RB")))


def _between(tokens: list[Token]) -> tuple[list[Token], list[int]]:
    r"""The same as a chain, $0 < \beta_t < 1$; of all of $\beta_1, \dots, \beta_T$ it is said of each."""
    variable, sign, bracket, low, _, high, _ = tokens
    if variable.value.index == Range(Index(None, 1), Index("T")):
        variable = replace(variable, value=replace(variable.value, index=Index("t")))
    below = replace(sign, value=r"\lt" if bracket.kind == "LP" else r"\le")
    return [low, below, variable, below, high], [1, 3]


def _without_pauses(pieces: list[list[Token]], signs: list[Token]) -> tuple[list[list[Token]], list[Token]]:
    r"""The sides of a chain and its signs without dots for steps that are not shown, as in $a = \dots = b$."""
    for at in range(1, len(pieces)):
        if [token.kind for token in pieces[at]] != ["DOTS"]:
            continue
        before, *after = signs[at - 1 : at + 1]
        if after and after[0].value == before.value:
            joined = replace(before, place=(before.place[0], after[0].place[1]))
            return _without_pauses(pieces[:at] + pieces[at + 1 :], [*signs[: at - 1], joined, *signs[at + 1 :]])
        if not after and at > 1:
            return pieces[:at], signs[:-1]
    return pieces, signs


def _side(tokens: list[Token], otherwise: Place) -> Node:
    """The tree of one side of a relation, or a node that says why there is none; without tokens it is `otherwise`."""
    place = (tokens[0].place[0], tokens[-1].place[1]) if tokens else otherwise
    try:
        return _parse(expand_ellipses(tokens))
    except NotUnderstood as why:
        return Node("unread", (), why if why.place else NotUnderstood(why.why, place), place)


def _is_listed(kinds: list[str]) -> bool:
    """Whether dots stand in a list of numbers: t = 1, …, T; or beside one number alone."""
    beside = [kinds[max(at - 2, 0) : at + 2] for at, kind in enumerate(kinds) if kind == "DOTS"]
    bare = kinds[1:4] == ["REL", "NUMBER", "DOTS"]
    return bare or any("COMMA" in around and "DIFFERENTIAL" not in around for around in beside)


def _limit(tokens: list[Token], at: int, text: str, place: Place) -> Statement:
    r"""What goes to zero, as in $\kappa_t \to 0$."""
    if [token.kind for token in tokens] != ["SYMBOL", "TO", "NUMBER"] or tokens[-1].value != "0" or at != 1:
        raise NotUnderstood("a limit is read as \\kappa_t \\to 0", place)
    return Statement([_parse(tokens[:1]), _parse(tokens[2:])], [r"\to"], "limit", text, place)


def _motion(tokens: list[Token], text: str, place: Place) -> Statement:
    """A differential equation, dx = f dt, or dx = f dt + g dw: its two factors, and whether time runs back (dw̄)."""
    depths = bracket_depths(tokens)
    ends = [i for i, token in enumerate(tokens) if i > 1 and token.kind == "DIFFERENTIAL" and not depths[i]]
    over = [tokens[i].value for i in ends]
    kinds = [token.kind for i, token in enumerate(tokens) if not depths[i]]
    signs = [kinds[i] for i in range(3, len(kinds)) if kinds[i] in ("PLUS", "MINUS")]
    noise = {Symbol("w", accent, index) for accent in ("", "bar") for index in (None, Index("t"))}
    if tokens[1].value != "=" or not ends or ends[-1] != len(tokens) - 1 or len(signs) != len(ends) - 1:
        raise NotUnderstood("a differential equation is read as dx = (…) dt + (…) dw", place)
    if over[0] not in (Symbol("t"), Symbol("h")) or len(over) > 2 or (len(over) == 2 and over[1] not in noise):
        raise NotUnderstood("a differential equation is read as dx = (…) dt + (…) dw", place)
    parts = [_factor(tokens[a + 1 : b]) for a, b in zip([1, *ends], ends, strict=False)]
    moved = Node("moved", (), (tokens[0].value,), tokens[0].place)
    backward = len(over) == 2 and over[1].accent == "bar"
    motion = Node("motion", tuple(parts), (over[0], Symbol("backward" if backward else "forward")), place)
    return Statement([moved, motion], ["="], "relation", text, place)


def _factor(tokens: list[Token]) -> Node:
    """What stands before a differential; nothing, or a sign alone, is a one."""
    if all(token.kind in ("PLUS", "MINUS") for token in tokens):
        tokens = [*tokens, Token("NUMBER", "1", tokens[-1].place if tokens else (0, 0))]
    return _parse(tokens)


def _draw(tokens: list[Token], at: int, text: str, place: Place) -> Statement:
    """What is drawn from a law, as in ε ~ N(0, I); the law of one variable given another is a relation."""
    drawn = _parse(expand_ellipses(tokens[:at]), "drawn_or_expr")
    law = _parse(expand_ellipses(tokens[at + 1 :]), "law")
    if drawn.kind == "conditional":
        return Statement([_conditional_density(drawn), law], ["="], "relation", text, place)
    return Statement([drawn, law], ["~"], "draw", text, place)


def _conditional_density(drawn: Node) -> Node:
    """The density of a variable given others: of p if all of them are above it, else of q."""
    (symbol,) = drawn.value
    height = _height(symbol)
    above = [_height(other) > height for other in drawn.parts[0].value]
    return Node("density", drawn.parts, (Symbol("p" if all(above) else "q"), symbol), drawn.place)


def _height(symbol: Symbol) -> int:
    """How far up the chain a variable stands: x, z; x_0, x_{t-1}, x_t, x_T; z_1, z_2."""
    if symbol.index is None:
        return {"x": 0, "z": 1}.get(symbol.base, 0)
    if not isinstance(symbol.index, Index):
        raise NotUnderstood(f"the law of {symbol.name}, one variable at a time")
    return {None: 0, "t": 1000, "T": 2000}.get(symbol.index.letter, 0) + symbol.index.plus


def _members(tokens: list[Token], place: Place) -> list[Token]:
    r"""What a set holds, as a list with dots: that of $\{1, \dots, T\}$, and the steps in $[1, T]$."""
    kinds = [token.kind for token in tokens]
    if kinds[:1] + kinds[-1:] == ["LB", "RB"] and kinds.count("COMMA") == 1 and "DOTS" not in kinds:
        comma = tokens[kinds.index("COMMA")]
        tokens = [*tokens[: kinds.index("COMMA")], comma, replace(comma, kind="DOTS"), *tokens[kinds.index("COMMA") :]]
    elif kinds[:1] + kinds[-1:] not in (["LC", "RC"], ["LB", "RB"]):
        raise NotUnderstood("a set is read as \\{1, \\dots, T\\}", place)
    return tokens[1:-1]


def _range(tokens: list[Token], cuts: list[int], text: str, place: Place) -> Statement:
    """A range of steps, as in t = 1, …, T, or down from T to 1; or with the second number as well; or in braces."""
    kinds = [token.kind for token in tokens]
    if len(cuts) != 1 or tokens[cuts[0]].value not in ("=", r"\in") or kinds.count("DOTS") != 1:
        raise NotUnderstood("dots are read only in a range: t = 2, \\dots, T", place)
    dots = kinds.index("DOTS")
    first = tokens[cuts[0] + 1 : dots - (kinds[dots - 1] == "COMMA")]
    two = [token.kind for token in first] == ["NUMBER", "COMMA", "NUMBER"]
    if two and int(first[2].value) == int(first[0].value) + 1:
        first = first[:1]
    last = tokens[dots + 1 + (kinds[dots + 1 : dots + 2] == ["COMMA"]) :]
    ends = [_parse(first), _parse(last)]
    if ends[1].kind == "number" and ends[0].kind != "number":
        ends.reverse()
    return Statement([_parse(tokens[: cuts[0]]), *ends], ["=", "…"], "range", text, place)


# The tree of an expression


def _parse(tokens: list[Token], start: str = "expr") -> Node:
    """The tree of some tokens.

    Args:
        tokens: The tokens of an expression, or of a law.
        start: What it is: a rule of the grammar.

    Raises:
        NotUnderstood: If it is not in the grammar.
    """
    if not tokens:
        raise NotUnderstood("one side is empty")
    _check_read(tokens)
    if len(tokens) > MOST:
        place = (tokens[0].place[0], tokens[-1].place[1])
        raise NotUnderstood(f"{len(tokens)} letters and signs, of which no more than {MOST} are read", place)
    tokens = classified(tokens)
    try:
        return _TreeBuilder().transform(_grammar().parse(tokens, start))  # type: ignore[arg-type] # tokens for text
    except UnexpectedToken as error:
        token = getattr(error, "token", None)
        at = token.line if token is not None and token.type != "$END" else None
        raise not_expected(tokens, at, error.accepts) from None
    except VisitError as error:
        raise error.orig_exc from None


def _check_read(tokens: list[Token]) -> None:
    """Nothing is made of what is not understood."""
    for token in tokens:
        if token.kind == "UNREAD":
            raise token.value


@cache
def _grammar() -> Lark:
    grammar = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=_Tokens, start=["expr", "drawn_or_expr", "law"], propagate_positions=True)


class _Tokens(Lexer):
    """Lark reads tokens that are tokens already."""

    def __init__(self, conf: object) -> None:
        pass

    def lex(self, tokens: list[Token]) -> Iterator[lark.Token]:  # type: ignore[override] # what a lexer of one's own gets
        for line, token in enumerate(tokens):  # what Lark takes for a line says which of them it is
            yield lark.Token(token.kind, token.value, start_pos=token.place[0], end_pos=token.place[1], line=line)


Children = list[Any]
"""Below a rule of the grammar: nodes, and Lark's tokens, whose value is that of ours."""

APART = ("log", "gradient", "integral", "expectation")
"""Before what a logarithm ends: log a log b is a product, and so is log a ∫ b dz."""

KEPT = ("SYMBOL", "LAW", "FUNCTION", "DIFFERENTIAL", "NUMBER", "MUTUAL", "DOTS")


@v_args(meta=True)
class _TreeBuilder(Transformer):
    """Makes a node of every rule of the grammar: by the method of its name, or by `__default__`."""

    def __default__(self, data: object, children: Children, meta: Meta) -> Node:
        told = [child for child in children if isinstance(child, lark.Token) and child.type in KEPT]
        kept = tuple(Symbol("dots") if token.type == "DOTS" else token.value for token in told)
        return Node(str(data), _nodes(children), kept, _place(meta))

    def same(self, meta: Meta, children: Children) -> Node:
        return children[-1]

    def number(self, meta: Meta, children: Children) -> Node:
        return Node("number", (), children[0].value, _place(meta))

    def symbol(self, meta: Meta, children: Children) -> Node:
        return Node("symbol", (), children[0].value, _place(meta))

    def beside(self, meta: Meta, children: Children) -> Node:
        left, right = children
        _check_reach(left, right)
        if left.kind == "div":
            raise NotUnderstood("a/b c may be a/(bc) or (a/b) c: use a fraction, or brackets", right.place)
        if right.kind == "number" or (right.kind == "power" and right.parts[0].kind == "number"):
            raise NotUnderstood("a number after another factor: write the number first, or \\cdot", right.place)
        return Node("mul", (left, right), None, _place(meta))

    def times(self, meta: Meta, children: Children) -> Node:
        left, sign, right = children
        _check_reach(left, right)
        return Node("mul", (left, right), "dot" if sign.value else (), _place(meta))

    def mul(self, meta: Meta, children: Children) -> Node:
        _check_reach(*children)
        return self.__default__("mul", children, meta)

    def total(self, meta: Meta, children: Children) -> Node:
        kind, _, _, letter, relation, *rest = children
        parts = _nodes(rest)
        if relation.value == "=" and _runs_down(parts):
            parts = (*parts[1].parts, replace(parts[1], parts=parts[:1]), parts[2])
        if any(isinstance(part, lark.Token) and part.type == "MINUS" for part in rest):
            if kind.type == "PROD":
                raise NotUnderstood("a product of negatives: put brackets", _place(meta))
            parts = (*parts[:-1], Node("neg", parts[-1:], None, parts[-1].place))
        if len(parts) == 3 and parts[1].parts[0].value in DIMENSIONS:
            parts = (*parts[:-1], componentwise(parts[-1], letter.value.base))
        return Node("total", parts, (kind.type, letter.value, relation.value), _place(meta))

    def from_one(self, meta: Meta, children: Children) -> Node:
        kind, _, _, letter, *rest = children
        first = Node("number", (), "1", _place(meta))
        return Node("total", (first, *_nodes(rest)), (kind.type, letter.value, "="), _place(meta))

    def given(self, meta: Meta, children: Children) -> Node:
        """What is given; of x_0 = x̂_0 what stands last."""
        told: list[Symbol] = []
        for child in children:
            if child.type == "REL":
                replaced = told.pop()
                if child.value != "=" or replace(children[-1].value, accent=replaced.accent) != replaced:
                    raise NotUnderstood("a value for a variable that is given is read as x_0 = \\hat x_0", _place(meta))
            else:
                told.append(child.value)
        return Node("given", (), tuple(told), _place(meta))

    def summed(self, meta: Meta, children: Children) -> Node:
        """A sum over an index that says no more goes over all components, where there are some."""
        letter = next(child.value for child in children if isinstance(child, lark.Token) and child.type == "SYMBOL")
        body = _nodes(children)[-1]
        inside = componentwise(body, letter.base)
        if inside == body:
            return self.__default__("summed", children, meta)
        one, last = Node("number", (), "1"), Node("symbol", (), DIMENSIONS[0])
        return Node("total", (one, Node("raised", (last,), ()), inside), ("SUM", letter, "="), _place(meta))

    def indicator(self, meta: Meta, children: Children) -> Node:
        relation = next(child for child in children if isinstance(child, lark.Token) and child.type == "REL")
        return Node("indicator", _nodes(children), relation.value, _place(meta))

    def integral(self, meta: Meta, children: Children) -> Node:
        count, named = children[0].value
        differentials = [child for child in children[1:] if isinstance(child, lark.Token)]
        over = tuple(token.value for token in differentials if token.type == "DIFFERENTIAL")
        parts = _nodes(children)
        if not over:
            over, body = _over_both(parts[-1])
            parts = (*parts[:-1], body)
        if count not in (1, len(over)) or (named and set(named) != set(over)):
            raise NotUnderstood("the integrals and their differentials do not belong together", _place(meta))
        return Node("integral", parts, over, _place(meta))

    def gradient(self, meta: Meta, children: Children) -> Node:
        inner = _nodes(children)[0]
        if inner is children[-1] and inner.kind == "mul" and inner.parts[0].kind == "log":
            raise NotUnderstood("does the gradient take all that follows? Put brackets", inner.place)
        return self.__default__("gradient", children, meta)

    def outflow(self, meta: Meta, children: Children) -> Node:
        return self._of_all("outflow", meta, children)

    def laplacian(self, meta: Meta, children: Children) -> Node:
        return self._of_all("laplacian", meta, children)

    def rate(self, meta: Meta, children: Children) -> Node:
        prefix = isinstance(children[-1], Node)  # d/dt before what changes
        return self._of_all("rate", meta, children) if prefix else self.__default__("rate", children, meta)

    def _of_all(self, kind: str, meta: Meta, children: Children) -> Node:
        """A derivative of all that follows, which is one thing: ∇·ab may be (∇·a) b."""
        inner = children[-1]
        if inner.kind in ("mul", "div"):
            raise NotUnderstood("is the derivative that of all that follows? Put brackets", inner.place)
        return self.__default__(kind, children, meta)

    def optimum(self, meta: Meta, children: Children) -> Node:
        """Where something is smallest; where it is largest, its negative is."""
        body = children[-1]
        if any(isinstance(child, lark.Token) and child.type == "ARGMAX" for child in children):
            body = Node("neg", (body,), None, body.place)
        letters = tuple(child.value for child in children if isinstance(child, lark.Token) and child.type == "SYMBOL")
        return Node("optimum", (body,), letters, _place(meta))

    def uncertainty(self, meta: Meta, children: Children) -> Node:
        groups = (group.value for group in _nodes(children[1:]))
        return Node("uncertainty", (), tuple(groups), _place(meta))

    def drawn(self, meta: Meta, children: Children) -> Node:
        """A variable and its law; in the law a dot may stand for it."""
        variable, _, law = children
        if law.kind == "density" and law.value[1:] == (DOT,):
            law = replace(law, value=(law.value[0], variable.value))
        return Node("drawn", (law,), (variable.value,), _place(meta))

    def mutual(self, meta: Meta, children: Children) -> Node:
        groups = (group.value for group in _nodes(children[1:]))
        return Node("mutual", (), (children[0].value, *groups), _place(meta))

    def wave(self, meta: Meta, children: Children) -> Node:
        return Node("wave", (children[1],), children[0].type, _place(meta))

    def log(self, meta: Meta, children: Children) -> Node:
        sign, inner = children
        if inner.kind == "mul" and any(factor.kind in APART for factor in _factors(inner)[1:]):
            first = self.log(meta, [sign, inner.parts[0]])
            return Node("mul", (first, inner.parts[1]), None, _place(meta))
        if _is_mixed(inner):
            raise NotUnderstood("does the logarithm take all that follows? Put brackets", inner.place)
        return Node("log", (inner,), None, _place(meta))


def _place(meta: Meta) -> Place:
    return meta.start_pos, meta.end_pos


def _nodes(children: Children) -> tuple[Node, ...]:
    return tuple(child for child in children if isinstance(child, Node))


def _check_reach(left: Node, right: Node) -> None:
    """What follows a differential is no part of its integral, so it must not speak of what that is over."""
    while left.kind == "mul":
        left = left.parts[-1]
    mine = {symbol for symbol in left.value if left.kind == "integral"} if left.kind == "integral" else set()
    for symbol in (symbol for node in right.walk() for symbol in node.symbols()):
        if any(_may_be(symbol, other) for other in mine):
            raise NotUnderstood("does the integral reach beyond its differential? Put that last", right.place)


def _may_be(one: Symbol, other: Symbol) -> bool:
    """Whether two letters may name the same variable: they are equal, or one is a range."""
    ranges = isinstance(one.index, Range) or isinstance(other.index, Range)
    return one == other or (one.base == other.base and ranges)


def _over_both(node: Node) -> tuple[tuple[Symbol, ...], Node]:
    """The variables of ∫ p(x) ∫ p(z|x) dz dx, in which all differentials stand last, and what is integrated over them.

    Args:
        node: What the first of the integrals takes.
    """
    if node.kind == "integral" and len(node.value) > 1 and len(node.parts) == 1:
        return node.value, node.parts[0]
    if node.kind != "mul":
        raise NotUnderstood("an integral without its differential", node.place)
    over, last = _over_both(node.parts[-1])
    return over, replace(node, parts=(*node.parts[:-1], last))


def _runs_down(parts: tuple[Node, ...]) -> bool:
    """Whether a sum or a product begins with its highest member, as a product over t from T down to 1."""
    if len(parts) != 3 or parts[1].kind != "raised":
        return False
    first, last = (parts[0], parts[1].parts[0])
    return last.kind == "number" and any(node.kind == "symbol" for node in first.walk())


def _factors(node: Node) -> list[Node]:
    return [factor for part in node.parts for factor in _factors(part)] if node.kind == "mul" else [node]


def _is_mixed(node: Node) -> bool:
    """Densities beside plain factors: does log p(x) w mean the logarithm of both?"""
    kinds = {factor.kind for factor in _factors(node)}
    return bool(kinds & {"density", "normal"}) and bool(kinds & {"symbol", "number", "call", "power", "group", "sqrt"})
