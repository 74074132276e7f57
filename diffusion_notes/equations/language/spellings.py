r"""Names of the same: $\mathcal{L}_\text{ELBO}$ is the bound $\mathcal{L}$, $p_\text{data}$ the law $q$ of the data.

Only what everybody means by a name is settled here; what one text means and another does not, is a convention.
"""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.language.syntax_tree import Index, Symbol

__all__ = ["canonical"]

BOUNDS = {"elbo": "", "lb": "", "beta": "beta", "betavae": "beta"}
"""What stands below a bound by what it means; without a name it is the bound of the model itself."""

LOSSES = {
    "vlb": "vlb", "vb": "vlb", "vub": "vlb", "vae": "vlb", "nelbo": "vlb",
    "simple": "simple", "ce": "ce",
}  # fmt: skip
"""What stands below a loss by what it means: minus the bound, the loss without weights, the cross entropy."""

OF_THE_DATA = ("data", "true", "real")
"""What stands below the law of the data."""


def canonical(symbol: Symbol) -> Symbol:
    """The letter by which the book calls what a letter is used for everywhere."""
    name = symbol.label.lower()
    match symbol.base:
        case "calF":
            return replace(symbol, base="calL")
        case "L" | "calL" if name in BOUNDS:
            return replace(symbol, base="calL", label=BOUNDS[name])
        case "L" | "calL" if name in LOSSES:
            return replace(symbol, base="L", label=LOSSES[name])
        case "L" | "calL" if name == "iwae":
            return replace(symbol, base="calL", label="", index=symbol.index or Index("K"))
        case "p" | "q" if symbol.label in OF_THE_DATA:
            return replace(symbol, base="q", label="")
    return symbol
