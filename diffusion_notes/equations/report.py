"""A reader's question, and the answer in the page."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap

from diffusion_notes._arguments.values import check_choice, check_kind
from diffusion_notes.equations.judge import Page, Verdict
from diffusion_notes.equations.worlds import CHAINS

__all__ = ["Report", "check"]

SIGNS = {"proved": "✓", "holds": "✓", "definition": "≔", "fails": "✗", "not understood": "?"}


@dataclass(frozen=True)
class Report:
    """The verdicts on a display; true if all of it holds.

    Args:
        latex: The display.
        verdicts: One for each relation.
    """

    latex: str
    verdicts: tuple[Verdict, ...]

    def __bool__(self) -> bool:
        return all(verdict.good for verdict in self.verdicts)

    def _lines(self) -> list[tuple[Verdict, str]]:
        return [(v, f"{SIGNS[v.kind]} {v.kind}: {v.detail}" + self._where(v)) for v in self.verdicts]

    def _where(self, verdict: Verdict) -> str:
        return f" (here: {' '.join(self.latex[slice(*verdict.place)].split())})" if verdict.place else ""

    def __str__(self) -> str:
        return "\n".join(f"{line}\n    {verdict.latex}" for verdict, line in self._lines())

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        """The display as it is printed, if it can be, and the verdicts below it."""
        shown = "" if any(v.place for v in self.verdicts) else f"$$\n{self.latex.strip()}\n$$\n\n"
        text = []
        for verdict, line in self._lines():
            of = [] if len(self.verdicts) == 1 else wrap(verdict.latex, 74, subsequent_indent="  ")
            text += [*of, *wrap(line, 74, subsequent_indent="  ")]
        return f"{shown}```text\n" + "\n".join(text) + "\n```"


def check(latex: str, chapter: str = "ddpm") -> Report:
    r"""Ask whether an equation holds.

    Args:
        latex: The equation, in the book's notation, without dollars.
        chapter: Whose notation it uses: `vae`, `hvae`, `diffusion` or `ddpm`.

    Returns:
        A report, with a verdict for each relation. It is true if all of them hold.

    Raises:
        TypeError: If `latex` is no string.
        ValueError: If there is no such chapter.

    Example:
        >>> print(check(r"\bar\alpha_t = \bar\alpha_{t-1} \alpha_t"))
        ✓ proved: proved symbolically
            \bar\alpha_t = \bar\alpha_{t-1} \alpha_t
    """
    check_kind("latex", latex, str, r"a string, such as r'\alpha_t = 1 - \beta_t'")
    check_choice("chapter", chapter, CHAINS)
    return Report(latex, tuple(Page(chapter).judge(latex)))
