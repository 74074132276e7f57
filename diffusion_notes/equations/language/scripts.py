r"""What stands below a letter: a name, as in $p_\theta$ and $L_\text{simple}$, or what counts, as in $x_{t-1}$."""

from __future__ import annotations

import re
from dataclasses import replace

from diffusion_notes.equations.language.pieces import LETTERS, LOOKS
from diffusion_notes.equations.language.syntax_tree import Index, NotUnderstood, Place, Range, Symbol
from diffusion_notes.equations.language.tokens import Token

__all__ = ["read_index", "with_index", "word_of"]

LEVELS = ("tau", "kappa", "lambda")
"""The greek letters that may be an index: what counts the levels of noise without steps."""

NAMING = ("q", "p", "w")
"""The latin letters that are a name below another one: they do not count."""

SIZES = ("d", "D", "n", "N")
"""What may stand below an identity: how large it is."""

OF_LAWS = ("mu", "sigma", "Sigma")
OF_VARIABLES = tuple(map(Symbol, "xyzab"))
"""What may be the name of a law below its mean or its deviation."""

LOSSES = ("L", "calL", "calF")
"""Below which the parameters θ and φ say nothing more."""


def with_index(letter: Symbol, tokens: list[Token], place: Place, text: str) -> Symbol:
    """A letter with what stands below it.

    Args:
        letter: The letter.
        tokens: The tokens below it.
        place: Where the letter stands.
        text: The LaTeX below it.

    Raises:
        NotUnderstood: If it is neither a name nor an index.
    """
    if not tokens or (letter.base == "I" and _is_size(tokens)):
        return letter
    if word := word_of(text):
        return replace(letter, label=word)
    if letter.base in OF_LAWS and len(tokens) == 1 and tokens[0].value in OF_VARIABLES:
        return replace(letter, label=tokens[0].value.base)
    if letter.base in ("L", "calL", "calF") and {token.value for token in tokens} == {
        Symbol("theta"),
        Symbol("phi"),
        None,
    }:
        return letter
    parts = _split(tokens, "COMMA") if not any(token.kind == "DOTS" for token in tokens) else [tokens]
    names = [name for part in parts if (name := _name(part))]
    counting = [part for part in parts if not _name(part)]
    if len(names) > 1 or len(counting) > 1:
        raise NotUnderstood(f"the index {text!r} is not in this book's notation", place)
    label = names[0] if names else letter.label
    return replace(letter, label=label, index=read_index(counting[0], place, text) if counting else letter.index)


def word_of(text: str) -> str:
    r"""The word that a script is, in small letters, or nothing: `\text{VLB}` and `vlb` are both `vlb`."""
    bare = re.sub(r"[\s{}_-]|\\[,;:! ]|\\(?=beta|min|max)", "", LOOKS.sub("", text))
    set_as_text = re.search(r"\\(?:text|mathrm|operatorname|mbox|rm(?![a-zA-Z])|mathsf|mathtt|mathit)", text)
    is_word = len(bare) > 2 or bare == "kl" or (len(bare) == 2 and (bare.isupper() or set_as_text))
    if re.fullmatch(r"[A-Za-z]+", bare) and is_word:
        return bare.lower()
    return ""


def read_index(tokens: list[Token], place: Place, text: str) -> Index | Range:
    """The index that some tokens are: a letter, a number, a letter and what is added to it; or the two ends of a range.

    Raises:
        NotUnderstood: If they are none of these.
    """
    if run := _run_to_the_end(tokens, place, text):
        return run
    ends = [_read_end(part, place, text) for part in _ends(tokens)]
    if len(ends) > 2:
        raise NotUnderstood(f"{text!r} is no range", place)
    return Range(*ends) if len(ends) == 2 else ends[0]


def _run_to_the_end(tokens: list[Token], place: Place, text: str) -> Range | None:
    """All that is before a step, or after it, as in $x_{<t}$; nothing, if it is no such index."""
    if not tokens or tokens[0].kind != "REL" or tokens[0].value not in (r"\lt", r"\le", r"\gt", r"\ge"):
        return None
    end = _read_end(tokens[1:], place, text)
    if tokens[0].value in (r"\lt", r"\le"):
        return Range(Index(None, 0), replace(end, plus=end.plus - (tokens[0].value == r"\lt")))
    return Range(replace(end, plus=end.plus + (tokens[0].value == r"\gt")), Index("T"))


def _is_size(tokens: list[Token]) -> bool:
    """Whether it is the size of a matrix, D or D × D."""
    sizes = [token.value for token in tokens if token.kind == "SYMBOL"]
    kinds = [token.kind for token in tokens]
    return kinds in (["SYMBOL"], ["SYMBOL", "TIMES", "SYMBOL"]) and {*sizes} <= {Symbol(size) for size in SIZES}


def _split(tokens: list[Token], kind: str) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == kind:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _ends(tokens: list[Token]) -> list[list[Token]]:
    """The ends of a range, 1:T or 1, …, T; what is no range has one."""
    kinds = [token.kind for token in tokens]
    if kinds.count("DOTS") == 1:
        parts = _split([token for token in tokens if token.kind != "COMMA"], "DOTS")
        return parts if kinds.count("COMMA") in (0, 2) and all(parts) else [tokens]
    return _split(tokens, "COLON")


def _name(tokens: list[Token]) -> str:
    """The name that one token is, or nothing."""
    if len(tokens) != 1:
        return ""
    (token,) = tokens
    if token.kind == "TEXT":
        return str(token.value).strip().lower()
    if token.kind != "SYMBOL":
        return ""
    letter: Symbol = token.value
    if letter == Symbol("q", accent="tilde"):
        return "tilde q"
    if letter == Symbol("calD"):
        return "data"
    greek = letter.base in LETTERS.values() and letter.base not in (*LEVELS, "ell")
    named = greek or letter.base in (*NAMING, "empty")
    return letter.base if named and letter == Symbol(letter.base) else ""


def _read_end(tokens: list[Token], place: Place, text: str) -> Index:
    kinds = [token.kind for token in tokens]
    if kinds[:1] == ["LP"] and kinds[-1:] == ["RP"]:
        return _read_end(tokens[1:-1], place, text)
    letter = _counting_letter(tokens[0]) if tokens else None
    if kinds == ["NUMBER"] and re.fullmatch(r"0|[1-9]\d*", tokens[0].value):
        return Index(None, int(tokens[0].value))
    if letter and kinds == ["SYMBOL"]:
        return Index(letter)
    if letter and kinds[1:] in (["PLUS", "NUMBER"], ["MINUS", "NUMBER"]) and tokens[2].value.isdigit():
        return Index(letter, int(tokens[2].value) * (1 if kinds[1] == "PLUS" else -1))
    for token in tokens:
        if token.kind == "UNREAD":
            raise token.value
    raise NotUnderstood(f"the index {text!r} is not in this book's notation", place)


def _counting_letter(token: Token) -> str | None:
    """The letter that counts, if it is one."""
    if token.kind != "SYMBOL" or token.value != Symbol(token.value.base):
        return None
    base: str = token.value.base
    if base == "ell":
        return "l"
    return base if len(base) == 1 or base in LEVELS else None
