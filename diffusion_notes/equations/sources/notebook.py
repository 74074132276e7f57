"""The text of notebooks, of the third and the fourth format; read as what it is, since `nbformat` takes a second."""

from __future__ import annotations

import json
from collections.abc import Iterator

from diffusion_notes.equations.sources.equation import Unreadable

__all__ = ["cells"]


def cells(text: str) -> Iterator[tuple[int, str]]:
    """The cells of a notebook that are text: the number of each, of all cells, and its Markdown.

    Args:
        text: The notebook.

    Raises:
        Unreadable: If it is none.
    """
    for number, cell in enumerate(_all(_loaded(text)), start=1):
        kind = cell.get("cell_type") if isinstance(cell, dict) else None
        source = cell.get("source", "") if isinstance(cell, dict) else ""
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(kind, str) or not isinstance(source, str):
            if kind == "code":
                continue
            raise Unreadable(f"its cell {number} is no cell")
        if kind == "heading":
            yield number, f"# {source}"
        elif kind in ("markdown", "html", "raw"):
            yield number, source.replace("\r\n", "\n")


def _loaded(text: str) -> dict[str, object]:
    try:
        loaded = json.loads(text)
    except RecursionError as error:
        raise Unreadable("it is no notebook: it is nested too deeply") from error
    except ValueError as error:
        raise Unreadable(f"it is no notebook: {error}") from error
    if not isinstance(loaded, dict):
        raise Unreadable("it is no notebook: it has no cells")
    return loaded


def _all(notebook: dict[str, object]) -> list[object]:
    """All cells; the third format has them in worksheets."""
    sheets = notebook.get("worksheets")
    found: list[object] = []
    for sheet in sheets if isinstance(sheets, list) else [notebook]:
        inner = sheet.get("cells") if isinstance(sheet, dict) else None
        if not isinstance(inner, list):
            raise Unreadable("it is no notebook: it has no cells")
        found += inner
    return found
