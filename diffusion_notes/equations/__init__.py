"""Does an equation hold? Reads LaTeX in the book's notation and finds out, with no list of answers.

An algebraic relation is proved by SymPy. A relation among densities, expectations, divergences and bounds is evaluated,
both sides, in worlds in which everything can be computed. What is not understood is said to be so, and never accepted.
"""

from diffusion_notes.equations.anatomy import contains
from diffusion_notes.equations.judge import Page, Verdict
from diffusion_notes.equations.report import Report, check

__all__ = ["Page", "Report", "Verdict", "check", "contains"]
