r"""What the arrangement of a display says: columns, remarks, the marks over a sign of equality, the order of limits.

A remark is words that stand for themselves: behind a wide space at the end of a row, in brackets, or before a
statement. It is dropped only where it can mean nothing: words between operators are content, and words that may change
what is said (`up to a constant`, `not`, `approximately`) are not read.
"""

from __future__ import annotations

import re
from dataclasses import replace

from diffusion_notes.equations.language.normalisation import CLOSER
from diffusion_notes.equations.language.pieces import LOOKS
from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Symbol
from diffusion_notes.equations.language.tokens import Token, kind_at

__all__ = ["WHOLE", "laid_out", "says_nothing"]

JOINING = ("REL", "SIM", "TO", "IMPLIES", "PLUS", "MINUS", "TIMES", "SLASH")
"""Beside what the columns of a display meet."""

ENDING = ("NEWLINE", "QUAD", "COMMA", "STOP", "SEMI", "IMPLIES", "")
"""What ends a row or a part of one."""

OPENING = tuple(CLOSER)
CLOSING = tuple(CLOSER.values())

CONNECTING = re.compile(
    r"\W*(?:(?:and|so|or|thus|hence|therefore|then|that is|or equivalently|equivalently|similarly|likewise|we have"
    r"|we get|we obtain|note that|for|for all|for any|for every|for each|for some|if|when|whenever|where|with|such that"
    r"|so that|s\.t\.|subject to|given|given that|assuming|because|since|let|using|which gives|which implies|giving"
    r"|i\.e\.|i\.e|e\.g\.|also|finally|recall|recall that|in particular|consequently|but|from|by)\W*)+",
    re.IGNORECASE,
)
"""Words between two statements, or before one."""

FOR_ALL = re.compile(r"\bfor (?:all|any|every|each)\W*$")
"""Words that bind the letter behind them."""

LEADING = re.compile(
    r".*(?:[:,]|\b(?:that|have|get|gets|obtain|find|know|define|let|then|since|note|see|write|follows|recall|becomes|yields"
    r"|is|are|by))\W*",
    re.IGNORECASE | re.DOTALL,
)
"""How words end that lead to a statement."""

REASON = re.compile(r"\W*(?:by|since|because|using|from|due to|via|see|which|thanks to|as in)\b", re.IGNORECASE)
"""How words begin that give a reason."""

CHANGING = re.compile(
    r"\b(?:not|no(?!\W?\d)|never|isn't|doesn't|false|wrong|incorrect\w*|untrue|if|iff|when\w*|unless|except|only"
    r"|provided|assuming|assumed?|suppose|for (?:all|any|every|each|some|large|small|[a-zA-Z]\b)|for\W*$"
    r"|const\w*|up to|approx\w*|asymptotic\w*|roughly|almost|nearly|limit\w*|order|ignor\w*|neglect\w*|drop\w*"
    r"|omit\w*|discard\w*|proportional|in distribution|in law|large|small|infin\w*|plus|minus|bits?"
    r"|nicht|konst\w*|wenn|sauf|pas|si|presque)\b"
    r"|^\W*(?:law|dist\w*|w\.?p\.?.*)\W*$|常|近似|不成立|不等于|不正确|错误|≈|≠|∝|→",
    re.IGNORECASE,
)
"""Words that may change what is said beside them."""

POINTING = {
    "no", "nr", "eq", "eqs", "eqn", "equation", "equations", "step",
    "by", "from", "see", "using", "use", "and", "cf", "lemma", "theorem",
    "in", "property", "definition", "def", "proposition", "appendix", "section", "of",
}  # fmt: skip
"""Words that point to an explanation."""

POINTED = re.compile(r"\*{1,3}|[a-zA-Z]'?|[ivxlc]{1,5}|[①-⑳]|\d+(?:\.\d+)*[a-z]?", re.IGNORECASE)
"""What is pointed to."""


