"""What the tests of notebooks and of pages both need."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))


def chapter_numbers() -> dict[str, str]:
    """The number of each chapter, a letter for an appendix, by the name of its notebook: as the book counts them."""
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
    counted = {"numerical": count(1), "alphaupper": iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
    return {
        chapter["file"].removeprefix("book/"): str(next(counted[part.get("style", "numerical")]))
        for part in parts
        if part.get("numbered")
        for chapter in part["chapters"]
    }


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def markdown(path: Path) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def printed(path: Path) -> str:
    """All the text that the cells show."""
    text = []
    for cell in code_cells(path):
        for output in cell.outputs:
            text.append(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(text)
