"""How good is the checker? It is given every displayed relation of the book with one symbol changed.

`python -m diffusion_notes.equations.mutants FILE…` counts the changed relations that were refused (killed), those that
say the same thing as before (equivalent, and proved to), and those that were accepted all the same (survived), which it
lists.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diffusion_notes.equations.language.parser import read_whole
from diffusion_notes.equations.language.syntax_tree import Node, NotUnderstood, Range, Symbol, split_constants
from diffusion_notes.equations.pages import chapter, displays
from diffusion_notes.equations.verdicts.page import Page
from diffusion_notes.equations.verdicts.proof import is_proved
from diffusion_notes.equations.verdicts.side_conditions import side_conditions
from diffusion_notes.equations.worlds.world import ATTACHED

__all__ = ["Mutant", "main", "mutants", "trial"]

CHANGES: tuple[tuple[str, str, str], ...] = (
    ("sign", r"(?<![{\w])\+(?!\d)", "-"),
    ("sign", r"(?<=[\s&(=}{])-(?=[\s\\&(])", "+"),
    ("index", r"_t(?![a-z])|_\{t\}", "_{t-1}"),
    ("index", r"_\{t-1\}", "_t"),
    ("index", r"_\{t-1\}", "_{t+1}"),
    ("index", r"_0(?!\d)", "_1"),
    ("index", r"_1(?!\d)", "_0"),
    ("index", r"_1(?!\d)", "_2"),
    ("index", r"_2(?!\d)", "_1"),
    ("index", r"_T(?![a-z])", "_{T-1}"),
    ("index", r"(?<=_)\{1:T\}", "{2:T}"),
    ("limit", r"(?<=t=)2", "1"),
    ("limit", r"(?<=t=)1", "2"),
    ("limit", r"(?<=\^)\{T\}", "{T-1}"),
    ("letter", r"\\bar\\alpha", r"\\alpha"),
    ("letter", r"(?<!\\bar)\\alpha", r"\\bar\\alpha"),
    ("letter", r"(?<!\\bar)\\alpha", r"\\beta"),
    ("letter", r"(?<!\\tilde)\\beta", r"\\alpha"),
    ("letter", r"(?<!\\tilde)\\beta", r"\\tilde\\beta"),
    ("letter", r"\\tilde\\beta", r"\\beta"),
    ("letter", r"\\sigma_t", r"\\beta_t"),
    ("letter", r"\\mu_\\theta\(x_t, t\)", r"\\tilde\\mu_t(x_t, x_0)"),
    ("letter", r"\\varepsilon_\\theta\(x_t, t\)", r"\\varepsilon"),
    ("letter", r"\bx_0\b", "x_t"),
    ("letter", r"\bz\b(?!\^)", "x"),
    ("letter", r"(?<![\w\\{])y(?![\w{])", "x_0"),
    ("letter", r"(?<![\w\\])k(?![\w{:])(?=\^|\\,)", "v"),
    ("letter", r"(?<![\w\\])w(?![\w{])", "(w + 1)"),
    ("letter", r"(?<![\w\\])M(?![\w{])", "I"),
    ("letter", r"\\Sigma", "I"),
    ("letter", r"\\mu(?![\w_])", "x_0"),
    ("letter", r"\\hat x_0", "x_0"),
    ("letter", r"\\kappa_t", r"\\sigma_t"),
    ("letter", r"X'", "X"),
    ("letter", r"(?<!\bin\{)\\mid x_t(?=[,\s)\]])", r"\\mid x_0"),
    ("law", r"\\tilde p(?=\()", r"p_\\theta"),
    ("law", r"\bp_\\phi(?=\()", "p"),
    ("law", r"\bq_w(?=\()", "q"),
    ("law", r"\bp(?=\()", "q"),
    ("law", r"\bp_\\theta(?=\()", "q"),
    ("law", r"\bq(?=\()", "p"),
    ("law", r"\bq_\\phi(?=\()", "p"),
    ("lost", r"\^2", ""),
    ("lost", r"\\t?frac\{1\}\{2\}", ""),
    ("lost", r"(?<=[{\s])2(?=\s|\\)", ""),
    ("lost", r"\\log", ""),
    ("lost", r"(?<=[\w)}])\s*I(?=\s*\\?[bB]?i?g*[lr]?\))", ""),
    ("lost", r", x_0(?=\))", ""),
    ("lost", r", x(?=\))", ""),
    ("lost", r", [cyh](?=\)|\\s)", ""),
    ("lost", r"\^w", ""),
    ("lost", r"\\det", ""),
    ("lost", r"\^\{-1\}", ""),
    ("root", r"\^\{1/2\}", "^{-1/2}"),
    ("root", r"\^\{-1/2\}", "^{1/2}"),
    ("lost", r"\s*\\mid\s*[^()]*?(?=\s*\))", ""),
    ("lost", r"\\mathbb\{E\}(_\{(?:[^{}]|\{[^{}]*\})*\})?(?=\s*(\\[bB]igg?l?)?\[)", ""),
    ("root", r"\\sqrt\{((?:[^{}]|\{[^{}]*\})*)\}", r"(\1)"),
    ("relation", r"\\ge(?![a-z])", r"\\le"),
    ("relation", r"\\le(?![a-z])", r"\\ge"),
    ("relation", r"\\propto", "="),
    ("relation", r"\\approx", "="),
    ("factor", r"(?<=\{)2(?=\s)|(?<=\{)2(?=\})", "3"),
    ("swap", r"D_\{KL\}(\\[bB]ig+l)?\((.*?)(\\,)?\\Vert(\\,)?(.*?)(\\[bB]ig+r)\)", r"D_{KL}\1(\5\\Vert\2\6)"),
    ("swap", r"\\frac\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", r"\\frac{\2}{\1}"),
)
"""The kind of a change, what is looked for, what is put there; one place at a time."""


@dataclass(frozen=True)
class Mutant:
    """A changed display: what was changed, where, and into what."""

    kind: str
    latex: str
    place: int


def mutants(latex: str) -> Iterator[Mutant]:
    """All changes of one symbol of a display.

    Args:
        latex: What stands between the dollars.
    """
    seen = {latex}
    for kind, pattern, replacement in CHANGES:
        for match in re.finditer(pattern, latex, re.S):
            changed = latex[: match.start()] + match.expand(replacement) + latex[match.end() :]
            if changed not in seen:
                seen.add(changed)
                yield Mutant(kind, changed, match.start())


def _canonical(node: Node, seen: tuple[str, ...] = (), exact: bool = False) -> Node:
    """The same without what makes no difference: the parameters of a law, brackets, and what the chain makes idle.

    Args:
        node: An expression.
        seen: What is seen of the data in this chapter: its law may be called p or q.
        exact: Whether the display says that the classifier is exact: then its law is that one too.
    """
    parts = tuple(_canonical(part, seen, exact) for part in node.parts)
    if node.kind == "group":
        return parts[0]
    noisy = seen and node.kind == "sub" and any(part.value == Symbol("z") for part in parts[1].walk())
    if noisy or (node.kind == "sub" and split_constants(parts[1])[0] is None):  # what is left open has no sign
        return replace(node, kind="add", parts=parts)
    if node.kind == "motion" and len(parts) > 1 and parts[1].kind == "neg":  # and neither has noise
        return replace(node, parts=(parts[0], parts[1].parts[0]))
    if node.kind != "density":
        return replace(node, parts=parts)
    law, *about = node.value
    if (law == Symbol("p") or (exact and law == Symbol("p", label="phi"))) and all(
        symbol == Symbol(symbol.base) and symbol.base in seen for symbol in about
    ):
        return replace(node, parts=parts, value=(Symbol("q"), *about))
    given = list(node.parts[0].value) if node.parts else []
    places: dict[Symbol, int] = {}
    for symbol in (*about, *given):
        place = _order(symbol)
        if place is None:
            return replace(node, parts=parts)
        places[symbol] = place
    kept = [symbol for symbol in given if not _is_idle(symbol, about, given, places)]
    kind = law.label if law.label in ("sigma", "w", "phi") else ""
    value = (Symbol(law.base, law.accent, label=kind), *sorted(about, key=str))
    return Node("density", (Node("given", (), tuple(sorted(kept, key=str))),) if kept else (), value)


def _is_idle(symbol: Symbol, about: list[Symbol], given: list[Symbol], places: dict[Symbol, int]) -> bool:
    """In a Markov chain a condition that another condition separates from what the density is about is idle."""
    others = [places[other] for other in given if other != symbol]
    ends = [sorted((places[symbol], places[variable])) for variable in about]
    return all(any(low < other < high for other in others) for low, high in ends)


def _order(symbol: Symbol) -> int | None:
    """Where a variable stands in the chain; t is somewhere in the middle."""
    if isinstance(symbol.index, Range) or symbol.copy:
        return None
    if symbol.index is None:
        return {"x": 0, "z": 1}.get(symbol.base)
    return {None: 0, "t": 100, "T": 1000}.get(symbol.index.letter, 0) + symbol.index.plus


def equivalent(one: Node | None, other: Node | None, page: Page, exact: bool = False) -> bool:
    """Whether two expressions are the same by the rules of the chain, or by algebra."""
    if one is None or other is None:
        return one is other
    chain = page.context in ("diffusion", "ddpm")
    seen = ATTACHED.get(page.context or "", ())
    return _canonical(one, seen, exact) == _canonical(other, seen, exact) or (chain and is_proved(one, other))


def trial(latex: str, page: Page, after: Sequence[str] = ()) -> list[tuple[Mutant, str, str]]:
    """What becomes of every mutant of a display: `killed`, `equivalent` or `survived`, and the verdict.

    Args:
        latex: A display that holds.
        page: The page up to it.
        after: The displays that follow; what a definition says is tried by what is said with it.
    """
    result: list[tuple[Mutant, str, str]] = []
    following = after if ":=" in latex else ()
    for mutant in mutants(latex):
        there = replace(page, definitions=dict(page.definitions))
        verdicts = there.judge(mutant.latex)
        verdicts += [v for later in following if all(v.good for v in verdicts) for v in there.judge(later)]
        bad = next((verdict for verdict in verdicts if not verdict.good), None)
        if bad is not None:
            result.append((mutant, "killed", bad.kind))
            continue
        fate = "equivalent" if _says_the_same(latex, mutant.latex, page) else "survived"
        result.append((mutant, fate, "; ".join(v.detail for v in verdicts)))
    return result


def _says_the_same(latex: str, changed: str, page: Page) -> bool:
    """Whether a display and a changed one are made of the same relations between equivalent expressions."""
    before = read_whole(latex)
    after = read_whole(changed)
    if [s.relations for s in before.statements] != [s.relations for s in after.statements]:
        return False
    exact = any(choice.kind == "exact" for choice in side_conditions(before)[1].chosen)
    statements = zip((*before.statements, *before.named), (*after.statements, *after.named), strict=False)
    sides = (pair for one, other in statements for pair in zip(one.sides, other.sides, strict=False))
    return all(equivalent(one, other, page, exact) for one, other in sides)


def main(arguments: list[str] | None = None) -> int:
    """Try the displays of the files that are named; the status is 0 if at least 99 % of the mutants are killed."""
    parser = argparse.ArgumentParser(prog="python -m diffusion_notes.equations.mutants", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("-v", "--verbose", action="store_true", help="list the equivalent ones too")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    for path in options.files:
        page = Page(chapter(path), conventions=())
        equations = displays(path)
        for i, equation in enumerate(equations):
            try:
                found = trial(equation.latex, page, [later.latex for later in equations[i + 1 :]])
            except NotUnderstood:
                found = []
            for mutant, fate, detail in found:
                counts[fate] += 1
                if fate == "survived" or (options.verbose and fate == "equivalent"):
                    near = " ".join(mutant.latex[max(mutant.place - 30, 0) : mutant.place + 40].split())
                    print(f"{path.name} {equation.anchor}: {fate} ({mutant.kind}): … {near} …  [{detail}]")
            page.judge(equation.latex)
    tried = counts["killed"] + counts["survived"]
    share = counts["killed"] / max(tried, 1)
    told = ", ".join(f"{counts[fate]} {fate}" for fate in ("killed", "equivalent", "survived"))
    print(f"{told}: {share:.2%} of {tried}")
    return 0 if share >= 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
