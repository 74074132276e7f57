r"""An author's own commands, as `\newcommand{\E}{\mathbb{E}}`: gathered from a text, and put in where they are used.

What is read is what TeX reads after its macros, and what is pointed at is what the author typed, so that each character
of the expanded text knows where it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Place

__all__ = ["Macro", "Macros", "Origins", "definitions", "expand", "from_table", "without_comments"]

MOST_EXPANSIONS = 2000  # far more than a page has; a macro that calls itself ends here
CONTROL = re.compile(r"\\(?:[a-zA-Z@]+|[^a-zA-Z@]|$)", re.S)
COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)(%[^\n]*)")
ENVIRONMENT = re.compile(r"\s*\{([^{}]*)\}")
PARAMETER = re.compile(r"#(\d)")
SPACE = re.compile(r"\s*")


@dataclass(frozen=True)
class Macro:
    """What a command of an author's stands for.

    Args:
        body: LaTeX, with `#1`, `#2`, … where its arguments go.
        parameters: How many arguments it takes.
        default: Its first argument, where none is given in square brackets; `None` if it always has to be given.
        sized: Whether a star, or a size in square brackets, may stand before its arguments, and says nothing.
        primitive: Whether the body is a command of LaTeX itself, whatever the page made of its name since.
    """

    body: str
    parameters: int = 0
    default: str | None = None
    sized: bool = False
    primitive: bool = False


Macros = Mapping[str, Macro]
r"""Macros by their names, with the backslash; an environment is two of them, `\begin{name}` and `\end{name}`."""


@dataclass(frozen=True)
class Origins:
    """Where each character of an expanded text was typed: what a macro brought was typed where the macro stands."""

    places: tuple[Place, ...]

    def place(self, place: Place) -> Place:
        """Where a part of the expanded text was typed.

        Args:
            place: The part, as a slice of the expanded text.
        """
        found = self.places[slice(*place)]
        if not found:  # it is between two characters
            begin = min((begin for begin, _ in self.places[place[0] :]), default=self._end)
            return begin, begin
        return min(begin for begin, _ in found), max(end for _, end in found)

    @property
    def _end(self) -> int:
        return max((end for _, end in self.places), default=0)


@dataclass(frozen=True)
class _Typed:
    """A text that knows where it was typed."""

    latex: str
    places: tuple[Place, ...]

    def part(self, begin: int, end: int | None = None) -> _Typed:
        return _Typed(self.latex[begin:end], self.places[begin:end])

    def __add__(self, other: _Typed) -> _Typed:
        apart = re.search(r"\\[a-zA-Z@]+$", self.latex) and other.latex[:1].isalpha()
        between = ((other.places[0][0],) * 2,) if apart else ()
        return _Typed(self.latex + " " * len(between) + other.latex, self.places + between + other.places)


def without_comments(latex: str) -> str:
    """LaTeX with blanks for its comments, so that every place stays where it is."""
    return COMMENT.sub(lambda found: found[1] + " " * len(found[2]), latex)


def from_table(table: Mapping[str, object]) -> dict[str, Macro]:
    r"""The macros of a table, as MathJax, KaTeX and MyST have them.

    Args:
        table: A body for each name, or a list of a body, a number of parameters and a default; the backslash of the
            name may be missing.

    Example:
        >>> from_table({"RR": r"\mathbb{R}", r"\bold": [r"\mathbf{#1}", 1]})[r"\bold"].parameters
        1
    """
    found = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            value = value.get("macro") or value.get("command")
        body, *rest = value if isinstance(value, list) and value else [value]
        if isinstance(body, str):
            count = rest[0] if rest and isinstance(rest[0], int) else _most_parameters(body)
            default = rest[1] if len(rest) > 1 and isinstance(rest[1], str) else None
            found["\\" + str(name).removeprefix("\\")] = Macro(body, count, default)
    return found


def _most_parameters(body: str) -> int:
    return max((int(number) for number in PARAMETER.findall(body)), default=0)


# Reading


class _Reader:
    """Reads the arguments of commands from a text, one after another."""

    def __init__(self, latex: str, at: int) -> None:
        self.latex = latex
        self.at = at

    def skip(self) -> None:
        self.at = SPACE.match(self.latex, self.at).end()  # type: ignore[union-attr]  # it always matches

    def comes(self, sign: str) -> bool:
        """Whether a sign comes; it is passed over."""
        self.skip()
        here = self.latex.startswith(sign, self.at)
        self.at += len(sign) * here
        return here

    def argument(self) -> Place:
        """Where an argument stands: what is in braces, or one piece; passed over.

        Raises:
            ValueError: If there is none.
        """
        self.skip()
        if self.latex.startswith("{", self.at):
            return self._until("{", "}")
        piece = CONTROL.match(self.latex, self.at)
        place = piece.span() if piece else (self.at, self.at + 1)
        if place[1] > len(self.latex) or self.latex[place[0]] == "}":
            raise ValueError("an argument is missing")
        self.at = place[1]
        return place

    def optional(self) -> Place | None:
        """Where an argument in square brackets stands, if one comes; passed over."""
        self.skip()
        return self._until("[", "]") if self.latex.startswith("[", self.at) else None

    def text(self) -> str:
        """An argument."""
        return self.latex[slice(*self.argument())]

    def number(self) -> int:
        """How many parameters there are, as `[2]` says."""
        place = self.optional()
        said = self.latex[slice(*place)].strip() if place else "0"
        if not said.isdecimal():
            raise ValueError("the number of parameters is no number")
        return int(said)

    def _until(self, opening: str, closing: str) -> Place:
        begin = self.at + 1
        depth = 0
        for found in re.compile(r"\\.|[][{}]", re.S).finditer(self.latex, begin):
            if found.group() == closing and depth == 0:
                self.at = found.end()
                return begin, found.start()
            depth += {"{": 1, "}": -1}.get(found.group(), 0)
            if depth < 0:
                break
        raise ValueError(f"{opening} is never closed")


Defined = dict[str, Macro]


def _new_command(reader: _Reader, known: Macros) -> Defined:
    reader.comes("*")
    name = reader.text().strip()
    count = reader.number()
    default = reader.optional()
    return {name: Macro(reader.text(), count, None if default is None else reader.latex[slice(*default)])}


def _provided(reader: _Reader, known: Macros) -> Defined:
    return {name: known.get(name, macro) for name, macro in _new_command(reader, known).items()}


def _def(reader: _Reader, known: Macros) -> Defined:
    name = reader.text()
    begin = reader.at
    stop = reader.latex.find("{", begin)
    parameters = reader.latex[begin:stop].strip()
    if stop < 0 or re.sub(r"#\d|\s", "", parameters):
        raise ValueError("its parameters are delimited by signs")
    reader.at = stop
    return {name: Macro(reader.text(), _most_parameters(parameters))}


def _let(reader: _Reader, known: Macros) -> Defined:
    name = reader.text()
    reader.comes("=")
    meaning = reader.text()
    return {name: known.get(meaning, Macro(meaning, primitive=True))}


def _operator(reader: _Reader, known: Macros) -> Defined:
    star = "*" if reader.comes("*") else ""
    name = reader.text().strip()
    return {name: Macro(rf"\operatorname{star}{{{reader.text()}}}")}


def _paired(reader: _Reader, known: Macros) -> Defined:
    name, left, right = (reader.text().strip() for _ in range(3))
    return {name: Macro(f"{left} #1 {right}", 1, sized=True)}


def _paired_and_more(reader: _Reader, known: Macros) -> Defined:
    name = reader.text().strip()
    count = reader.number()
    left, right, body = (reader.text() for _ in range(3))
    return {name: Macro(f"{left} {body} {right}".replace(r"\delimsize", " "), count, sized=True)}


def _paired_between(reader: _Reader, known: Macros) -> Defined:
    name = reader.text().strip()
    count = reader.number()
    before, left, right, after, body = (reader.text() for _ in range(5))
    whole = f"{before} {left} {body} {right} {after}"
    return {name: Macro(whole.replace(r"\delimsize", " "), count, sized=True)}


def _document_command(reader: _Reader, known: Macros) -> Defined:
    name = reader.text().strip()
    found = re.fullmatch(r"(?:O\s*\{([^{}]*)\})?((?:\s*m)*)\s*", reader.text().strip())
    if not found:
        raise ValueError("its parameters are of a kind that is not read")
    count = found[2].count("m") + (found[1] is not None)
    return {name: Macro(reader.text(), count, found[1])}


def _environment(reader: _Reader, known: Macros) -> Defined:
    reader.comes("*")
    name = reader.text().strip()
    count = reader.number()
    default = reader.optional()
    first = None if default is None else reader.latex[slice(*default)]
    begin = Macro(reader.text(), count, first)
    return {f"\\begin{{{name}}}": begin, f"\\end{{{name}}}": Macro(reader.text())}


DEFINING: dict[str, Callable[[_Reader, Macros], Defined]] = {
    r"\newcommand": _new_command, r"\renewcommand": _new_command, r"\DeclareRobustCommand": _new_command,
    r"\providecommand": _provided, r"\def": _def, r"\gdef": _def, r"\edef": _def, r"\xdef": _def, r"\let": _let,
    r"\DeclareMathOperator": _operator, r"\DeclarePairedDelimiter": _paired,
    r"\DeclarePairedDelimiterX": _paired_and_more, r"\DeclarePairedDelimiterXPP": _paired_between,
    r"\NewDocumentCommand": _document_command, r"\RenewDocumentCommand": _document_command,
    r"\newenvironment": _environment, r"\renewenvironment": _environment,
}  # fmt: skip


def definitions(latex: str, known: Macros) -> Iterator[tuple[Place, Defined]]:
    r"""The definitions of a text, in order: where each stands, and what it defines.

    Args:
        latex: The text, without comments.
        known: What is defined already, for `\let` and `\providecommand`.
    """
    now = dict(known)
    at = 0
    while found := CONTROL.search(latex, at):
        at = found.end()
        if read := _definition(latex, found, now):
            end, defined = read
            now.update(defined)
            at = end
            yield (found.start(), end), defined


def _definition(latex: str, found: re.Match[str], known: Macros) -> tuple[int, Defined] | None:
    """What a command defines, and where it ends; nothing, if it defines nothing that can be read."""
    if found.group() not in DEFINING:
        return None
    reader = _Reader(latex, found.end())
    try:
        defined = DEFINING[found.group()](reader, known)
    except ValueError:
        return None
    return (reader.at, defined) if all(re.match(r"\\[^\\]", name) for name in defined) else None


# Expanding


def expand(latex: str, macros: Macros) -> tuple[str, Origins]:
    r"""A text with what its macros stand for; what it defines itself is taken out of it, and holds from there on.

    Args:
        latex: The text, without comments.
        macros: What is defined before it.

    Returns:
        The expanded text, and where each of its characters was typed.

    Raises:
        NotUnderstood: If a macro calls itself without an end.

    Example:
        >>> text, origins = expand(r"\E[x] = 0", {r"\E": Macro(r"\mathbb{E}")})
        >>> text, origins.place((0, 10))
        ('\\mathbb{E}[x] = 0', (0, 2))
    """
    known = dict(macros)
    text = _Typed(latex, tuple((i, i + 1) for i in range(len(latex))))
    at = 0
    left = MOST_EXPANSIONS
    while found := CONTROL.search(text.latex, at):
        at = found.start()
        if read := _definition(text.latex, found, known):
            end, defined = read
            known.update(defined)
            text = text.part(0, at) + text.part(end)
        elif call := _call(text, found, known):
            end, body, primitive = call
            left -= 1
            if not left or len(text.latex) > 50 * MOST_EXPANSIONS + 2 * len(latex):
                raise NotUnderstood(f"the macro {found.group()} goes on without an end", text.places[at])
            before = text.part(0, at) + body
            text = before + text.part(end)
            at = len(before.latex) if primitive else at
        else:
            at = found.end()
    return text.latex, Origins(text.places)


def _call(text: _Typed, found: re.Match[str], known: Macros) -> tuple[int, _Typed, bool] | None:
    """Where the call of a macro ends, what it stands for, and whether that is not to be expanded again."""
    name, begin = found.group(), found.end()
    if name in (r"\begin", r"\end") and (environment := ENVIRONMENT.match(text.latex, begin)):
        name, begin = f"{name}{{{environment[1].strip()}}}", environment.end()
    if name not in known:
        return None
    macro = known[name]
    reader = _Reader(text.latex, begin)
    try:
        arguments = _arguments(text, reader, macro)
    except ValueError:
        return None
    place = (text.places[found.start()][0], max(end for _, end in text.places[found.start() : begin]))
    return reader.at, _filled(macro.body, arguments, place), macro.primitive


def _arguments(text: _Typed, reader: _Reader, macro: Macro) -> list[_Typed]:
    begin = reader.at
    if macro.sized and not reader.comes("*"):
        reader.optional()
    arguments = []
    if macro.default is not None:
        given = reader.optional()
        place = text.places[begin - 1]
        arguments.append(text.part(*given) if given else _Typed(macro.default, (place,) * len(macro.default)))
    while len(arguments) < macro.parameters:
        arguments.append(text.part(*reader.argument()))
    if not macro.parameters and not macro.sized:
        reader.at = begin  # a space after it is the author's
    return arguments


def _filled(body: str, arguments: list[_Typed], place: Place) -> _Typed:
    """A body with arguments for its parameters; what is the macro's own was typed where the macro stands."""
    result = _Typed("", ())
    for i, part in enumerate(PARAMETER.split(body)):
        if i % 2 == 0:
            result += _Typed(part, (place,) * len(part))
        elif int(part) <= len(arguments):
            result += arguments[int(part) - 1]
    return result
