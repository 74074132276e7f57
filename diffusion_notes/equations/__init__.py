"""Does an equation hold? Reads LaTeX in the book's notation and finds out, with no list of answers.

An algebraic relation is proved by SymPy. A relation among densities, expectations, divergences and bounds is evaluated,
both sides, in worlds in which everything can be computed. What is not understood is said to be so, and never accepted.

Four rooms, each of which uses those before it: `language` makes syntax trees of LaTeX, `worlds` are joint distributions
in which everything is known, `evaluation` finds the value of a tree in a world, `verdicts` compares two sides in all of
them. Above them stand the questions of a reader (`report`), those of an author (`pages`, and the command), the book's
ledger, and a test of the checker itself (`mutants`).
"""

from diffusion_notes._extras import brought_by

with brought_by("equations", __name__, "lark", "scipy", "sympy"):
    from diffusion_notes.equations.report import Report, check, contains
    from diffusion_notes.equations.verdicts.judge import Verdict
    from diffusion_notes.equations.verdicts.page import Page

__all__ = ["Page", "Report", "Verdict", "check", "contains"]
