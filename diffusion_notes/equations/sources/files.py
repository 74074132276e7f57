"""The displayed equations of a file, whatever kind of file it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diffusion_notes.equations.language.macros import Macro, definitions, expand, from_table, without_comments
from diffusion_notes.equations.language.syntax_tree import NotUnderstood
from diffusion_notes.equations.sources import latex, markdown, notebook
from diffusion_notes.equations.sources.equation import Equation, Piece, Unreadable
from diffusion_notes.equations.sources.text import text_of

__all__ = ["about", "displays", "heading_text"]

MARKDOWN = (".md", ".markdown", ".mdown", ".mkd", ".mdx", ".myst", ".qmd", ".rmd", ".txt")
LATEX = (".tex", ".ltx", ".latex")
REMARK = re.compile(r"^[ \t]*(?:%+|<!--)[ \t]*(chapter|context|conventions):[ \t]*(.*?)[ \t]*(?:-->)?[ \t]*$", re.M)


def displays(path: Path) -> list[Equation]:
    """All displayed equations of a file, in order.

    Args:
        path: Markdown, a notebook, or a LaTeX source.

    Raises:
        OSError: If there is no such file, or none that may be read.
        Unreadable: If it is none of these.
    """
    macros = latex.macros(path) if _is(path, LATEX) else stated_macros(about(path))
    found: list[Equation] = []
    for file, cell, piece in _pieces(path):
        text = without_comments(piece.latex)
        defined = [new for _, new in definitions(text, macros)]
        if piece.trouble or (piece.kind == "display" and _says_something(text, macros)):
            found.append(Equation(piece.latex, piece.anchor, (), piece.line, cell, file, piece.trouble, macros))
        for new in defined:
            macros = macros | new
    return found


def about(path: Path) -> dict[str, Any]:
    """What a file says about itself: in its front matter, or in remarks, `% chapter: vae`, `<!-- chapter: vae -->`.

    Args:
        path: Markdown, a notebook, or a LaTeX source.
    """
    text = heading_text(path)
    return dict(REMARK.findall(text)) | markdown.front_matter(text)


def heading_text(path: Path) -> str:
    """The text of a file in which its front matter and its headings are."""
    return "\n".join(text for _, text in _texts(path)) if not _is(path, LATEX) else text_of(path)


def stated_macros(said: Mapping[str, Any]) -> dict[str, Macro]:
    """The macros that front matter has: MyST's `math`, MathJax's and KaTeX's `macros`."""
    tables = [said.get("math"), said.get("macros"), *(_inner(said.get(key)) for key in ("mathjax", "katex", "math"))]
    return {name: macro for table in tables if isinstance(table, Mapping) for name, macro in from_table(table).items()}


def _inner(said: object) -> object:
    return said.get("macros") if isinstance(said, Mapping) else None


def _says_something(latex: str, macros: Mapping[str, Macro]) -> bool:
    """Whether anything is left of a display that may only define macros."""
    try:
        return bool(expand(latex, macros)[0].strip())
    except NotUnderstood:
        return True


def _pieces(path: Path) -> Iterator[tuple[Path, int | None, Piece]]:
    if _is(path, LATEX):
        yield from ((file, None, piece) for file, piece in latex.pieces(path))
        return
    for cell, text in _texts(path):
        yield from ((path, cell, piece) for piece in markdown.pieces(text))


def _texts(path: Path) -> list[tuple[int | None, str]]:
    """The Markdown of a file, by cells if it is a notebook."""
    if _is(path, (".ipynb",)):
        return list(notebook.cells(text_of(path)))
    if _is(path, MARKDOWN):
        return [(None, text_of(path))]
    if path.is_dir():
        raise Unreadable("it is a folder")
    raise Unreadable("it is no Markdown, no notebook and no LaTeX by its ending")


def _is(path: Path, endings: tuple[str, ...]) -> bool:
    return path.suffix.lower() in endings