def says_nothing(text: str) -> bool:
    """Whether a remark only explains: a reference, or words that change nothing of what stands beside them.

    Args:
        text: The remark, in LaTeX.
    """
    words = re.sub(r"\\(?:eq|auto|c|page)?ref\s*\{[^{}]*\}|\\cite\w*\s*(?:\[[^]]*\])?\{[^{}]*\}", "()", text)
    words = LOOKS.sub(" ", words.replace(r"\star", "*").replace(r"\ast", "*").replace(r"\textcircled", "("))
    words = re.sub(r"\$[^$]*\$|[{}~]|\\[,;:! ]", " ", words)
    if _is_reference(words):
        return True
    has_word = re.search(r"[^\W\d_]{3}|[^\x00-\x7f]", words)
    return bool(has_word) and "\\" not in words and not CHANGING.search(words)


def _is_reference(words: str) -> bool:
    """A number or a letter that points to an explanation; a letter alone may be more than that."""
    parts = re.findall(r"\d+(?:\.\d+)*[a-z]?|[^\s()\[\].,:;\d]+", words)
    marked = re.search(r"[(\[)\]*①-⑳]", words) or not parts or any(part.lower() in POINTING for part in parts)
    return bool(marked) and all(part.lower() in POINTING or POINTED.fullmatch(part) for part in parts)


def laid_out(tokens: list[Token]) -> list[Token]:
    """The same, without columns and remarks, and with the limits of sums in one order.

    Args:
        tokens: The tokens of a display.
    """
    tokens = _without_columns(_margins_behind(tokens))
    tokens = _joined(tokens)
    tokens = _Remarks(tokens).told_apart()
    return _limits_in_order(tokens)


# Columns


def _without_columns(tokens: list[Token]) -> list[Token]:
    """The same, without the marks where columns meet; where no sign stands beside one, it is a wide space."""
    return [
        replace(token, kind="QUAD") if token.kind == "COLUMN" else token
        for at, token in enumerate(tokens)
        if token.kind != "COLUMN" or _parts(tokens, at)
    ]


def _parts(tokens: list[Token], at: int) -> bool:
    """Whether the mark between two columns parts two things that belong to nothing between them."""
    before = next((token.kind for token in reversed(tokens[:at]) if token.kind != "COLUMN"), "")
    after = next((token.kind for token in tokens[at + 1 :] if token.kind != "COLUMN"), "")
    if before in (*ENDING, *JOINING, *OPENING):
        return False
    return after not in (*ENDING, *JOINING, *CLOSING)


def _margins_behind(tokens: list[Token]) -> list[Token]:
    """The same, with a condition in the margin of a chain behind the chain, which goes on in the next row."""
    result: list[Token] = []
    kept: list[Token] = []
    at = 0
    while at < len(tokens):
        end = _margin_end(tokens, at)
        if end is not None and _says(tokens[at:end]) and _goes_on(tokens, end):
            kept += tokens[at:end]
            at = end
        elif end is not None and not _says(tokens[at:end]):
            result += _prose(tokens[at:end])
            at = end
            continue
        if kept and not _goes_on(tokens, at):
            result += [*kept, replace(tokens[at], kind="COMMA")] if at < len(tokens) else kept
            kept = []
        result += tokens[at : at + 1]
        at += 1
    return [*result, *kept]


def _margin_end(tokens: list[Token], at: int) -> int | None:
    """Where a column of words ends, if one begins here."""
    if tokens[at].kind not in ("COLUMN", "QUAD"):
        return None
    start = next((i for i in range(at, len(tokens)) if tokens[i].kind not in ("COLUMN", "QUAD")), len(tokens))
    if kind_at(tokens, start) != "TEXT" or kind_at(tokens, start + 1) in (*ENDING, "COLUMN", "REL"):
        return None
    if FOR_ALL.search(tokens[start].value):
        return None
    end = next((i for i in range(start, len(tokens)) if tokens[i].kind == "NEWLINE"), len(tokens))
    condition = tokens[at].kind == "COLUMN" and CONNECTING.fullmatch(tokens[start].value)
    return end if condition or not _says(tokens[start:end]) else None


def _says(tokens: list[Token]) -> bool:
    """Whether some tokens say more than words with letters between them."""
    return any(token.kind in ("REL", "SIM", "TO", "IMPLIES", "DOTS", "COLUMN", "UNREAD") for token in tokens[2:])


