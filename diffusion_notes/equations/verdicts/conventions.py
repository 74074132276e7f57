r"""What the same letters stand for on other people's pages: a few conventions, each in use, each said in one sentence.

A convention gives a letter another meaning wherever it stands, never at one place alone: it renames a symbol to one
whose meaning `notation.py` knows, as $\alpha_t$ to $\bar\alpha_t$. Or it chooses the variances of $p_\theta$. So it
adds no freedom: under a convention a relation says one thing, which is true or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from diffusion_notes.equations.evaluation.environment import TERMS
from diffusion_notes.equations.language.parser import Display, Statement
from diffusion_notes.equations.language.syntax_tree import ESTIMATE, Index, Node, Symbol, renamed

__all__ = [
    "CONVENTIONS",
    "Convention",
    "Letters",
    "Reading",
    "chosen_variance",
    "letters",
    "named",
    "plain",
    "readings",
    "under",
]

CHAIN = ("diffusion", "ddpm", "samplers", "score", "conditioning", "guidance", "signals")
STEPS = ("diffusion", "ddpm", "score", "conditioning", "guidance", "signals")
"""The chapters whose p has variances that are free."""

Letters = frozenset[Symbol]


def _same(symbol: Symbol) -> Symbol:
    return symbol


def _always(letters: Letters) -> bool:
    return True


@dataclass(frozen=True)
class Convention:
    """One convention.

    Args:
        name: How a page that uses it says so.
        sentence: The condition that it is, for what holds under it.
        about: What it is about: of two conventions about the same thing one page has one.
        contexts: The chapters whose letters it is about.
        renaming: Which symbol stands for another, and for which.
        variance: Which variance of p it chooses, if it does that.
        fits: Whether the letters of a display are such that it may be meant, beside those that it renames.
        kept: Whether it says what a letter means on a whole page, or what holds in one display, as a choice does.
    """

    name: str
    sentence: str
    about: str
    contexts: tuple[str, ...]
    renaming: Callable[[Symbol], Symbol] = _same
    variance: str = ""
    fits: Callable[[Letters], bool] = _always
    kept: bool = True

    def applies(self, said: Letters, context: str) -> bool:
        """Whether it says something about a display in which these letters occur."""
        touched = bool(self.variance) or any(self.renaming(symbol) != symbol for symbol in said)
        return context in self.contexts and touched and self.fits(said)


# What they rename


def _term(word: str, indices: Callable[[Index], bool]) -> Callable[[Symbol], Symbol]:
    """The terms of the loss, by a name that says what they are: two words may say it."""

    def renaming(symbol: Symbol) -> Symbol:
        counted = isinstance(symbol.index, Index) and indices(symbol.index)
        if symbol.base not in ("L", "calL") or symbol.label not in TERMS or word in symbol.label or not counted:
            return symbol
        return replace(symbol, base="L", label="".join(sorted((word, symbol.label.replace("vlb", "")))))

    return renaming


def _any_index(index: Index) -> bool:
    return True


def _running(index: Index) -> bool:
    return index.letter not in (None, "T")


def _loss(symbol: Symbol) -> Symbol:
    is_bound = symbol.base == "calL" and not symbol.label and symbol.index is None
    return replace(symbol, label="loss") if is_bound else symbol


def _product(symbol: Symbol) -> Symbol:
    is_level = symbol.base == "alpha" and not symbol.accent and symbol.index is not None
    return replace(symbol, accent="bar") if is_level else symbol


def _of_step(symbol: Symbol) -> Symbol:
    return Symbol("eps", label="step") if symbol == Symbol("eps") else symbol


def _noise(accent: str, label: str, after: int = 0) -> Callable[[Symbol], Symbol]:
    """The noise by the number below it, as that of a step or of a variable, which may be the one after it."""

    def renaming(symbol: Symbol) -> Symbol:
        index = symbol.index
        if replace(symbol, index=None) != Symbol("eps", accent) or not isinstance(index, Index):
            return symbol
        if label == "whole" and index == Index("t"):
            return Symbol("eps")
        return Symbol("eps", label=label, index=replace(index, plus=index.plus + after))

    return renaming


def _source(symbol: Symbol) -> Symbol:
    return Symbol("eps") if symbol == Symbol("eps", index=Index(None, 0)) else symbol


def _new(symbol: Symbol) -> Symbol:
    return Symbol("eps", "prime") if symbol == Symbol("eps") else symbol


def _law_of_data(symbol: Symbol) -> Symbol:
    return Symbol("q") if symbol == Symbol("p") else symbol


# When they may be meant


def _has_variances(said: Letters) -> bool:
    return any(symbol.base in ("sigma", "p", "Sigma", "L", "w") for symbol in said)


def _has_no_product(said: Letters) -> bool:
    return all(symbol.name != "bar alpha" for symbol in said)


def _is_about_one_step(said: Letters) -> bool:
    variables = {symbol.index for symbol in said if symbol.base == "x" and isinstance(symbol.index, Index)}
    return Index("t", -1) in variables and Index(None, 0) not in variables and _has_no_product(said)


def _is_a_step_down(said: Letters) -> bool:
    predicted = any(symbol.label == "theta" or symbol == ESTIMATE for symbol in said)
    return predicted and Symbol("x", index=Index("t", -1)) in said and Symbol("x", index=Index(None, 0)) not in said


def _has_no_model(said: Letters) -> bool:
    return Symbol("p", label="theta") not in said and Symbol("q") not in said


CONVENTIONS = (
    Convention(
        "posterior-variance", "if σ_t² is chosen as β̃_t", "variance", STEPS,
        variance="tilde", fits=_has_variances, kept=False,
    ),
    Convention(
        "step-variance", "if σ_t² is chosen as β_t", "variance", STEPS,
        variance="plain", fits=_has_variances, kept=False,
    ),
    Convention(
        "pointwise-terms", "if L_{t-1} is what stands under its expectation", "expectation", CHAIN,
        renaming=_term("drawn", _any_index), kept=False,
    ),
    Convention(
        "step-terms", "if L_t stands for the step x_{t-1} | x_t", "terms", CHAIN, renaming=_term("step", _running),
    ),
    Convention("loss", "if 𝓛 is a loss, the negative of the bound", "bound", ("vae", "hvae", *CHAIN), renaming=_loss),
    Convention(
        "step-noise", "if ε is the noise of the step x_t | x_{t-1}", "noise", CHAIN,
        renaming=_of_step, fits=_is_about_one_step, kept=False,
    ),
    Convention(
        "noise-of-x", "if ε_t is the noise that makes x_t of x_0", "noise", CHAIN,
        renaming=_noise("", "whole"), kept=False,
    ),
    Convention(
        "barred-noise-of-x", "if ε̄_t is the noise that makes x_t of x_0", "noise", CHAIN,
        renaming=_noise("bar", "whole"), kept=False,
    ),
    Convention(
        "noise-of-step", "if ε_t is the noise of the step to x_t", "noise", CHAIN,
        renaming=_noise("", "step"), kept=False,
    ),
    Convention(
        "noise-from-step", "if ε_t is the noise of the step from x_t", "noise", CHAIN,
        renaming=_noise("", "step", 1), kept=False,
    ),
    Convention(
        "source-noise", "if ε_0 is the noise that makes x_t of x_0", "noise", CHAIN, renaming=_source, kept=False,
    ),
    Convention(
        "new-noise", "if ε is new noise", "noise", CHAIN, renaming=_new, fits=_is_a_step_down, kept=False,
    ),
    Convention(
        "law-of-data", "if p is the law of the data and of what noise makes of them", "law", CHAIN,
        renaming=_law_of_data, fits=_has_no_model,
    ),
    Convention(
        "alpha-product", "if α_t stands for ᾱ_t", "alpha", ("samplers", "score", "conditioning", "guidance"),
        renaming=_product, fits=_has_no_product,
    ),
)  # fmt: skip
"""The conventions, in the order in which they are tried."""

NAMES = {convention.name: convention for convention in CONVENTIONS}


def named(names: Iterable[str]) -> tuple[Convention, ...]:
    """The conventions of these names.

    Raises:
        ValueError: If there is none of a name, or if two say different things of the same letter.
    """
    found = []
    for name in names:
        if name not in NAMES:
            raise ValueError(f"there is no convention {name!r}: there are {', '.join(NAMES)}")
        found.append(NAMES[name])
    for convention in found:
        if any(other.about == convention.about and other != convention for other in found):
            raise ValueError(f"{convention.name!r} and another convention say different things of the same letter")
    return tuple(dict.fromkeys(found))


# A display under a reading


Reading = tuple[Convention, ...]
"""The conventions under which a display is read; none of them is the book's own reading."""


