"""Sequences of tokens in the one form that the grammar knows.

Three things are settled here that a grammar of one token's look-ahead cannot settle: which brackets belong together
(and so what a bar means), which habits of writing mean nothing of their own, and what a letter is: a law, a function or
a variable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffusion_notes.equations.language.syntax_tree import DOT, ESTIMATE, Index, NotUnderstood, Symbol
from diffusion_notes.equations.language.tokens import Token

__all__ = ["CLOSER", "OPERATORS", "bracket_depths", "classified", "matching_bracket", "pair_brackets"]

CLOSER = {"LP": "RP", "LB": "RB", "LC": "RC", "OPEN": "CLOSE", "LANGLE": "RANGLE", "LNORM": "RNORM", "LABS": "RABS"}
OPERATORS = ("PLUS", "MINUS", "TIMES", "SLASH")

START = Symbol("x", index=Index(None, 0))
POINT = Symbol("x", index=Index("t"))
NOISE = Symbol("eps")
THETA = Symbol("theta")
ETA = Symbol("eta")

PLAIN = {Symbol(base) for base in ("calN", "calU", "H", "I")} | {Symbol("I", label=law) for law in ("q", "p")}
LAWS = {("p", ""), ("p", "theta"), ("q", ""), ("q", "phi"), ("q", "sigma"), ("q", "w"), ("p", "phi")}
GUESS = Symbol("p", accent="tilde")
"""The law of a proposal, or of a guess at how likely an observation is."""

FUNCTIONS = {
    "O",
    "F",
    "r",
    "text CRPS",
    "tr",
    "diag",
    "g",
    "f",
    "f_phi",
    "c",
    "Phi",
    "C",
    "SNR",
    "x_theta",
    "v_theta",
    "tilde mu",
}
OF_TIME = {"beta", "bar alpha", "lambda", "kappa"}
"""What may be written as a function of time."""

CLOSING = ("PLUS", "MINUS", *CLOSER.values(), "", "COMMA", "SEMI", "MID", "PAR", "REL", "BELOW", "DIFFERENTIAL")
"""What may follow the brackets of a logarithm without a doubt about what it is taken of."""


# Brackets


def bracket_depths(tokens: list[Token]) -> list[int]:
    """How many brackets are open around each token."""
    depth = 0
    depths = []
    for token in tokens:
        depth -= token.kind in CLOSER.values()
        depths.append(depth)
        depth += token.kind in CLOSER
    return depths


def matching_bracket(tokens: list[Token], start: int) -> int:
    """Where the bracket that opens at `start` is closed."""
    depths = bracket_depths(tokens)
    return next(i for i in range(start + 1, len(tokens)) if depths[i] == depths[start])


def pair_brackets(tokens: list[Token]) -> list[Token]:
    """Every bracket with its partner; what a bar means is decided by what is open around it."""
    stack: list[_Open] = []
    result: list[Token] = []
    for at, token in enumerate(tokens):
        kind = _bar(stack) if token.kind == "BARS" else token.kind
        if kind in CLOSER:
            stack.append(_Open(CLOSER[kind], at > 0 and tokens[at - 1].kind == "KL", at))
        elif kind in CLOSER.values():
            if not stack or stack[-1].closer != kind:
                raise NotUnderstood("a bracket is closed that was not opened", token.place)
            stack.pop()
        result.append(replace(token, kind=kind))
    if stack:
        raise NotUnderstood("a bracket is never closed", tokens[stack[-1].at].place)
    return result


@dataclass
class _Open:
    """A bracket that is open: what closes it, whether a bar in it parts two laws, and where it stands."""

    closer: str
    awaits_bar: bool
    at: int


def _bar(stack: list[_Open]) -> str:
    """Whether a double bar parts the laws of a divergence, or opens or closes a norm."""
    if stack and stack[-1].awaits_bar:
        stack[-1].awaits_bar = False
        return "PAR"
    return "RNORM" if stack and stack[-1].closer == "RNORM" else "LNORM"


# Habits of writing


def _without_habits(tokens: list[Token]) -> list[Token]:
    r"""The same without habits of writing that mean nothing of their own.

    $x_t(x_0, \varepsilon)$ is $x_t$; $L(\theta)$ is $L$; $\int\int$ is one integral over two variables,
    $\int_z \dots dz$ one over $z$; $\lVert v \rVert_2$ is $\lVert v \rVert$; $\sigma_\phi^2(x)$ is $\sigma_\phi(x)^2$.
    """
    result: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        rest = tokens[at + 1 :]
        kinds = [other.kind for other in rest[:6]]
        at += 1
        if token.kind == "INT":
            integral, length = _integral(token, rest)
            result.append(integral)
            at += length
        elif found := _derivative(token, rest):
            result += found[0]
            at += found[1]
        else:
            at += _idle(token, rest)
            token, more = _of_time(token, rest)
            at += more
            result.append(token)
            if token.kind == "SYMBOL" and kinds[:1] == ["POWER"]:
                moved, length = _arguments_before_power(token.value, tokens[at:])
                result += moved
                at += length
    return result


def _derivative(token: Token, rest: list[Token]) -> tuple[list[Token], int] | None:
    r"""A derivative as the grammar knows it, and how many tokens after the first it is.

    $\frac{\partial}{\partial x} f$ is $\nabla_x f$, and so is $\partial_x f$; $\nabla^2$ is $\Delta$.
    """
    kinds = [other.kind for other in rest[:5]]
    marks = [replace(token, kind="NABLA"), replace(token, kind="BELOW")]
    if token.kind == "PARTIAL" and kinds[:2] == ["BELOW", "OPEN"]:
        return marks[:1], 0
    if token.kind == "NABLA" and kinds[:4] == ["POWER", "OPEN", "NUMBER", "CLOSE"] and rest[2].value == "2":
        return [replace(token, kind="LAPLACE")], 4
    if token.kind != "FRAC":
        return None
    if kinds == ["OPEN", "PARTIAL", "CLOSE", "OPEN", "PARTIAL"]:
        return [*marks, rest[0], *rest[5:7]], 7
    above = _differentiated(rest)
    return ([token, *above[0]], above[1]) if above else None


def _differentiated(rest: list[Token]) -> tuple[list[Token], int] | None:
    r"""What stands above the line of $\frac{dy}{d\kappa}$, with a mark for the d; and how many tokens it was."""
    end = matching_bracket(rest, 0)
    if [token.kind for token in rest[end + 1 : end + 4]] != ["OPEN", "DIFFERENTIAL", "CLOSE"] or end < 2:
        return None
    opening, first, *others = rest[:end]
    mark = replace(first, kind="DER")
    if first.kind == "DIFFERENTIAL" and not others:
        return [opening, mark, replace(first, kind="SYMBOL")], end
    if first.kind == "SYMBOL" and first.value == Symbol("d"):
        return [opening, mark, *others], end
    return None


def _idle(token: Token, rest: list[Token]) -> int:
    r"""How many tokens after one say nothing: the index of a norm, the arguments of x_t, of \hat x_0 and of L."""
    kinds = [other.kind for other in rest[:5]]
    values = [other.value for other in rest[:4]]
    if token.kind == "RNORM" and kinds[:2] == ["BELOW", "OPEN"] and kinds[3:4] == ["CLOSE"]:
        return 4 if values[2] in ("2", Symbol("F")) else 0
    if token.kind != "SYMBOL":
        return 0
    symbol: Symbol = token.value
    if symbol == POINT and kinds == ["LP", "SYMBOL", "COMMA", "SYMBOL", "RP"]:
        return 5 if (values[1], values[3]) == (START, NOISE) else 0
    about = POINT if symbol == ESTIMATE else {"L": THETA, "sigma": ETA}.get(symbol.base)
    return 3 if kinds[:3] == ["LP", "SYMBOL", "RP"] and values[1] == about else 0


def _of_time(token: Token, rest: list[Token]) -> tuple[Token, int]:
    r"""A level of noise or a rate as a function of time, $\beta(t)$, with an index; how many tokens more."""
    kinds = [other.kind for other in rest[:3]]
    bare = token.kind == "SYMBOL" and token.value.name in OF_TIME and token.value.index is None
    if not bare or kinds[0:1] != ["LP"] or kinds[2:] != ["RP"]:
        return token, 0
    argument = rest[1]
    if argument.kind == "NUMBER" and argument.value == "0":
        return replace(token, value=replace(token.value, index=Index(None, 0))), 3
    if argument.kind == "SYMBOL" and argument.value in (Symbol("t"), Symbol("s"), Symbol("T")):
        return replace(token, value=replace(token.value, index=Index(argument.value.base))), 3
    return token, 0


def _arguments_before_power(symbol: Symbol, rest: list[Token]) -> tuple[list[Token], int]:
    """The arguments of a function that follow its power, then the power; and how many tokens they are."""
    end = matching_bracket(rest, 1) + 1
    if end == len(rest) or rest[end].kind != "LP":
        return [], 0
    last = matching_bracket(rest, end)
    coder = _is_coder([Token("SYMBOL", symbol, (0, 0)), *rest[end : last + 1]])
    if symbol.label not in ("theta", "phi", "q") and not coder:
        return [], 0
    return [*rest[end : last + 1], *rest[:end]], last + 1


def _integral(token: Token, rest: list[Token]) -> tuple[Token, int]:
    """The signs of an integral that stand side by side, as one; its value says over how many variables it goes."""
    named: list[list[Symbol]] = []
    at = 0
    while True:
        below = _below(rest, at)
        named.append(_domain(below))
        at += len(below) + 3 if named[-1] else 0
        if at == len(rest) or rest[at].kind != "INT":
            break
        at += 1
    if any(named) and not all(named):
        raise NotUnderstood("some of the integrals name their variable and some do not", token.place)
    return replace(token, value=(len(named), tuple(symbol for domain in named for symbol in domain))), at


def _below(tokens: list[Token], at: int) -> list[Token]:
    """What stands in braces below a sign, if nothing stands above it."""
    if [token.kind for token in tokens[at : at + 2]] != ["BELOW", "OPEN"]:
        return []
    end = matching_bracket(tokens, at + 1)
    return [] if [token.kind for token in tokens[end + 1 : end + 2]] == ["POWER"] else tokens[at + 2 : end]


def _domain(below: list[Token]) -> list[Symbol]:
    """The variables that an integral names below it."""
    kinds = [token.kind for token in below]
    if kinds[:2] == ["SYMBOL", "REL"] and below[1].value == r"\in":
        return [below[0].value]
    listed = set(kinds[::2]) == {"SYMBOL"} and set(kinds[1::2]) <= {"COMMA"}
    return [token.value for token in below[::2]] if listed else []


# Kinds of letters


def classified(tokens: list[Token]) -> list[Token]:
    """Tell the letters apart: laws, functions, variables; and log(a) b, which nobody can read, from log(ab)."""
    tokens = _without_habits([_dot(tokens, at) for at in range(len(tokens))])
    return [replace(token, kind=_class(tokens, at)) for at, token in enumerate(tokens)]


def _dot(tokens: list[Token], at: int) -> Token:
    """A dot alone where a variable belongs stands for one."""
    around = [tokens[i].kind if 0 <= i < len(tokens) else "" for i in (at - 1, at + 1)]
    if tokens[at].kind == "TIMES" and around in (["LP", "MID"], ["LP", "RP"]):
        return replace(tokens[at], kind="SYMBOL", value=DOT)
    return tokens[at]


def _class(tokens: list[Token], at: int) -> str:
    """The terminal of the grammar that a token is."""
    kind = tokens[at].kind
    if kind == "SYMBOL" and tokens[at].value != DOT:
        after = tokens[at + 1].kind if at + 1 < len(tokens) else ""
        function = _is_of_level(tokens[at : at + 4]) or _is_coder(tokens[at : at + 4])
        return "FUNCTION" if function else _class_of_letter(tokens[at], after)
    if kind in ("LOG", "E"):
        return _reach(tokens, at)
    return f"_{kind}" if kind in ("COMMA", "SEMI", "MID") else kind


def _is_coder(tokens: list[Token]) -> bool:
    """Whether it is a mean or a deviation as a function of x or z, whatever its parameters are called: μ(x)."""
    if [token.kind for token in tokens] != ["SYMBOL", "LP", "SYMBOL", "RP"]:
        return False
    return tokens[0].value.name in ("mu", "sigma", "Sigma") and tokens[2].value.base in ("x", "z")


def _is_of_level(tokens: list[Token]) -> bool:
    """Whether it is a weight or a loss at a level of noise, as in w(λ)."""
    if [token.kind for token in tokens] != ["SYMBOL", "LP", "SYMBOL", "RP"]:
        return False
    return tokens[0].value in (Symbol("w"), Symbol("ell")) and tokens[2].value.name in ("lambda", "mu")


def _class_of_letter(token: Token, after: str) -> str:
    symbol: Symbol = token.value
    if symbol == GUESS:
        return "LAW"
    if symbol.base in ("p", "q") and not symbol.accent and symbol.index is None:
        if (symbol.base, symbol.label) not in LAWS:
            raise NotUnderstood(f"{symbol.base} has parameters of its own, not these", token.place)
        return "LAW"
    if symbol.base in ("calN", "calU", "H", "I") and symbol not in PLAIN:
        raise NotUnderstood(f"{symbol.base} with something on it is not in this book's notation", token.place)
    if symbol.base in ("calN", "calU"):
        return {"calN": "NORMAL", "calU": "UNIFORM"}[symbol.base]
    if symbol.base in ("H", "I") and after in ("LP", "LB"):
        return {"H": "ENTROPY", "I": "MUTUAL"}[symbol.base]
    loss = symbol.base == "calL" or (symbol.base == "L" and symbol.label)
    made = symbol.base == "eps" and symbol.accent in ("hat", "tilde")
    function = symbol.name in FUNCTIONS or loss or made or symbol.label in ("theta", "phi", "w", "q")
    return "FUNCTION" if after == "LP" and function else "SYMBOL"


def _reach(tokens: list[Token], at: int) -> str:
    """Do brackets end what a logarithm or an expectation is taken of?"""
    kind = tokens[at].kind
    start = at + 1
    if kind == "E" and start < len(tokens) and tokens[start].kind == "BELOW":
        start = matching_bracket(tokens, start + 1) + 1
    if start >= len(tokens) or tokens[start].kind not in ("LP", "LB", "LC"):
        return kind
    end = matching_bracket(tokens, start)
    after = tokens[end + 1].kind if end + 1 < len(tokens) else ""
    if after == "POWER" and (kind == "LOG" or tokens[start].kind != "LB"):  # E[x]² has one reading, log(x)² has two
        raise NotUnderstood(
            "is the power taken before or after? Put it where only one reading is left", tokens[end + 1].place
        )
    if kind == "LOG" and after not in CLOSING:
        raise NotUnderstood(
            "log(a) b may be log(ab) or b log(a): add brackets, or turn the factors round", tokens[at].place
        )
    return "ECALL" if kind == "E" else kind