def _prose(tokens: list[Token]) -> list[Token]:
    """A wide space for words with letters between them, or a doubt, where they may change what is said."""
    words = " ".join(token.value for token in tokens if token.kind == "TEXT")
    place = (tokens[0].place[0], tokens[-1].place[1])
    if CHANGING.search(words):
        return [Token("UNREAD", NotUnderstood("words that may change what is said", place), place)]
    return [Token("QUAD", None, place)]


def _goes_on(tokens: list[Token], at: int) -> bool:
    """Whether no row ends here, or the row after it begins with a sign."""
    if kind_at(tokens, at) not in ("NEWLINE", ""):
        return True
    following = (token.kind for token in tokens[at:] if token.kind not in ("NEWLINE", "COLUMN", "QUAD"))
    return next(following, "") in ("REL", "PLUS", "MINUS", "TIMES", "SLASH")


# Signs that are printed as two


def _joined(tokens: list[Token]) -> list[Token]:
    """The same, with one sign for a colon beside a sign of equality; dots alone in a row go."""
    result: list[Token] = []
    for at, token in enumerate(tokens):
        last = result[-1] if result else Token("", None, (0, 0))
        if last.kind == "COLON" and (token.kind, token.value) == ("REL", "="):
            result[-1] = Token("REL", ":=", (last.place[0], token.place[1]))
        elif token.kind == "COLON" and (last.kind, last.value) == ("REL", "="):
            result[-1] = Token("REL", "=:", (last.place[0], token.place[1]))
        elif token.kind == "QUAD" and last.kind == "IMPLIES":  # the space behind an arrow
            continue
        elif token.kind == "TO" and last.kind in ENDING:  # an arrow before a statement
            result.append(replace(token, kind="IMPLIES", value=r"\to"))
        elif token.kind != "VDOTS":
            result.append(token)
        elif last.kind not in ENDING or kind_at(tokens, at + 1) not in ENDING:
            why = NotUnderstood("dots downwards that are not alone in their row", token.place)
            result.append(Token("UNREAD", why, token.place))
    return result


# Remarks


