r"""What bars and brackets mean by what stands in them and around them.

A bar parts a variable from what it is given, two bars part the laws of a divergence, or they are an absolute value and
a norm. $N(\mu, \Sigma)$ is a normal law, $D(q \| p)$ a divergence, $\langle f \rangle_q$ an expectation, whatever type
their letters are set in.
"""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.language.normalisation import CLOSER, OPERATORS
from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Symbol
from diffusion_notes.equations.language.tokens import Token, kind_at

__all__ = ["bracketed"]

ROUND = ("LP", "LB", "LC")
SINGLE = {"LABS": "MID", "RABS": "MID", "LNORM": "BARS", "RNORM": "BARS"}
"""What the side of a bar says where it has no partner: nothing."""

BEFORE_TERM = (*OPERATORS, *CLOSER, "", "REL", "SIM", "COMMA", "SEMI", "LOG", "NEWLINE", "QUAD", "IMPLIES", "DET", "TO")
"""After what a term begins."""

CAPITALS = {"P": "p", "bbP": "p", "Q": "q", "bbQ": "q"}
"""The laws, where they are written as those of events."""

PARAMETERS = (Symbol("theta"), Symbol("phi"))
"""What a law has for its parameters."""

DIVERGING = {Symbol(base) for base in ("D", "calD", "bbD")}


def bracketed(tokens: list[Token]) -> list[Token]:
    """The same, with bars and brackets that say what they mean.

    Args:
        tokens: The tokens of a display.
    """
    tokens = _sided(tokens)
    tokens = _absolute_values(tokens)
    for rule in (
        _divergence,
        _parted,
        _probability,
        _parametric,
        _drawn,
        _law,
        _indicator,
        _expectation,
        _power,
        _mark,
    ):
        at = 0
        while at < len(tokens):
            tokens = rule(tokens, at)
            at += 1
    return tokens


