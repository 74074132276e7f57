r"""Why the grammar did not go on where it stopped, in words: what stood there, what could have, what is read instead.

The grammar knows the kinds of token that it could have taken; a reader wants to hear of a sign, a factor or a bracket.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Symbol
from diffusion_notes.equations.language.tokens import Token

__all__ = ["not_expected"]

WORDS = {
    "PLUS": "+", "MINUS": "−", "TIMES": "a sign of multiplication", "SLASH": "/", "REL": "a relation",
    "LP": "(", "RP": ")", "LB": "[", "RB": "]", "LC": "{", "RC": "}", "OPEN": "{", "CLOSE": "the end of the braces",
    "LNORM": "‖", "RNORM": "a closing ‖", "LABS": "|", "RABS": "a closing |", "LANGLE": "⟨", "RANGLE": "⟩",
    "_COMMA": "a comma", "_SEMI": "a semicolon", "_MID": "a bar", "PAR": "the double bar of a divergence",
    "SIM": "∼", "TO": "an arrow", "POWER": "a power", "BELOW": "an index", "TOP": "a transposition",
    "LOG": "a logarithm", "EXP": "an exponential", "FRAC": "a fraction", "SQRT": "a root", "SUM": "a sum",
    "PROD": "a product", "INT": "an integral", "DIFFERENTIAL": "a differential", "DOTS": "dots",
    "E": "an expectation", "ECALL": "an expectation", "VAR": "a variance", "KL": "a divergence", "NABLA": "a gradient",
    "NORMAL": "a normal law", "UNIFORM": "a uniform law", "ENTROPY": "an entropy", "MUTUAL": "an information",
    "INDICATOR": "an indicator", "LIM": "a limit", "ARGMIN": "an arg min",
    "ARGMAX": "an arg max", "LAW": "a law", "SYMBOL": "a variable",
    "$END": "the end",
}  # fmt: skip

SIGNS = ("PLUS", "MINUS", "REL", "RP", "RB", "RC", "CLOSE", "RNORM", "RABS", "RANGLE", "PAR", "_COMMA", "_SEMI", "_MID")
"""What is named by itself among what is expected, in this order."""

OTHERS = ("LP", "OPEN", "BELOW", "DIFFERENTIAL", "SIM", "TO", "LAW", "SYMBOL", "$END")
"""What is named only where no factor could stand."""

INSTEAD = {
    "_MID": r"a bar stands in the brackets of a law, as in p(x \mid z); a norm is \lVert x \rVert",
    "_COMMA": r"arguments stand in brackets after a law or a function, as in \mu_\theta(x_t, t)",
    "_SEMI": r"a semicolon stands in a normal law, \mathcal{N}(x; \mu, \sigma^2 I), and between statements",
    "REL": r"a condition stands behind what it is about, after a comma",
    "SIM": r"what is drawn stands after a comma, or below an expectation",
    "BELOW": "an index stands on a letter",
    "POWER": "a power stands on a letter or on brackets",
    "DIFFERENTIAL": r"a differential ends an integral, as in \int p(z)\, dz",
    "PAR": r"a double bar parts the two laws of D_{KL}(q \Vert p)",
    "LNORM": r"a norm is \lVert x \rVert, a divergence D_{KL}(q \Vert p)",
    "DOTS": r"dots stand between the terms, the factors or the variables of one row, as in x_1, \dots, x_T",
    "TO": r"a limit is read as \kappa_t \to 0",
}
"""What is read, where something stands that does not belong there."""


def not_expected(tokens: Sequence[Token], at: int | None, expected: Iterable[str]) -> NotUnderstood:
    """What to say where the grammar does not go on.

    Args:
        tokens: What it read.
        at: Where it stopped, or `None` for the end.
        expected: The kinds of token that it could have taken there.
    """
    stopped = len(tokens) if at is None else at
    there = tokens[stopped] if stopped < len(tokens) else None
    found = "the end" if there is None else _named(there)
    wanted = _listed(_in_words(set(expected)))
    if stopped == 0:
        why = f"{found} stands first, and {wanted} should"
    else:
        why = f"after {_named(tokens[stopped - 1])} comes {wanted}, not {found}"
    if there is not None and there.kind in INSTEAD:
        why += f": {INSTEAD[there.kind]}"
    place = (there or tokens[-1]).place
    return NotUnderstood(why, place)


def _named(token: Token) -> str:
    """A token in words: the name of a letter, the digits of a number, the sign or what it stands for."""
    if isinstance(token.value, Symbol) and token.kind != "DIFFERENTIAL":
        return token.value.name
    return token.value if token.kind == "NUMBER" else WORDS.get(token.kind, "this")


def _in_words(expected: set[str]) -> list[str]:
    """What is expected, from a factor to the end."""
    factor = "NUMBER" in expected
    found = ["a factor" if "PLUS" in expected and "POWER" in expected else "a term"] if factor else []
    kinds = SIGNS if factor else (*SIGNS, *OTHERS)
    found += [WORDS[kind] for kind in kinds if kind in expected]
    return found + (["the end"] if factor and "$END" in expected else [])


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), *words[-1:]] if len(words) > 1 else words) or "something else"