class _Remarks:
    """Tells the words of a display apart: remarks, words between statements, and words that are content.

    Args:
        tokens: The tokens of the display.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = _with_brackets(tokens)
        self.result: list[Token] = []
        self.depth = 0

    def told_apart(self) -> list[Token]:
        """The tokens without remarks."""
        for at, token in enumerate(self.tokens):
            self.depth += (token.kind in OPENING) - (token.kind in CLOSING)
            self.result += self._told(at, token) if token.kind == "TEXT" else [token]
        return self.result

    def _told(self, at: int, token: Token) -> list[Token]:
        words: str = token.value
        if CONNECTING.fullmatch(words):
            sign = "FORALL" if FOR_ALL.search(words) else "QUAD"
            return [replace(token, kind="COMMA", value=None), replace(token, kind=sign, value=None)]
        if self.depth or not self._stands_alone(at, words):
            return [replace(token, kind="SYMBOL", value=Symbol(_name(words)))]
        if not says_nothing(words):
            why = NotUnderstood(f"{words.strip()!r} may change what is said", token.place)
            return [Token("UNREAD", why, token.place)]
        leads = kind_at(self.result, len(self.result) - 1) in ENDING and kind_at(self.tokens, at + 1) not in ENDING
        return [replace(token, kind="COMMA", value=None), replace(token, kind="QUAD", value=None)] if leads else []

    def _stands_alone(self, at: int, words: str) -> bool:
        """Whether words belong to no expression."""
        before = self.result[-1].kind if self.result else ""
        if (before in JOINING and before != "IMPLIES") or before in (*OPENING, "COMMA"):
            return False
        bracketed = re.fullmatch(r"\s*(?:[(\[].*[)\]][.,;]?|:.*)\s*", words, re.S)
        row_begins = before in ("", "NEWLINE")
        passed = ("QUAD", "NEWLINE") if row_begins else ("QUAD",)
        after = next((token.kind for token in self.tokens[at + 1 :] if token.kind not in passed), "")
        if after in ("POWER", "BELOW", "LP") or (after in JOINING and not bracketed):
            return False
        if before in ENDING and (bracketed or LEADING.fullmatch(words)):
            return True
        ends = kind_at(self.tokens, at + 1) in (*ENDING, "TEXT")
        apart = before in ENDING or bool(bracketed) or bool(REASON.match(words))
        return ends and apart


def _with_brackets(tokens: list[Token]) -> list[Token]:
    r"""The same, with words in brackets as one, $(\text{Bayes})$, and the number of an equation."""
    result: list[Token] = []
    at = 0
    while at < len(tokens):
        before = kind_at(result, len(result) - 1)
        length = _words_in_brackets(tokens[at:])
        apart = before in ("QUAD", "TEXT") or kind_at(tokens, at + length) == "QUAD"
        has_words = any(token.kind == "TEXT" for token in tokens[at : at + length])
        if length and before in (*ENDING, "TEXT") and (has_words or (apart and kind_at(tokens, at + length) in ENDING)):
            inner = " ".join(str(token.value) for token in tokens[at + 1 : at + length - 1] if token.value)
            result.append(Token("TEXT", f"({inner})", (tokens[at].place[0], tokens[at + length - 1].place[1])))
            at += length
        else:
            result.append(tokens[at])
            at += 1
    return result


def _words_in_brackets(tokens: list[Token]) -> int:
    """How many tokens are words or numbers in brackets that begin here."""
    if tokens[0].kind not in ("LP", "LB"):
        return 0
    for at, token in enumerate(tokens[1:], 1):
        if token.kind in ("RP", "RB"):
            return at + 1
        if token.kind not in ("TEXT", "NUMBER", "COMMA", "STOP"):
            return 0
    return 0


def _name(words: str) -> str:
    """The letter that words stand for where they are content."""
    return f"text {' '.join(words.split())}"


# The order of limits


def _limits_in_order(tokens: list[Token]) -> list[Token]:
    r"""The same, with what stands below a sum before what stands above it: $\prod^T_{t=1}$ is $\prod_{t=1}^T$."""
    result = list(tokens)
    for at, token in enumerate(result):
        if token.kind in ("SUM", "PROD", "INT", "BARS", "RNORM") and kind_at(result, at + 1) == "POWER":
            middle = _group_end(result, at + 2)
            if kind_at(result, middle) == "BELOW":
                end = _group_end(result, middle + 1)
                result[at + 1 : end] = [*result[middle:end], *result[at + 1 : middle]]
    return _over_all(result)


WHOLE = ("calX", "calY", "calZ", "bbR", "Omega")
"""The letters that stand for all values of a variable."""


def _over_all(tokens: list[Token]) -> list[Token]:
    r"""The same, without the limits of integrals over all values, as in $\\int_{\\mathbb{R}^d}$."""
    result: list[Token] = []
    at = 0
    while at < len(tokens):
        result.append(tokens[at])
        at += 1
        if result[-1].kind == "INT" and kind_at(tokens, at) == "BELOW":
            at = _end_of_space(tokens, at)
    return result


def _end_of_space(tokens: list[Token], start: int) -> int:
    """Where the limits of an integral end, if they are the whole space of a variable; else where they begin."""
    end = _group_end(tokens, start + 1)
    below = [token.value for token in tokens[start + 2 : end - 1]]
    if below and isinstance(below[0], Symbol) and below[0].base in WHOLE:
        return end
    over = next((token.value.base for token in tokens[end:] if token.kind == "DIFFERENTIAL"), "")
    if over not in ("x", "z") or below != [None, Symbol("infty")] or kind_at(tokens, end) != "POWER":
        return start
    last = _group_end(tokens, end + 1)
    above = [token.value for token in tokens[end + 2 : last - 1] if token.kind != "PLUS"]
    return last if above == [Symbol("infty")] else start


def _group_end(tokens: list[Token], start: int) -> int:
    """Where a group ends that opens at `start`."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += (tokens[at].kind == "OPEN") - (tokens[at].kind == "CLOSE")
        if not depth:
            return at + 1
    return len(tokens)