def _closed(tokens: list[Token], start: int) -> int | None:
    """Where the bracket is closed that opens at `start`, if it is."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += (tokens[at].kind in CLOSER) - (tokens[at].kind in CLOSER.values())
        if not depth:
            return at if CLOSER[tokens[start].kind] == tokens[at].kind else None
    return None


def _separators(tokens: list[Token], start: int, end: int) -> list[int]:
    """Where bars, commas and the like stand between two brackets and in no brackets between them."""
    depth = 0
    found = []
    for at in range(start + 1, end):
        depth += (tokens[at].kind in CLOSER) - (tokens[at].kind in CLOSER.values())
        if not depth and tokens[at].kind in ("BARS", "MID", "COMMA", "SEMI", "COLON"):
            found.append(at)
    return found


# Bars


def _sided(tokens: list[Token]) -> list[Token]:
    """The same, where a bar drawn as a left or a right one that has no partner is a bar, and two of one are a norm."""
    result = list(tokens)
    pairs: list[tuple[int, int]] = []
    stack: list[int] = []
    for at, token in enumerate(tokens):
        if token.kind in CLOSER:
            stack.append(at)
        elif token.kind in CLOSER.values():
            while stack and CLOSER[tokens[stack[-1]].kind] != token.kind and tokens[stack[-1]].kind in SINGLE:
                _be_bar(result, stack.pop())
            if stack and CLOSER[tokens[stack[-1]].kind] == token.kind:
                pairs.append((stack.pop(), at))
            elif token.kind in SINGLE:
                _be_bar(result, at)
            elif stack:
                stack.pop()
    for at in stack:
        if tokens[at].kind in SINGLE:
            _be_bar(result, at)
    return _doubled(result, pairs)


def _be_bar(tokens: list[Token], at: int) -> None:
    tokens[at] = replace(tokens[at], kind=SINGLE[tokens[at].kind])


def _doubled(tokens: list[Token], pairs: list[tuple[int, int]]) -> list[Token]:
    """The same, with a norm for two absolute values of which one is all that the other holds; one sign for two bars."""
    absolute = {pair for pair in pairs if tokens[pair[0]].kind == "LABS"}
    gone: set[int] = set()
    for start, end in absolute:
        if (start + 1, end - 1) in absolute:
            gone |= {start + 1, end - 1}
            tokens[start] = replace(tokens[start], kind="LNORM")
            tokens[end] = replace(tokens[end], kind="RNORM")
    result: list[Token] = []
    for at, token in enumerate(tokens):
        if at in gone:
            continue
        if token.kind == "MID" and kind_at(result, len(result) - 1) == "MID":
            result[-1] = Token("BARS", None, (result[-1].place[0], token.place[1]))
        else:
            result.append(token)
    return result


def _absolute_values(tokens: list[Token]) -> list[Token]:
    """The same, where a bar at which a term should begin opens an absolute value, and so does a bar in no brackets."""
    result = list(tokens)
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.kind in ROUND) - (token.kind in [CLOSER[kind] for kind in ROUND])
        if result[at].kind == "MID" and (kind_at(result, at - 1) in BEFORE_TERM or not depth):
            end = _next_bar(result, at)
            if end is not None:
                result[at] = replace(token, kind="LABS")
                result[end] = replace(result[end], kind="RABS")
    return result


def _next_bar(tokens: list[Token], start: int) -> int | None:
    """The bar that closes what a bar opens: the next one behind a term, in the same brackets."""
    depth = 0
    for at in range(start + 1, len(tokens)):
        depth += (tokens[at].kind in CLOSER) - (tokens[at].kind in CLOSER.values())
        if depth < 0 or tokens[at].kind in ("REL", "NEWLINE", "QUAD"):
            return None
        if not depth and tokens[at].kind == "MID":
            return at if tokens[at - 1].kind not in BEFORE_TERM else None
    return None


# Letters that their brackets tell


def _divergence(tokens: list[Token], at: int) -> list[Token]:
    """A divergence, whatever parts its laws: bars, one bar, a comma, a semicolon or a colon."""
    token = tokens[at]
    plain = token.kind == "SYMBOL" and token.value in DIVERGING
    end = _closed(tokens, at + 1) if kind_at(tokens, at + 1) in ROUND else None
    if end is None or not (plain or token.kind == "KL"):
        return tokens
    found = _separators(tokens, at + 1, end)
    double = [i for i in found if tokens[i].kind == "BARS"]
    if len(double) == 1 and plain:
        return [*tokens[:at], replace(token, kind="KL", value=None), *tokens[at + 1 :]]
    if plain or double or len(found) != 1:
        return tokens
    (middle,) = found
    return [*tokens[:middle], replace(tokens[middle], kind="BARS"), *tokens[middle + 1 :]]


def _parted(tokens: list[Token], at: int) -> list[Token]:
    """Brackets in which one double bar stands alone: it parts laws, or variables of a law, and is no norm."""
    end = _closed(tokens, at) if tokens[at].kind in ROUND else None
    if end is None:
        return tokens
    double = [i for i in _separators(tokens, at, end) if tokens[i].kind == "BARS"]
    if len(double) != 1:
        return tokens
    (middle,) = double
    law = at > 0 and tokens[at - 1].kind == "SYMBOL" and tokens[at - 1].value.base in ("p", "q")
    return [*tokens[:middle], replace(tokens[middle], kind="MID" if law else "PAR"), *tokens[middle + 1 :]]


def _probability(tokens: list[Token], at: int) -> list[Token]:
    """A density by a capital letter, as in P(x | z), in KL(Q || P) and below an expectation."""
    token = tokens[at]
    if token.kind != "SYMBOL" or token.value.base not in CAPITALS:
        return tokens
    before, after = kind_at(tokens, at - 1), kind_at(tokens, at + 1)
    averaged = (before, after) == ("OPEN", "CLOSE") and kind_at(tokens, at - 3) == "E"
    if after != "LP" and before not in ("SIM", "PAR") and after != "PAR" and not averaged:
        return tokens
    law = replace(token.value, base=CAPITALS[token.value.base])
    return [*tokens[:at], replace(token, value=law), *tokens[at + 1 :]]


def _parametric(tokens: list[Token], at: int) -> list[Token]:
    r"""A law with its parameters in its brackets: $p(x; \theta)$ and $p(x \mid z, \theta)$ are of $p_\theta$."""
    token = tokens[at]
    if token.kind != "SYMBOL" or token.value not in (Symbol("p"), Symbol("q")) or kind_at(tokens, at + 1) != "LP":
        return tokens
    end = _closed(tokens, at + 1)
    last = end - 1 if end else 0
    if kind_at(tokens, last - 1) not in ("SEMI", "COMMA", "MID") or tokens[last].value not in PARAMETERS:
        return tokens
    if kind_at(tokens, last - 1) == "COMMA" and not any(tokens[i].kind == "MID" for i in range(at, last)):
        return tokens  # the density of both
    law = replace(token, value=replace(token.value, label=tokens[last].value.base))
    return [*tokens[:at], law, *tokens[at + 1 : last - 1], *tokens[last + 1 :]]


def _drawn(tokens: list[Token], at: int) -> list[Token]:
    r"""A law of what is drawn from it, where a dot stands for that: $z \sim q(\cdot \mid x)$; or its index does."""
    kinds = [kind_at(tokens, at + i) for i in range(5)]
    if kinds == ["SYMBOL", "SIM", "SYMBOL", "LP", "TIMES"]:
        return [*tokens[: at + 4], tokens[at], *tokens[at + 5 :]]
    below = kinds[:3] == ["SYMBOL", "BELOW", "OPEN"] and tokens[at].value == Symbol("calN")
    end = _closed(tokens, at + 2) if below else None
    if end is None or kind_at(tokens, end + 1) not in ROUND:
        return tokens
    variable = [*tokens[at + 3 : end], replace(tokens[end], kind="SEMI", value=None)]
    return [*tokens[: at + 1], tokens[end + 1], *variable, *tokens[end + 2 :]]


def _power(tokens: list[Token], at: int) -> list[Token]:
    r"""A power of a function behind its argument: $\cos^2(x)$ is $\cos(x)^2$."""
    kinds = [kind_at(tokens, at + i) for i in range(1, 5)]
    if tokens[at].kind not in ("COS", "SIN") or kinds != ["POWER", "OPEN", "NUMBER", "CLOSE"]:
        return tokens
    start = at + 5
    end = _closed(tokens, start) if kind_at(tokens, start) in ROUND else start
    if end is None or kind_at(tokens, start) not in (*ROUND, "SYMBOL"):
        return tokens
    return [*tokens[: at + 1], *tokens[start : end + 1], *tokens[at + 1 : start], *tokens[end + 1 :]]


def _mark(tokens: list[Token], at: int) -> list[Token]:
    """A mark like (**), which stands for what is said elsewhere: = (**) says nothing more, (**) = is not read."""
    if tokens[at].kind != "LP" or kind_at(tokens, at + 1) != "TIMES" or (end := _closed(tokens, at)) is None:
        return tokens
    if any(token.kind != "TIMES" or token.value for token in tokens[at + 1 : end]):
        return tokens
    if kind_at(tokens, at - 1) == "REL" and kind_at(tokens, end + 1) in ("", "NEWLINE", "QUAD"):
        return [*tokens[: at - 1], *tokens[end + 1 :]]
    place = (tokens[at].place[0], tokens[end].place[1])
    why = NotUnderstood("a mark that stands for what is said elsewhere", place)
    return [*tokens[:at], Token("UNREAD", why, place), *tokens[end + 1 :]]


def _law(tokens: list[Token], at: int) -> list[Token]:
    """A normal or a uniform law by its plain letter, or by none; its brackets, as the grammar knows them."""
    token = tokens[at]
    if token.kind == "SIM" and kind_at(tokens, at + 1) in ("LB", "LC") and (end := _closed(tokens, at + 1)):
        uniform = replace(token, kind="SYMBOL", value=Symbol("calU"))
        return [*tokens[: at + 1], uniform, *tokens[at + 1 :]] if _separators(tokens, at + 1, end) else tokens
    if token.kind != "SYMBOL" or kind_at(tokens, at + 1) not in ROUND:
        return tokens
    end = _closed(tokens, at + 1)
    if end is None:
        return tokens
    listed = any(tokens[i].kind == "COMMA" for i in _separators(tokens, at + 1, end))
    drawn = kind_at(tokens, at - 1) in ("SIM", "REL", "SYMBOL", "OPEN")
    if token.value == Symbol("N") and listed:
        token = replace(token, value=Symbol("calN"))
    elif token.value == Symbol("U") and drawn:
        token = replace(token, value=Symbol("calU"))
    if token.value == Symbol("calN"):
        return [*tokens[:at], token, *_in(tokens[at + 1 : end + 1], "LP"), *tokens[end + 1 :]]
    if token.value == Symbol("calU"):
        return [*tokens[:at], token, *_values(tokens[at + 1 : end + 1]), *tokens[end + 1 :]]
    return tokens


def _indicator(tokens: list[Token], at: int) -> list[Token]:
    r"""An indicator as $\mathbb{I}[a = b]$: what stands in its brackets is a relation."""
    if tokens[at].kind != "SYMBOL" or tokens[at].value != Symbol("I") or kind_at(tokens, at + 1) not in ROUND:
        return tokens
    end = _closed(tokens, at + 1)
    if end is None or not any(token.kind == "REL" for token in tokens[at + 1 : end]):
        return tokens
    return [*tokens[:at], replace(tokens[at], kind="INDICATOR", value=None), *tokens[at + 1 :]]


def _in(tokens: list[Token], kind: str) -> list[Token]:
    """The same in brackets of a kind."""
    return [replace(tokens[0], kind=kind), *tokens[1:-1], replace(tokens[-1], kind=CLOSER[kind])]


def _values(tokens: list[Token]) -> list[Token]:
    """The values among which a uniform law chooses, in one pair of brackets: in braces, where they are listed."""
    while len(tokens) > 2 and tokens[1].kind in ROUND and _closed(tokens, 1) == len(tokens) - 2:
        tokens = tokens[1:-1]
    return _in(tokens, "LC") if any(token.kind == "DOTS" for token in tokens) else tokens


def _expectation(tokens: list[Token], at: int) -> list[Token]:
    r"""An expectation in angles, $\langle f \rangle_q$."""
    if tokens[at].kind != "LANGLE" or (end := _closed(tokens, at)) is None or kind_at(tokens, end + 1) != "BELOW":
        return tokens
    last = _closed(tokens, end + 2)
    if last is None or any(tokens[i].kind == "COMMA" for i in _separators(tokens, at, end)):
        return tokens
    inner = _in(tokens[at : end + 1], "LB")
    return [*tokens[:at], replace(tokens[at], kind="E"), *tokens[end + 1 : last + 1], *inner, *tokens[last + 1 :]]