def letters(display: Display) -> Letters:
    """All symbols that occur in a display."""
    statements = (*display.statements, *display.named)
    nodes = (node for statement in statements for side in statement.expressions for node in side.walk())
    return frozenset(symbol for node in nodes for symbol in node.symbols())


def under(reading: Reading, display: Display) -> Display:
    """A display as it is said in the book's own letters."""
    return replace(
        display,
        statements=[_renamed(reading, statement) for statement in display.statements],
        named=[_renamed(reading, statement) for statement in display.named],
    )


def _renamed(reading: Reading, statement: Statement) -> Statement:
    return replace(statement, sides=[None if side is None else plain(reading, side) for side in statement.sides])


def plain(reading: Reading, node: Node) -> Node:
    """An expression as it is said in the book's own letters."""
    for convention in reading:
        node = renamed(node, convention.renaming)
    return node


def chosen_variance(reading: Reading) -> str:
    """The variance of p that a reading chooses, or nothing."""
    return next((convention.variance for convention in reading if convention.variance), "")


def readings(kept: Reading, said: Letters, context: str) -> list[Reading]:
    """The readings of a display, the likeliest first: that of the page so far, then with one convention more, or two.

    Args:
        kept: The conventions that the page has.
        said: The letters of the display.
        context: The chapter.
    """
    so_far = tuple(convention for convention in kept if convention.applies(said, context))
    settled = {convention.about for convention in kept}
    more = [c for c in CONVENTIONS if c.applies(said, context) and c.about not in settled]
    pairs = [(one, two) for i, one in enumerate(more) for two in more[i + 1 :] if one.about != two.about]
    return [so_far, *((*so_far, one) for one in more), *((*so_far, *pair) for pair in pairs)]
