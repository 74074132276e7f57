r"""The displays of a LaTeX source, and of the files that it brings in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from diffusion_notes.equations.language.macros import Macro, Origins, definitions, expand
from diffusion_notes.equations.language.syntax_tree import NotUnderstood
from diffusion_notes.equations.sources.delimiters import OPENS, delimited
from diffusion_notes.equations.sources.equation import Piece, Unreadable
from diffusion_notes.equations.sources.text import text_of

__all__ = ["macros", "pieces"]

VERBATIM = r"verbatim\*?|Verbatim|lstlisting|minted|comment|alltt|filecontents\*?"
NOT_SET = re.compile(
    rf"\\begin\s*\{{({VERBATIM})\}}.*?(?:\\end\s*\{{\1\}}|$(?![\s\S]))|\\(?:verb\*?|lstinline)([^\sa-zA-Z*{{]).*?\2"
    r"|\\iffalse(?![a-zA-Z]).*?\\fi(?![a-zA-Z])|\\end\s*\{document\}.*|\\endinput.*|\\.|%[^\n]*",
    re.S,
)
"""What is not typeset, and escaped signs, which are kept."""
BEGINS = re.compile(r"\\begin\s*\{document\}")
CLOSES = re.compile(r"\\end\s*\{|\\\]|\$\$")
BRINGS = re.compile(
    r"\\(?:input|include|subfile)\s*(?:\{([^{}]*)\}|([^\s{}\\]+))|\\usepackage\s*(?:\[[^\]]*\])?\s*\{([^{}]*)\}"
)
FORMULA = re.compile(r"\$((?:\\.|[^$\\])*)\$|\\\((.*?)\\\)", re.S)
SIGNS = re.compile(rf"{BRINGS.pattern}|{OPENS.pattern}|\\.|\$", re.S)
BLANK_LINE = re.compile(r"\n[ \t]*\n")

UNCLOSED = "a display begins here that nothing ends"


def macros(path: Path) -> dict[str, Macro]:
    """What a source, and what it brings in, defines.

    Args:
        path: A LaTeX source.
    """
    return _Source(path).macros


def pieces(path: Path) -> Iterator[tuple[Path, Piece]]:
    """All mathematics of a source, in order, each with the file in which it stands.

    Args:
        path: A LaTeX source.
    """
    source = _Source(path)
    return source.pieces(path)


class _Source:
    """A source, and what it defines; an author's short commands open and close displays too."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.open: list[Path] = []
        self.macros: dict[str, Macro] = {}
        self._gather(path)
        self.short = {n: m for n, m in self.macros.items() if OPENS.search(m.body) or CLOSES.search(m.body)}

    def _gather(self, path: Path) -> None:
        """Gather what a file defines, and what those that it brings in define."""
        text = typeset(path)
        self.open.append(path)
        for _, new in definitions(text, self.macros):
            self.macros |= new
        for brought in BRINGS.finditer(text):
            for file in self._files(path, brought):
                with suppress(Unreadable):
                    self._gather(file)
        self.open.remove(path)

    def pieces(self, path: Path) -> Iterator[tuple[Path, Piece]]:
        """The mathematics of a file, and of those that it brings in."""
        text = typeset(path)
        self.open.append(path)
        for (begin, end), _ in list(definitions(text, {})):
            text = text[:begin] + _blanks(text[begin:end]) + text[end:]
        yield from self._scanned(path, text)
        self.open.remove(path)

    def _scanned(self, path: Path, typed: str) -> Iterator[tuple[Path, Piece]]:
        text, origins = self._written_out(typed)
        start = BEGINS.search(text)
        at = 0
        while found := SIGNS.search(text, at):
            line = typed.count("\n", 0, origins.place(found.span())[0]) + 1
            at = found.end()
            if brought := BRINGS.match(text, found.start()):
                yield from self._brought(path, brought, line)
            elif start and found.start() < start.start():
                continue
            elif OPENS.match(text, found.start()) and found.group() != r"\\[":
                display = delimited(text, found.start())
                at = display.end if display else at
                latex = text[display.content] if display else text[found.start() :].partition("\n")[0]
                line += latex[: len(latex) - len(latex.lstrip())].count("\n")
                yield path, Piece("display", latex.strip(), line, trouble="" if display else UNCLOSED)
            elif (formula := FORMULA.match(text, found.start())) and not BLANK_LINE.search(formula.group()):
                at = formula.end()
                yield path, Piece("formula", formula[1] or formula[2] or "", line)

    def _written_out(self, text: str) -> tuple[str, Origins]:
        """A text in which what opens and closes displays stands for itself."""
        try:
            return expand(text, self.short)
        except NotUnderstood:
            return expand(text, {})

    def _brought(self, path: Path, brought: re.Match[str], line: int) -> Iterator[tuple[Path, Piece]]:
        """What a file has that is brought in."""
        files = self._files(path, brought)
        if not files and not brought[3]:
            yield path, Piece("display", brought.group(), line, trouble="this file is brought in, and is not there")
        for file in files:
            try:
                yield from self.pieces(file)
            except Unreadable as why:
                yield path, Piece("display", brought.group(), line, trouble=f"this file is brought in, and {why}")

    def _files(self, path: Path, brought: re.Match[str]) -> list[Path]:
        """The files that a command brings in, if they are there; packages only from beside."""
        ending = ".sty" if brought[3] else ".tex"
        names = [name.strip() for name in (brought[3] or brought[1] or brought[2]).split(",")]
        return [file for name in names if (file := self._beside(path, name, ending))]

    def _beside(self, path: Path, name: str, ending: str) -> Path | None:
        """The file that a name means, if it is there and not being read already."""
        names = (folder / f"{name}{end}" for folder in (self.folder, path.parent) for end in (ending, ""))
        return next((file for file in names if file.is_file() and file not in self.open), None)


def typeset(path: Path) -> str:
    """The text of a file, with blanks for what is not typeset."""
    return NOT_SET.sub(_blank, text_of(path))


def _blank(found: re.Match[str]) -> str:
    return found.group() if re.fullmatch(r"\\.", found.group(), re.S) else _blanks(found.group())


def _blanks(text: str) -> str:
    """Blanks for a text, and its line feeds."""
    return re.sub(r"[^\n]", " ", text)
