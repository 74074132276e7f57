"""Equations in files, one a line, each after its chapter."""

from __future__ import annotations

from notebooks import ROOT

__all__ = ["listed"]


def listed(*names: str) -> list[tuple[str, str]]:
    """The lines of some files: a chapter and an equation each."""
    lines = [line for name in names for line in (ROOT / "tests" / name).read_text(encoding="utf-8").splitlines()]
    return [tuple(line.split(": ", 1)) for line in lines]
