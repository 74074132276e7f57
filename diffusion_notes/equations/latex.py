r"""From LaTeX to the words of a formula: spacing is dropped, a letter and what hangs on it become one word.

What is invisible in print is invisible here: a pair of braces groups nothing, and neither does an underbrace. What is
not known is not skipped: it is `NotUnderstood`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from diffusion_notes.equations.nodes import NotUnderstood, Range, Symbol
from diffusion_notes.equations.scanner import Scanner, balanced, read_index
from diffusion_notes.equations.vocabulary import (
    ACCENTS,
    BOLD,
    CANONICAL,
    LETTERS,
    NAMED,
    RELATIONS,
    STYLES,
    WORDS,
)

__all__ = ["Word", "words"]


FOLLOWING = re.compile(
    r"\s*(?:\\[,;! ]\s*)*(?:[xzu](?![a-zA-Z(])|\\(?:var)?epsilon|\\(?:mathbf|boldsymbol|bm)\s*\{?\s*[xzu]\b)"
)  # what makes a d before it a differential


@dataclass(frozen=True)
class Word:
    """One word of a formula: its kind, what it stands for, and where it was read."""

    kind: str
    value: object
    place: tuple[int, int]


class _Reader(Scanner):
    def inside(self, place: tuple[int, int]) -> list[Word]:
        part = _Reader(self.latex[: place[1]])
        part.at, part.named = place[0], self.named
        return part.read()

    def group(self) -> list[Word]:
        start = self.at
        place = self.raw()
        return [Word("OPEN", "{", (start, start)), *self.inside(place), Word("CLOSE", "}", (self.at, self.at))]

    def inside_braces(self, place: tuple[int, int]) -> list[Word]:
        """What is in a pair of braces that has been passed."""
        return [Word("OPEN", "{", place), *self.inside(place), Word("CLOSE", "}", place)]

    def read(self) -> list[Word]:
        found: list[Word] = []
        while self.peek():
            start = self.at
            found += self.word(self.take(), start)
        return found

    def word(self, piece: str, start: int) -> list[Word]:
        here = lambda kind, value=None: [Word(kind, value, (start, self.at))]  # noqa: E731
        if piece in RELATIONS:
            return here("REL", CANONICAL.get(piece, piece))
        if piece in (r"\Vert", r"\|", "||", r"\parallel"):
            return here("BARS")
        if piece in ("\\mathrel", "\\mathbin", "\\mathop"):
            return self.inside(self.raw())
        if piece == "{":  # invisible in print
            self.at = start
            return self.inside(self.raw())
        if piece in (r"\underbrace", r"\overbrace"):
            place = self.raw()
            if self.peek() in ("_", "^"):
                self.take()
                self.named.append((self.raw(), place))
            return self.inside(place)
        if piece in (r"\tag", r"\label"):
            begin, end = self.raw()
            self.tag = self.latex[begin:end] if piece == r"\tag" else self.tag
            return []
        if piece in (r"\text", r"\operatorname", r"\mathrm", r"\textrm", r"\operatorname*"):
            return self.text(start)
        if piece in (r"\frac", r"\tfrac", r"\dfrac"):
            return [*here("FRAC"), *self.group(), *self.group()]
        if piece == r"\sqrt":
            if self.peek() == "[":
                raise self.fail("roots other than the square root are not in this book", start)
            return [*here("SQRT"), *self.group()]
        styled = piece in (r"\mathbb", r"\mathcal", *BOLD, *ACCENTS)
        if styled or piece.lstrip("\\") in LETTERS or (len(piece) == 1 and piece.isalpha()):
            return self.symbol(piece, start)
        if piece in ("^", "_"):
            return [*here("POWER" if piece == "^" else "BELOW"), *self.group()]
        if piece[0].isdigit():
            return here("NUMBER", piece)
        if piece == r"\arg" and self.peek() == r"\min":
            self.take()
            return here("ARGMIN")
        if piece == r"\iint":
            return here("INT") * 2
        if piece in WORDS:
            return here(WORDS[piece])
        raise self.fail(f"{piece!r} is not in this book's notation", start)

    def text(self, start: int) -> list[Word]:
        begin, end = self.raw()
        text = self.latex[begin:end].strip()
        here = (start, self.at)
        if text in NAMED:
            return [Word(NAMED[text], None, here)]
        if text in ("", ",", "."):
            return [Word("COMMA", None, here)] if text == "," else []
        if text == "d":  # an upright d of a differential
            return self.symbol("d", start)
        if text in ("E", "ELBO", "H"):
            return self.hang({"E": "calE", "ELBO": "calL", "H": "H"}[text], "", start)
        if text in ("for", "if", "where", "with", "and", "for all", "when"):
            return [Word("COMMA", None, here), Word("QUAD", None, here)]
        return [Word("SYMBOL", Symbol(text if text in ("SNR", "tr") else f"text {text}"), here)]

    def symbol(self, piece: str, start: int) -> list[Word]:
        if piece in (r"\mathbb", r"\mathcal"):
            begin, end = self.raw()
            base = STYLES.get((piece, self.latex[begin:end].strip()))
            if base is None:
                raise self.fail(f"{piece}{{{self.latex[begin:end]}}} is not in this book's notation", start)
            return [Word("VAR", None, (start, self.at))] if base == "VAR" else self.hang(base, "", start)
        if piece in BOLD:
            place = self.raw()
            inner = self.latex[slice(*place)].strip()
            if inner.isdigit():
                return [Word("NUMBER", inner, (start, self.at))]
            found = self.inside(place)
            if len(found) != 1 or found[0].kind != "SYMBOL" or found[0].value != Symbol(found[0].value.base):
                raise self.fail("bold type belongs on one letter", start)
            return self.hang(found[0].value.base, "", start)
        if piece in ACCENTS:
            found = self.inside(self.raw())
            if len(found) != 1 or found[0].kind != "SYMBOL" or found[0].value.accent:
                raise self.fail("an accent belongs on one letter", start)
            under: Symbol = found[0].value
            if under != Symbol(under.base):  # the bar over a letter and its index
                return [Word("SYMBOL", replace(under, accent=ACCENTS[piece]), (start, self.at))]
            return self.hang(under.base, ACCENTS[piece], start)
        name = LETTERS.get(piece.lstrip("\\")) if piece.startswith("\\") else piece
        if name is None or not name.isalpha():
            raise self.fail(f"{piece!r} is not a letter", start)
        if name == "d" and FOLLOWING.match(self.latex, self.at):
            word = self.word(self.take(), start)[0]
            return [Word("DIFFERENTIAL", word.value, (start, self.at))]
        if name == "K" and re.match(r"L\s*(?:\\left|\\[bB]igg?l?)?\s*[(\[]", self.latex[self.at :]):
            self.take()
            return [Word("KL", None, (start, self.at))]
        return self.hang(name, "", start)

    def hang(self, base: str, accent: str, start: int) -> list[Word]:
        """A letter, then what stands below it and above it, in any order."""
        below, above = None, None
        while (sign := self.peek()) in ("_", "^"):
            if (below if sign == "_" else above) is not None:
                raise self.fail("two indices in the same place", start)
            self.take()
            if sign == "_":
                below = self.raw()
            else:
                before = self.at
                above = self.raw()
                if self.latex[slice(*above)].strip() == r"\top":
                    below = self.below(before) if below is None else below
                    return self.finish(base, accent, below, None, start, self.inside_braces(above))
                if base not in ("z", "x"):
                    self.at, end = before, self.at
                    power = self.group()
                    assert self.at == end
                    return self.finish(base, accent, self.below(before) if below is None else below, None, start, power)
        return self.finish(base, accent, below, above, start, [])

    def below(self, start: int) -> tuple[int, int] | None:
        if self.peek() != "_":
            return None
        self.take()
        return self.raw()

    def finish(self, base, accent, below, above, start, power) -> list[Word]:
        here = (start, self.at)
        raised = [Word("POWER", None, here), *power] if power else []
        if base == "calE":
            sub = [Word("BELOW", None, here), Word("OPEN", "{", here), *self.inside(below)] if below else []
            if raised:
                raise self.fail("is it the expectation of a power, or the power of an expectation?", start)
            return [Word("E", None, here), *sub, *([Word("CLOSE", "}", here)] if below else [])]
        text = re.sub(r"\\rm\s+", "", self.latex[slice(*below)]) if below else ""
        text = re.sub(r"\\[,;! ]|\s", "", text)
        text = re.sub(r"\\(?:text|mathrm|operatorname)\{(\w+)\}", r"\1", text)
        text = re.sub(r"\\(?:boldsymbol|mathbf|bm)\{?(\\?[a-zA-Z]+)\}?", r"\1", text)
        if base == "D" and text == "KL":
            if power or accent:
                raise self.fail("something on the divergence: put brackets round it", start)
            return [Word("KL", None, here)]
        copy = None
        if above:
            ends = [read_index(end, here) for end in self.latex[slice(*above)].strip().strip("()").split(":")]
            copy = Range(*ends) if len(ends) == 2 else ends[0]
        index, label = None, ""
        if base == "calL" and text in (r"\theta,\phi", r"\phi,\theta"):
            text = ""
        if re.fullmatch(r"\\tilde\{?q\}?", text):
            label = "tilde q"
        elif re.fullmatch(r"(\\(theta|phi)|simple|vlb|q|p)", text):
            label = text.lstrip("\\")
        elif text:
            ends = [read_index(end, here) for end in text.split(":")]
            if len(ends) > 2:
                raise NotUnderstood(f"{text!r} is no range", here)
            index = Range(*ends) if len(ends) == 2 else ends[0]
        return [Word("SYMBOL", Symbol(base, accent, index, label, copy), here), *raised]


def words(latex: str) -> tuple[list[Word], str, list[tuple[tuple[int, int], tuple[int, int]]]]:
    """The words of a formula, its tag, and what its braces name.

    Args:
        latex: A displayed equation without its dollars.

    Returns:
        The words, the tag, and for each brace the places of its name and of what it names.

    Raises:
        NotUnderstood: If a piece is not in the book's notation.
    """
    balanced(latex)
    reader = _Reader(latex)
    try:
        found = reader.read()
    except RecursionError:
        raise NotUnderstood("groups within groups, too deep to follow") from None
    if len(found) > _MOST:
        raise NotUnderstood(f"{len(found)} letters and signs, of which no more than {_MOST} are read")
    return found, reader.tag, reader.named


_MOST = 300  # far more than any equation has; what is read recursively has an end
