r"""The lexer: from LaTeX to tokens. Spacing is dropped, a letter and what hangs on it become one token.

What is invisible in print is invisible here: a pair of braces groups nothing, and neither does an underbrace. What is
not known is not skipped: an `UNREAD` token with the reason stands in its place, so that the rest can still be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from diffusion_notes.equations.language.spellings import canonical
from diffusion_notes.equations.language.syntax_tree import Index, NotUnderstood, Place, Range, Symbol

__all__ = ["MOST", "Named", "Token", "tokenise"]

MOST = 300
"""How many tokens an expression, and how many braces within braces: what is read recursively has an end."""
TOO_DEEP = "groups within groups, too deep to follow"

# The pieces of LaTeX that the book uses, and what each of them is

GREEK = (
    "alpha beta gamma delta epsilon varepsilon kappa lambda mu sigma phi theta tau pi ell Phi nu eta rho Sigma Lambda"
)
LETTERS = {letter: letter for letter in GREEK.split()} | {"epsilon": "eps", "varepsilon": "eps", "ell": "ell"}
DROPPED = re.compile(
    r"\\(?:[,;:! >]|left\s*\.|right\s*\."
    r"|(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nonumber|notag)(?![a-zA-Z])"
    r"|(?:begin|end)\s*\{(?:aligned|alignedat|split|gathered|(?:align|gather|multline|eqnarray|equation)\*?)\}"
    r"|begin\s*\{array\}\s*\{[lcr\s]*\}|end\s*\{array\})|~|&|\s+|%.*"
)
RELATIONS = {
    "=", ":=", "=:", r"\coloneqq", r"\eqqcolon", r"\approx", r"\propto", r"\in",
    r"\le", r"\leq", r"\leqslant", r"\ge", r"\geq", r"\geqslant", "<", ">", r"\lt", r"\gt",
}  # fmt: skip
CANONICAL = {
    r"\coloneqq": ":=", r"\eqqcolon": "=:",
    r"\leq": r"\le", r"\leqslant": r"\le", r"\geq": r"\ge", r"\geqslant": r"\ge",
    "<": r"\lt", ">": r"\gt",
}  # fmt: skip
SIGNS = {
    r"\Delta": "LAPLACE", r"\forall": "FORALL", r"\partial": "PARTIAL",
    r"\log": "LOG", r"\ln": "LOG", r"\exp": "EXP", r"\sum": "SUM", r"\prod": "PROD", r"\int": "INT", r"\nabla": "NABLA",
    r"\cdot": "TIMES", r"\times": "TIMES", r"\odot": "TIMES",
    "/": "SLASH", "+": "PLUS", "-": "MINUS", r"\sim": "SIM", ";": "SEMI",
    ",": "COMMA", r"\mid": "MID",
    "|": "MID", r"\vert": "MID", r"\dots": "DOTS", r"\ldots": "DOTS", r"\cdots": "DOTS",
    "(": "LP", ")": "RP", "[": "LB", "]": "RB", r"\{": "LC", r"\}": "RC", r"\langle": "LANGLE", r"\rangle": "RANGLE",
    r"\lVert": "LNORM", r"\rVert": "RNORM", r"\lbrack": "LB", r"\rbrack": "RB", r"\top": "TOP", r"\cos": "COS",
    r"\sin": "SIN", r"\quad": "QUAD", r"\qquad": "QUAD", r"\\": "NEWLINE", ".": "STOP", r"\Longrightarrow": "IMPLIES",
    r"\Vert": "BARS", r"\|": "BARS", "||": "BARS", r"\parallel": "BARS",
    r"\lvert": "LABS", r"\rvert": "RABS", r"\det": "DET", r"\lim": "LIM", r"\to": "TO", r"\rightarrow": "TO",
}  # fmt: skip
UPRIGHT = {
    "log": "LOG", "ln": "LOG", "exp": "EXP", "Var": "VAR", "Cov": "VAR", "KL": "KL",
    "const": "CONST", "const.": "CONST",
}  # fmt: skip
BRACKETS = ("(", ")", "[", "]", ".", "|", r"\{", r"\}", r"\lVert", r"\rVert", r"\Vert", r"\|", r"\langle", r"\rangle",
            r"\lbrack", r"\rbrack", r"\vert", r"\lvert", r"\rvert", r"\mid")  # fmt: skip
STARS = ("*", r"\ast", r"\star")
NAMED_SIGNS = {r"\infty": "infty", r"\varnothing": "empty", r"\emptyset": "empty"}
BOLD = (r"\mathbf", r"\boldsymbol", r"\bm")
ACCENTS = {r"\bar": "bar", r"\overline": "bar", r"\tilde": "tilde", r"\widetilde": "tilde", r"\hat": "hat"}
STYLES = {(r"\mathbb", "E"): "calE", (r"\mathbb", "V"): "VAR", (r"\mathbb", "1"): "INDICATOR",
          (r"\mathbb", "H"): "H", (r"\mathcal", "H"): "H",
          (r"\mathcal", "N"): "calN", (r"\mathcal", "L"): "calL", (r"\mathcal", "F"): "calF",
          (r"\mathcal", "U"): "calU"}  # fmt: skip
LOSSES = ("L", "calL", "calF")
NAMED_BY_WORDS = {"E": "calE", "ELBO": "calL", "VLB": "calL", "H": "H", "Uniform": "calU", "Unif": "calU"}
TAKING = (r"\text", r"\mathrm", r"\operatorname", r"\bar", r"\tilde", r"\hat", r"\mathbf", r"\boldsymbol", r"\bm",
          r"\mathcal", r"\overline")  # fmt: skip
PIECE = re.compile(r"\\[a-zA-Z]+\*?|\\.|\|\||:=|=:|\d+(?:\.\d+)?|.", re.S)

ARGUMENT = re.compile(r"\s*(?:\{|\[[^\[\]{}]*\](?=\s*\{))")
"""How the argument of a command begins whose number of arguments nobody knows."""

FOLLOWING = re.compile(
    r"\s*(?:\\[,;! ]\s*)*(?:[xyzutswh](?![a-zA-Z(])|\\(?:var)?epsilon|\\(?:kappa|lambda|tau|mu)(?![a-zA-Z])"
    r"|\\bar\s*\{?\s*w(?![a-zA-Z])"
    r"|\\(?:mathbf|boldsymbol|bm)\s*\{?\s*[xzu]\b)"
)
"""What makes a d before it a differential."""

LEVELS = (r"\tau", r"\kappa", r"\lambda")
"""The greek letters that may be an index: what counts the levels of noise without steps."""

LIMITED = re.compile(r"\\(?:(?:sum|prod|int|iint|min|lim)|(?:operatorname\*?|mathop)\s*\{[^{}]*\})\s*$")
r"""After what `\limits` may stand."""


@dataclass(frozen=True)
class Token:
    """A token of a formula: its kind, what it stands for, and where it was read.

    The value is a `Symbol` for a letter, the digits of a number, the sign of a relation, the reason (`NotUnderstood`)
    of what is `UNREAD`, and nothing for most others.
    """

    kind: str
    value: Any
    place: Place


Named = tuple[Place, Place]
"""Where the name below a brace stands, and where what the brace holds."""


class _Scanner:
    """Goes through LaTeX piece by piece, and knows where it is."""

    def __init__(self, latex: str, at: int = 0) -> None:
        self.latex = latex
        self.at = at

    def fail(self, why: str, start: int) -> NotUnderstood:
        """What to raise about what began at `start`."""
        return NotUnderstood(why, (start, max(self.at, start + 1)))

    def text(self, place: Place) -> str:
        """The LaTeX of a place."""
        return self.latex[slice(*place)]

    def skip(self) -> None:
        """Pass over spacing, and over what belongs where it stands."""
        while (found := DROPPED.match(self.latex, self.at)) and not self.misplaced(found.group(), self.at):
            self.at = found.end()

    def misplaced(self, piece: str, at: int) -> str:
        """Why a piece that is dropped elsewhere may not stand here, if it may not."""
        before = self.latex[:at]
        if piece == "&" and not _in_columns(before):
            return "& stands between the columns of an environment"
        if piece == r"\limits" and not LIMITED.search(before):
            return r"\limits stands after a sum, a product or an integral"
        return ""

    def peek(self) -> str:
        """The piece that comes."""
        self.skip()
        found = PIECE.match(self.latex, self.at)
        return found.group() if found else ""

    def take(self) -> str:
        """The piece that comes, and pass over it."""
        piece = self.peek()
        self.at += len(piece)
        return piece

    def pass_command(self, start: int) -> None:
        """Pass over what began at `start`, and if it is a command, over the arguments that nobody has passed yet."""
        found = PIECE.match(self.latex, start)
        end = found.end() if found else start
        if self.at > end:
            return
        self.at = end
        while self.latex[start] == "\\" and (found := ARGUMENT.match(self.latex, self.at)):
            self.at = found.end()
            if found.group().endswith("{"):
                self._in_braces(start)

    def argument(self) -> Place:
        """Where the argument that comes stands, and pass over it: what is in the braces, or the one piece without."""
        start = self.at
        piece = self.take()
        return self._in_braces(start) if piece == "{" else self._without_braces(piece, start)

    def _without_braces(self, piece: str, start: int) -> Place:
        if not piece or piece in ("}", "^", "_", "&"):
            raise self.fail("an argument is missing here", start)
        if piece in TAKING:  # as in L_\text{simple}: the argument has an argument
            end = self.argument()[1] + (self.latex[self.at - 1] == "}")
            return start, end
        if piece.isdigit():  # LaTeX takes one digit
            self.at -= len(piece) - 1
            return self.at - 1, self.at
        return self.at - len(piece), self.at

    def _in_braces(self, start: int) -> Place:
        begin = self.at
        depth = 1
        while depth:
            piece = PIECE.match(self.latex, self.at)
            if piece is None:
                raise self.fail("a brace is never closed", start)
            depth += {"{": 1, "}": -1}.get(piece.group(), 0)
            self.at = piece.end()
        return begin, self.at - 1


def _in_columns(before: str) -> bool:
    """Whether an environment is open at the end of a text, and no brace within it."""
    plain = re.sub(r"\\[{}]", "", before)
    return before.count(r"\begin") > before.count(r"\end") and plain.count("{") == plain.count("}")


class _Lexer:
    """Makes tokens of a stretch of LaTeX.

    Args:
        latex: The LaTeX, up to the end of the stretch.
        at: Where the stretch begins.
        named: Where to write down what the braces name.
    """

    def __init__(self, latex: str, at: int = 0, named: list[Named] | None = None) -> None:
        self.scanner = _Scanner(latex, at)
        self.named: list[Named] = [] if named is None else named
        self.tag = ""

    def tokens(self) -> list[Token]:
        """All tokens of the stretch."""
        found: list[Token] = []
        while self.scanner.peek():
            start = self.scanner.at
            try:
                found += self.piece(self.scanner.take(), start)
            except NotUnderstood as why:
                found.append(self._unread(why, start))
        return found

    def _unread(self, why: NotUnderstood, start: int) -> Token:
        """What stands in the place of what was not understood; it is passed, with the arguments of a command."""
        self.scanner.pass_command(start)
        place = (start, self.scanner.at)
        return Token("UNREAD", NotUnderstood(why.why, why.place or place), place)

    def piece(self, piece: str, start: int) -> list[Token]:
        """The tokens of a piece and of its arguments; it began at `start` and has been passed."""
        if piece in RELATIONS:
            return [self._token("REL", start, CANONICAL.get(piece, piece))]
        if piece in _COMMANDS:
            return _COMMANDS[piece](self, piece, start)
        if piece.lstrip("\\") in LETTERS or (len(piece) == 1 and piece.isalpha()):
            return self._letter(piece, start)
        if piece[0].isdigit():
            return [self._token("NUMBER", start, piece)]
        if piece in NAMED_SIGNS:
            return [self._token("SYMBOL", start, Symbol(NAMED_SIGNS[piece]))]
        if piece in SIGNS:
            return [self._token(SIGNS[piece], start, piece if piece == r"\cdot" else None)]
        why = self.scanner.misplaced(piece, start)
        raise self.scanner.fail(why or f"{piece!r} is not in this book's notation", start)

    def _token(self, kind: str, start: int, value: object = None) -> Token:
        return Token(kind, value, (start, self.scanner.at))

    def _inside(self, place: Place) -> list[Token]:
        """The tokens of a place that has been passed."""
        return _Lexer(self.scanner.latex[: place[1]], place[0], self.named).tokens()

    def _group(self) -> list[Token]:
        """The argument that comes, between a mark where it opens and one where it closes."""
        start = self.scanner.at
        inner = self._inside(self.scanner.argument())
        end = self.scanner.at
        return [Token("OPEN", "{", (start, start)), *inner, Token("CLOSE", "}", (end, end))]

    # Commands, and what they do with their arguments

    def _transparent(self, piece: str, start: int) -> list[Token]:
        return self._inside(self.scanner.argument())

    def _brace(self, piece: str, start: int) -> list[Token]:
        """A pair of braces, which is invisible in print."""
        self.scanner.at = start
        return self._inside(self.scanner.argument())

    def _named_brace(self, piece: str, start: int) -> list[Token]:
        place = self.scanner.argument()
        if self.scanner.peek() in ("_", "^"):
            self.scanner.take()
            self.named.append((self.scanner.argument(), place))
        return self._inside(place)

    def _tagged(self, piece: str, start: int) -> list[Token]:
        self.tag = self.scanner.text(self.scanner.argument())
        return []

    def _labelled(self, piece: str, start: int) -> list[Token]:
        self.scanner.argument()
        return []

    def _fraction(self, piece: str, start: int) -> list[Token]:
        return [self._token("FRAC", start), *self._group(), *self._group()]

    def _root(self, piece: str, start: int) -> list[Token]:
        if self.scanner.peek() == "[":
            raise self.scanner.fail("roots other than the square root are not in this book", start)
        return [self._token("SQRT", start), *self._group()]

    def _script(self, piece: str, start: int) -> list[Token]:
        return [self._token("POWER" if piece == "^" else "BELOW", start), *self._group()]

    def _minimiser(self, piece: str, start: int) -> list[Token]:
        if self.scanner.peek() != r"\min":
            raise self.scanner.fail(f"{piece!r} is not in this book's notation", start)
        self.scanner.take()
        return [self._token("ARGMIN", start)]

    def _double_integral(self, piece: str, start: int) -> list[Token]:
        return [self._token("INT", start)] * 2

    def _upright(self, piece: str, start: int) -> list[Token]:
        """A word in upright letters: a function, a label, a word between two statements."""
        text = self.scanner.text(self.scanner.argument()).strip()
        if text in UPRIGHT:
            return [self._token(UPRIGHT[text], start)]
        if text in ("", ",", "."):
            return [self._token("COMMA", start)] if text == "," else []
        if text == "d":  # an upright d of a differential
            return self._letter("d", start)
        if text in NAMED_BY_WORDS:
            return self._scripted(NAMED_BY_WORDS[text], "", start)
        if text in ("for", "if", "where", "with", "and", "for all", "when"):
            return [self._token("COMMA", start), self._token("QUAD", start)]
        return [self._token("SYMBOL", start, Symbol(text if text in ("SNR", "tr") else f"text {text}"))]

    # Letters, and what hangs on them

    def _styled(self, piece: str, start: int) -> list[Token]:
        text = self.scanner.text(self.scanner.argument())
        base = STYLES.get((piece, text.strip()))
        if base is None:
            raise self.scanner.fail(f"{piece}{{{text}}} is not in this book's notation", start)
        return [self._token(base, start)] if base in ("VAR", "INDICATOR") else self._scripted(base, "", start)

    def _bold(self, piece: str, start: int) -> list[Token]:
        place = self.scanner.argument()
        inner = self.scanner.text(place).strip()
        if inner.isdigit():
            return [self._token("NUMBER", start, inner)]
        under = self._one_letter(place, "bold type belongs on one letter", start)
        if under != Symbol(under.base):
            raise self.scanner.fail("bold type belongs on one letter", start)
        return self._scripted(under.base, "", start)

    def _one_letter(self, place: Place, why: str, start: int) -> Symbol:
        """The letter that stands in a place, if nothing else does."""
        found = self._inside(place)
        for token in found:
            if token.kind == "UNREAD":
                raise token.value
        if len(found) != 1 or found[0].kind != "SYMBOL":
            raise self.scanner.fail(why, start)
        letter: Symbol = found[0].value
        return letter

    def _accented(self, piece: str, start: int) -> list[Token]:
        under = self._one_letter(self.scanner.argument(), "an accent belongs on one letter", start)
        if under.accent:
            raise self.scanner.fail("an accent belongs on one letter", start)
        if under != Symbol(under.base):  # the bar over a letter and its index
            return [self._token("SYMBOL", start, replace(under, accent=ACCENTS[piece]))]
        return self._scripted(under.base, ACCENTS[piece], start)

    def _letter(self, piece: str, start: int) -> list[Token]:
        scanner = self.scanner
        name = LETTERS.get(piece.lstrip("\\")) if piece.startswith("\\") else piece
        if name is None or not name.isalpha():
            raise scanner.fail(f"{piece!r} is not a letter", start)
        if name == "d" and FOLLOWING.match(scanner.latex, scanner.at):
            over, *more = self.piece(scanner.take(), start)
            if more or over.kind != "SYMBOL":
                raise scanner.fail("something on a differential: put brackets", start)
            return [self._token("DIFFERENTIAL", start, over.value)]
        if name == "K" and re.match(r"L\s*(?:\\left|\\[bB]igg?l?)?\s*[(\[]", scanner.latex[scanner.at :]):
            scanner.take()
            return [self._token("KL", start)]
        return self._scripted(name, "", start)

    def _scripted(self, base: str, accent: str, start: int) -> list[Token]:
        """A letter, then what stands below it and above it, in any order."""
        scanner = self.scanner
        below: Place | None = None
        above: Place | None = None
        if scanner.peek() == "'" and not accent:
            scanner.take()
            accent = "prime"
        while (sign := scanner.peek()) in ("_", "^"):
            if (below if sign == "_" else above) is not None:
                raise scanner.fail("two indices in the same place", start)
            scanner.take()
            if sign == "_":
                below = scanner.argument()
                continue
            before = scanner.at
            above = scanner.argument()
            if scanner.text(above).strip() in STARS and not accent:
                accent = "star"
                above = None
                continue
            if scanner.text(above).strip() == r"\top":
                below = self._subscript() if below is None else below
                power = [Token("OPEN", "{", above), *self._inside(above), Token("CLOSE", "}", above)]
                return self._with_scripts(base, accent, below, None, start, power)
            if base not in ("z", "x") and not self._is_name_of_loss(base, above):
                scanner.at = before
                power = self._group()
                below = self._subscript() if below is None else below
                return self._with_scripts(base, accent, below, None, start, power)
        return self._with_scripts(base, accent, below, above, start, [])

    def _is_name_of_loss(self, base: str, above: Place) -> bool:
        r"""Whether a word stands above a loss, as in $L_t^\text{simple}$: it is a name, and no power."""
        return base in LOSSES and bool(_label(_script_text(self.scanner.text(above))))

    def _subscript(self) -> Place | None:
        """The subscript that comes, if one comes, and pass over it."""
        if self.scanner.peek() != "_":
            return None
        self.scanner.take()
        return self.scanner.argument()

    def _with_scripts(
        self, base: str, accent: str, below: Place | None, above: Place | None, start: int, power: list[Token]
    ) -> list[Token]:
        """The token of a letter with its scripts, and those of its power."""
        raised = [self._token("POWER", start), *power] if power else []
        if base == "calE":
            return self._expectation(below, raised, start)
        text = _script_text(self.scanner.text(below)) if below else ""
        if base == "D" and text == "KL":
            if power or accent:
                raise self.scanner.fail("something on the divergence: put brackets round it", start)
            return [self._token("KL", start)]
        here = (start, self.scanner.at)
        copy: Index | Range | None = None
        named = _label(_script_text(self.scanner.text(above))) if above and base in LOSSES else ""
        if above and not named:
            numbers = self.scanner.text(above).strip().strip("()").split(":")
            copy = _index_or_range([_read_index(number, here) for number in numbers])
        if base in LOSSES and text in (r"\theta,\phi", r"\phi,\theta"):
            text = ""
        label = _label(text)
        index: Index | Range | None = None
        if text and not label:
            ends = [_read_index(end, here) for end in text.split(":")]
            if len(ends) > 2:
                raise NotUnderstood(f"{text!r} is no range", here)
            index = _index_or_range(ends)
        return [self._token("SYMBOL", start, canonical(Symbol(base, accent, index, named or label, copy))), *raised]

    def _expectation(self, below: Place | None, raised: list[Token], start: int) -> list[Token]:
        laws: list[Token] = []
        if below:
            inner = self._inside(below)
            laws = [
                self._token("BELOW", start),
                self._token("OPEN", start, "{"),
                *inner,
                self._token("CLOSE", start, "}"),
            ]
        if raised:
            raise self.scanner.fail("is it the expectation of a power, or the power of an expectation?", start)
        return [self._token("E", start), *laws]


_Command = Callable[[_Lexer, str, int], list[Token]]

_COMMANDS: dict[str, _Command] = {
    **dict.fromkeys((r"\mathrel", r"\mathbin", r"\mathop"), _Lexer._transparent),
    **dict.fromkeys((r"\underbrace", r"\overbrace"), _Lexer._named_brace),
    **dict.fromkeys((r"\text", r"\operatorname", r"\mathrm", r"\textrm", r"\operatorname*"), _Lexer._upright),
    **dict.fromkeys((r"\frac", r"\tfrac", r"\dfrac"), _Lexer._fraction),
    **dict.fromkeys((r"\mathbb", r"\mathcal"), _Lexer._styled),
    **dict.fromkeys(BOLD, _Lexer._bold),
    **dict.fromkeys(ACCENTS, _Lexer._accented),
    **dict.fromkeys(("^", "_"), _Lexer._script),
    "{": _Lexer._brace,
    r"\tag": _Lexer._tagged,
    r"\label": _Lexer._labelled,
    r"\sqrt": _Lexer._root,
    r"\arg": _Lexer._minimiser,
    r"\iint": _Lexer._double_integral,
}
"""The commands that take arguments, and what makes tokens of them."""


def _script_text(text: str) -> str:
    """A subscript without spacing and without what only changes its looks."""
    text = re.sub(r"\\rm\s+", "", text)
    text = re.sub(r"\\[,;! ]|\s", "", text)
    text = re.sub(r"\\(?:text|mathrm|operatorname)\{(-?\w+)\}", r"\1", text)
    return re.sub(r"\\(?:boldsymbol|mathbf|bm)\{?(\\?[a-zA-Z]+)\}?", r"\1", text)


def _label(text: str) -> str:
    """The name that a subscript is, or nothing if it is none: it counts something then."""
    if re.fullmatch(r"\\tilde\{?q\}?", text):
        return "tilde q"
    if re.fullmatch(r"\\beta(-?VAE)?", text):
        return "beta"
    if text == r"\mathcal{D}":
        return "data"
    return text.lstrip("\\") if re.fullmatch(r"\\(theta|phi|sigma)|q|p|w|[A-Za-z]{2,}", text) else ""


def _index_or_range(ends: list[Index]) -> Index | Range:
    """An index, or the two ends of a range."""
    return Range(*ends) if len(ends) == 2 else ends[0]


def _read_index(text: str, place: Place) -> Index:
    """The index that a text is: a letter, a number, or a letter and what is added to it."""
    if text.strip() in LEVELS:
        return Index(text.strip()[1:])
    found = re.fullmatch(r"([a-zA-Z])?(?:([+-]?)(0|[1-9]\d*))?", text.replace(" ", ""))
    if not text or not found or (found[1] and found[3] and not found[2]) or (found[2] and not found[1]):
        raise NotUnderstood(f"the index {text!r} is not in this book's notation", place)
    return Index(found[1], int((found[2] or "") + (found[3] or "0")))


def _check_pairs(latex: str) -> None:
    """Brackets that grow come in pairs and stand before a bracket; environments are closed by their own name."""
    sides = re.findall(r"\\(left|right)(?![a-zA-Z])\s*(\\[a-zA-Z]+|\\.|.)", latex)
    if any(after not in BRACKETS for _, after in sides):
        raise NotUnderstood("\\left and \\right stand before a bracket")
    if [side for side, _ in sides].count("left") * 2 != len(sides):
        raise NotUnderstood("a \\left without its \\right")
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\s*\{([^}]*)\}", latex):
        if kind == "begin":
            stack.append(name)
        elif not stack or stack.pop() != name:
            raise NotUnderstood(f"\\end{{{name}}} does not close what was opened")
    if stack:
        raise NotUnderstood(f"\\begin{{{stack[-1]}}} is never closed")


def _check_braces(latex: str) -> None:
    """Braces come in pairs, and are not too many within one another."""
    opened: list[int] = []
    for found in re.finditer(r"\\.|[{}]", latex, re.S):
        place = found.span()
        if found.group() == "{":
            opened.append(found.start())
        elif found.group() == "}":
            if not opened:
                raise NotUnderstood("a brace is closed that was not opened", place)
            opened.pop()
        if len(opened) > MOST:  # told before all of it is read again at each depth
            raise NotUnderstood(TOO_DEEP, place)
    if opened:
        raise NotUnderstood("a brace is never closed", (opened[-1], opened[-1] + 1))


def tokenise(latex: str) -> tuple[list[Token], str, list[Named]]:
    """The tokens of a formula, its tag, and what its braces name.

    Args:
        latex: A displayed equation without its dollars.

    Returns:
        The tokens, the tag, and for each brace the places of its name and of what it names. What is not in the book's
        notation is a token `UNREAD`, whose value says why.

    Raises:
        NotUnderstood: If braces or environments do not come in pairs: nothing can be told apart then.
    """
    _check_pairs(latex)
    _check_braces(latex)
    lexer = _Lexer(latex)
    try:
        found = lexer.tokens()
    except RecursionError:
        raise NotUnderstood(TOO_DEEP) from None
    return found, lexer.tag, lexer.named
