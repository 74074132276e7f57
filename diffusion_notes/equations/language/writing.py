"""Symbols, written in LaTeX once more: for what is said of an equation."""

from __future__ import annotations

from diffusion_notes.equations.language.syntax_tree import Index, Range, Symbol

__all__ = ["in_latex"]

LETTERS = {"eps": r"\varepsilon", "calL": r"\mathcal{L}", **{w: f"\\{w}" for w in ("alpha", "beta", "mu", "sigma")}}
LETTERS |= {w: f"\\{w}" for w in ("theta", "phi", "kappa", "lambda", "eta", "tau", "gamma", "Sigma")}


def in_latex(symbol: Symbol) -> str:
    r"""A symbol in LaTeX.

    Example:
        >>> print(in_latex(Symbol("alpha", "bar", Index("t", -1))))
        \bar\alpha_{t-1}
    """
    letter = LETTERS.get(symbol.base, symbol.base)
    if symbol.accent:
        letter = rf"\{symbol.accent}{letter if letter.startswith(chr(92)) else ' ' + letter}"
    below = LETTERS.get(symbol.label, symbol.label)
    index = symbol.index
    if isinstance(index, Range):
        below += f"{_counted(index.first)}:{_counted(index.last)}"
    elif index is not None:
        below += _counted(index)
    return letter + (f"_{below}" if len(below) == 1 else f"_{{{below}}}" if below else "")


def _counted(index: Index) -> str:
    if index.letter is None:
        return str(index.plus)
    return index.letter + (f"{index.plus:+d}" if index.plus else "")
