"""A reader's questions, and the answers in the page."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from diffusion_notes._arguments.values import check_choice, check_kind
from diffusion_notes.equations.language.parser import read_expression, read_whole
from diffusion_notes.equations.language.syntax_tree import Node
from diffusion_notes.equations.verdicts.judge import Verdict
from diffusion_notes.equations.verdicts.page import Page
from diffusion_notes.equations.worlds.world import CHAINS

__all__ = ["Report", "check", "contains"]

ESCAPED = re.compile(r"([\\`*_$<>|\[\]])")
SYMBOL = re.compile(
    r"((?:\\(?:bar|tilde) ?)?\\(?:alpha|beta|sigma|mu|varepsilon|theta|kappa)(?![a-z])(?:_\{[\w+-]*\}|_\w)?)"
)
"""A letter in what is said, which a page sets as maths."""
PATIENCE = 3.0
"""So many seconds it looks, for all wrong links of a display together, for what would make them true."""

SIGNS = {"proved": "✓", "holds": "✓", "definition": "≔", "fails": "✗", "not understood": "?"}


@dataclass(frozen=True)
class Report:
    """The verdicts on a display; true if all of it holds.

    Args:
        latex: The display.
        verdicts: One for each relation, and each link of a chain.
    """

    latex: str
    verdicts: tuple[Verdict, ...]

    def __bool__(self) -> bool:
        return all(verdict.good for verdict in self.verdicts)

    def _lines(self) -> list[tuple[Verdict, str]]:
        return [(v, f"{SIGNS[v.kind]} {v.told}{self._where(v)}") for v in self.verdicts]

    def _where(self, verdict: Verdict) -> str:
        return f" (here: {' '.join(self.latex[slice(*verdict.place)].split())})" if verdict.place else ""

    def __str__(self) -> str:
        return "\n".join(f"{line}\n    {verdict.latex}" for verdict, line in self._lines())

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        """The display as it is printed, if it can be, and the verdicts below it."""
        shown = "" if any(v.place for v in self.verdicts) else f"$$\n{self.latex.strip()}\n$$\n\n"
        alike = self.verdicts if self and len({verdict.told for verdict in self.verdicts}) == 1 else ()
        if len(alike) > 1:  # what is said of all of them is said once
            said = replace(self, verdicts=alike[:1])._said(alike[0])
            return f"{shown}{said}, in each of {len(alike)} relations"
        return shown + "\n\n".join(map(self._said, self.verdicts))

    def _said(self, verdict: Verdict) -> str:
        """A verdict as a paragraph of Markdown, and of what it is, if there are several."""
        plain = not verdict.reading and verdict.detail.startswith(verdict.kind)
        told = verdict.told.removeprefix(f"{verdict.kind}: ") if plain else verdict.told
        of = "" if len(self.verdicts) == 1 else f" `{' '.join(verdict.latex.split())}`"
        text = "".join(
            f"${piece}$" if i % 2 else ESCAPED.sub(r"\\\1", piece) for i, piece in enumerate(SYMBOL.split(told))
        )
        place = re.sub(r"\((here: )(.*)\)$", r"(\1`\2`)", self._where(verdict))
        return f"{SIGNS[verdict.kind]}{of} {text}{place}"


def check(latex: str, chapter: str = "ddpm", *, hints: bool = True) -> Report:
    r"""Ask whether an equation holds.

    Args:
        latex: The equation, in the book's notation, without dollars.
        chapter: Whose notation it uses: `vae`, `hvae`, `diffusion`, `ddpm`, `samplers`, `score`,
            `conditioning`, `guidance` or `signals`.
        hints: Whether to look for one symbol that would make a wrong line true; that may take a second or two.

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
    check_kind("hints", hints, bool, "True or False")
    page = Page(chapter, conventions=(), patience=PATIENCE if hints else 0.0)
    return Report(latex, tuple(page.judge(latex)))


def contains(latex: str, part: str) -> bool:
    r"""Whether an expression occurs in an equation, right of its first relation.

    Args:
        latex: The equation.
        part: The expression; a bare letter is found with any arguments, $\tilde\mu_t$ in $\tilde\mu_t(x_t, x_0)$, and
            a density whether or not its parameters are written, with its variables in any order.

    Raises:
        TypeError: If one of them is no string.
        NotUnderstood: If one of them is not in the book's notation.

    Example:
        >>> contains(r"\beta_t = 1 - \alpha_t", r"\alpha_t"), contains(r"\beta_t = 1 - \alpha_t", r"\beta_t")
        (True, False)
    """
    check_kind("latex", latex, str, "a string")
    check_kind("part", part, str, "a string")
    wanted = _without_labels(read_expression(part))
    first, *others = read_whole(latex).statements
    sides = [side for side in first.sides[1:] if side is not None]
    sides += [side for statement in others for side in statement.expressions]
    found = (node for side in sides for node in _without_labels(side).walk())
    return any(node == wanted or (wanted.kind == "symbol" and wanted.value in node.symbols()) for node in found)


def _without_labels(node: Node) -> Node:
    """An expression without the parameters of its laws, and with their variables in one order."""
    value = node.value
    if node.kind in ("density", "given"):
        law = 1 if node.kind == "density" else 0
        symbols = [replace(symbol, label="") for symbol in value]
        value = (*symbols[:law], *sorted(symbols[law:], key=str))
    return replace(node, parts=tuple(map(_without_labels, node.parts)), value=value)
