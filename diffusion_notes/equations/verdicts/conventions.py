r"""What the same letters stand for on other people's pages: a few conventions, each in use, each said in one sentence.

A convention gives a letter another meaning wherever it stands, never at one place alone: it renames a symbol to one
whose meaning `notation.py` knows, as $\alpha_t$ to $\bar\alpha_t$. Or it chooses something of the worlds, as the
variances of $p_\theta$. So it adds no freedom: under a convention a relation says one thing, which is true or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from diffusion_notes.equations.evaluation.environment import TERMS
from diffusion_notes.equations.language.parser import Display, Statement
from diffusion_notes.equations.language.syntax_tree import Index, Node, Range, Symbol, renamed
from diffusion_notes.equations.verdicts.choices import Choice
from diffusion_notes.equations.verdicts.contexts import is_between_data_and_noise
from diffusion_notes.equations.verdicts.side_conditions import SideConditions

__all__ = [
    "CONVENTIONS",
    "NAMES",
    "Convention",
    "Reading",
    "choosing",
    "letters",
    "named",
    "plain",
    "readings",
    "under",
]

LATENT = ("vae", "hvae")
CHAIN = ("diffusion", "ddpm", "samplers", "score", "conditioning", "guidance", "signals")
STEPS = tuple(context for context in CHAIN if context != "samplers")
"""The chapters in which the variances of p are free."""

NOW = Index("t")
BEFORE = Index("t", -1)
DATA = Index(None, 0)


def letters(display: Display) -> frozenset[Symbol]:
    """All symbols that occur in a display."""
    return frozenset(symbol for node in _nodes(display) for symbol in node.symbols())


def _nodes(display: Display) -> list[Node]:
    statements = (*display.statements, *display.named)
    return [node for statement in statements for side in statement.expressions for node in side.walk()]


# Which symbol stands for another, and for which


def _same(symbol: Symbol) -> Symbol:
    return symbol


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


def _bound(symbol: Symbol) -> Symbol:
    return replace(symbol, base="calL", label="") if symbol == Symbol("L", label="vlb") else symbol


def _level(symbol: Symbol) -> Symbol:
    is_level = symbol.base == "alpha" and not symbol.accent and symbol.index is not None
    return replace(symbol, accent="bar") if is_level else symbol


def _parts(symbol: Symbol) -> Symbol:
    is_part = symbol.base in ("alpha", "sigma") and not symbol.accent and not symbol.label and symbol.index is not None
    return replace(symbol, label="part") if is_part else symbol


def _noise(accent: str, label: str, after: int = 0) -> Callable[[Symbol], Symbol]:
    """The noise by the number below it, as that of a step or of a variable, which may be the one after it."""

    def renaming(symbol: Symbol) -> Symbol:
        index = symbol.index
        if replace(symbol, index=None) != Symbol("eps", accent) or not isinstance(index, Index):
            return symbol
        if label == "whole" and index == NOW:
            return Symbol("eps")
        return Symbol("eps", label=label, index=replace(index, plus=index.plus + after))

    return renaming


def _source(symbol: Symbol) -> Symbol:
    return Symbol("eps") if symbol == Symbol("eps", index=DATA) else symbol


def _new(symbol: Symbol) -> Symbol:
    return Symbol("eps", "prime") if symbol == Symbol("eps") else symbol


def _of_step(symbol: Symbol) -> Symbol:
    return Symbol("eps", label="step", index=NOW) if symbol == Symbol("eps") else symbol


def _averaged(symbol: Symbol) -> Symbol:
    return Symbol("L", label="simple") if symbol == Symbol("L", index=NOW, label="simple") else symbol


def _posterior_mean(symbol: Symbol) -> Symbol:
    return replace(symbol, index=NOW) if symbol == Symbol("mu", "tilde") else symbol


def _label(symbol: Symbol) -> Symbol:
    return Symbol("c") if symbol == Symbol("y") else symbol


def _law_of_data(symbol: Symbol) -> Symbol:
    return Symbol("q") if symbol == Symbol("p") else symbol


def _straight(symbol: Symbol) -> Symbol:
    if symbol == Symbol("t"):
        return Symbol("tau")
    return replace(symbol, index=Index("tau")) if symbol == Symbol("x", index=NOW) else symbol


# When it may be meant


Fit = Callable[[Display], bool]


def _always(display: Display) -> bool:
    return True


def _has_variances(display: Display) -> bool:
    """Whether the variances of p may matter, or those of a step down."""
    said = letters(display)
    named_noise = any(symbol.base == "eps" and (symbol.index or symbol.accent) for symbol in said)
    step = Symbol("x", index=BEFORE) in said and (Symbol("z") in said or Symbol("eps") in said or named_noise)
    return step or any(symbol.base in ("sigma", "p", "Sigma", "L", "calL", "w") for symbol in said)


def _may_choose_the_variance_of_q(display: Display) -> bool:
    """Whether the variances of p may be those of q(x_{t-1} | x_t, x_0): an expression with both tells them apart."""
    sides = [side for statement in display.statements for side in statement.expressions]
    said = [{(symbol.base, symbol.accent) for node in side.walk() for symbol in node.symbols()} for side in sides]
    return _has_variances(display) and not any({("sigma", ""), ("beta", "tilde")} <= names for names in said)


def _is_of_one_step(display: Display) -> bool:
    """Whether it has a point below x_t, and noise in one statement, over which nothing is averaged."""
    noisy = [statement for statement in display.statements if statement.kind == "relation" and _has_noise(statement)]
    averages = [node for node in _nodes(display) if node.kind in ("expectation", "variance")]
    drawn = any(Symbol("eps") in part.symbols() for node in averages for part in node.walk())
    indices = [symbol.index for symbol in letters(display) if symbol.base == "x" and not symbol.label]
    below = any(isinstance(index, Index) and index.letter == "t" and index.plus < 0 for index in indices)
    return len(noisy) == 1 and not drawn and below


def _has_noise(statement: Statement) -> bool:
    return any(Symbol("eps") in node.symbols() for side in statement.expressions for node in side.walk())


def _is_between_data_and_noise(display: Display) -> bool:
    """Whether it is about time, points and noise, and about nothing else."""
    return is_between_data_and_noise(letters(display))


def _averages_what_is_drawn(display: Display) -> bool:
    """Whether what an average draws occurs in it: who averages a term over nothing does not leave its average out."""
    return all(_draws_what_occurs(node) for node in _nodes(display) if node.kind == "expectation")


def _draws_what_occurs(expectation: Node) -> bool:
    *laws, body = expectation.parts
    drawn = {symbol for law in laws if law.kind == "density" for symbol in law.value[1:]}
    runs = any(isinstance(symbol.index, Range) for symbol in drawn)
    return not drawn or runs or body.kind == "given" or not drawn.isdisjoint(_left_open(body))


def _left_open(node: Node) -> set[Symbol]:
    """The letters of an expression without those that its divergences integrate over."""
    if node.kind == "divergence":
        return {symbol for law in node.parts for given in law.parts for symbol in given.symbols()}
    return {*node.symbols()}.union(*map(_left_open, node.parts))


def _has_both_parts(display: Display) -> bool:
    bases = {symbol.base for symbol in letters(display) if symbol.index is not None}
    return {"alpha", "sigma"} <= bases and "beta" not in bases


def _has_no_model(display: Display) -> bool:
    """Whether there is no q, and no law that has parameters."""
    return all(symbol.base != "q" and (symbol.base != "p" or not symbol.label) for symbol in letters(display))


def _is_of_network(display: Display) -> bool:
    """Whether a prediction stands beside what it predicts: a score, or an expectation given what is seen."""
    nodes = _nodes(display)
    network = any(symbol.base in ("eps", "x", "v", "s") and symbol.label == "theta" for symbol in letters(display))
    given = any(node.kind == "gradient" or (node.kind == "given" and node.value) for node in nodes)
    return network and given and all(node.kind not in ("norm", "divergence") for node in nodes)


def _says_that_the_encoder_is_exact(display: Display) -> bool:
    """Whether all that it says is that q(z | x) is p(z | x), however that is written."""
    first, *others = display.statements
    sides = first.expressions
    if others or first.relations[:1] != ["="] or len(sides) < 2 or sides[0].kind != "density":
        return False
    law, *about = sides[0].value
    rest = {symbol.base for side in sides[1:] for node in side.walk() for symbol in node.symbols()}
    return law.base == "q" and all(symbol.base == "z" for symbol in about) and "q" not in rest and "p" in rest


@dataclass(frozen=True)
class Convention:
    """One convention.

    Args:
        name: How a page that uses it says so.
        sentence: The condition that it is, for what holds under it.
        about: What it is about: of two conventions about the same thing one display has one.
        contexts: The chapters whose letters it is about.
        renaming: Which symbol stands for another, and for which.
        variance: Which variance of p it chooses, if it does that.
        choice: What else it chooses of the worlds, such as a `perfect` network.
        fits: Whether a display is such that it may be meant, beside the letters that it renames.
        without: The names of letters which no page has that means it.
        kept: Whether it says what a letter means on a whole page, and not in one display alone.
    """

    name: str
    sentence: str
    about: str
    contexts: tuple[str, ...]
    renaming: Callable[[Symbol], Symbol] = _same
    variance: str = ""
    choice: str = ""
    fits: Fit = _always
    without: tuple[str, ...] = ()
    kept: bool = False

    def touches(self, display: Display, context: str) -> bool:
        """Whether it says something about a display."""
        renames = any(self.renaming(symbol) != symbol for symbol in letters(display))
        return context in self.contexts and (renames or bool(self.variance or self.choice))

    def may_be_meant(self, display: Display, context: str) -> bool:
        """Whether a display may mean it."""
        return self.touches(display, context) and self.fits(display)


CONVENTIONS = (
    Convention(
        "posterior-variance", "if σ_t² is chosen as β̃_t", "variance", STEPS, variance="tilde",
        fits=_may_choose_the_variance_of_q,
    ),
    Convention("step-variance", "if σ_t² is chosen as β_t", "variance", STEPS, variance="plain", fits=_has_variances),
    Convention(
        "pointwise-terms", "if L_{t-1} is what stands under its expectation", "expectation", CHAIN,
        renaming=_term("drawn", _any_index), fits=_averages_what_is_drawn,
    ),
    Convention(
        "step-terms", "if L_t stands for the step x_{t-1} | x_t", "terms", CHAIN, renaming=_term("step", _running)
    ),
    Convention("averaged-simple", "if L_t^simple is averaged over t", "terms", CHAIN, renaming=_averaged),
    Convention(
        "loss", "if 𝓛 is a loss, the negative of the bound", "bound", (*LATENT, *CHAIN), renaming=_loss, kept=True
    ),
    Convention(
        "bound", "if L_VLB is the bound itself", "vlb", (*LATENT, *CHAIN), renaming=_bound, kept=True
    ),
    Convention(
        "noise-of-x", "if ε_t is the noise that makes x_t of x_0", "noise", CHAIN, renaming=_noise("", "whole")
    ),
    Convention(
        "barred-noise-of-x", "if ε̄_t is the noise that makes x_t of x_0", "noise", CHAIN,
        renaming=_noise("bar", "whole"),
    ),
    Convention(
        "noise-of-step", "if ε_t is the noise of the step to x_t", "noise", CHAIN, renaming=_noise("", "step")
    ),
    Convention(
        "noise-from-step", "if ε_t is the noise of the step from x_t", "noise", CHAIN, renaming=_noise("", "step", 1)
    ),
    Convention("source-noise", "if ε_0 is the noise that makes x_t of x_0", "noise", CHAIN, renaming=_source),
    Convention("new-noise", "if ε is new noise", "noise", CHAIN, renaming=_new, fits=_is_of_one_step),
    Convention(
        "step-noise", "if ε is the noise of the step to x_t", "noise", CHAIN, renaming=_of_step, fits=_is_of_one_step
    ),
    Convention(
        "perfect-network", "if the network predicts the expectation of the noise", "network", CHAIN,
        choice="perfect", fits=_is_of_network,
    ),
    Convention(
        "exact-encoder", "if the encoder is exact", "encoder", LATENT,
        choice="encoder", fits=_says_that_the_encoder_is_exact,
    ),
    Convention(
        "law-of-data", "if p is the law of the data and of what noise makes of them", "law", CHAIN,
        renaming=_law_of_data, fits=_has_no_model,
    ),
    Convention("bare-posterior", "if μ̃ is that of the step t", "posterior", CHAIN, renaming=_posterior_mean),
    Convention("label", "if y is the label", "label", ("guidance",), renaming=_label, without=("c",)),
    Convention(
        "alpha-product", "if α_t stands for ᾱ_t", "alpha", tuple(c for c in CHAIN if c not in ("diffusion", "ddpm")),
        renaming=_level, without=("bar alpha",), kept=True,
    ),
    Convention(
        "signal-and-noise", "if α_t and σ_t stand for √ᾱ_t and √(1-ᾱ_t)", "alpha", CHAIN,
        renaming=_parts, fits=_has_both_parts, without=("bar alpha", "beta"), kept=True,
    ),
    Convention(
        "straight-path", "if t goes straight from the data, at 0, to the noise, at 1", "time", ("score",),
        renaming=_straight, fits=_is_between_data_and_noise,
    ),
)  # fmt: skip
"""The conventions, in the order in which they are tried."""

NAMES = {convention.name: convention for convention in CONVENTIONS}


def named(names: Iterable[str]) -> tuple[Convention, ...]:
    """The conventions of these names.

    Raises:
        ValueError: If there is none of a name, or if two say different things of the same letter.
    """
    found: dict[str, Convention] = {}
    for name in names:
        if name not in NAMES:
            raise ValueError(f"conventions must be among {', '.join(NAMES)}, got {name!r}")
        new = NAMES[name]
        if found.setdefault(new.about, new) != new:
            raise ValueError(f"{name!r} and {found[new.about].name!r} say different things of the same letter")
    return tuple(found.values())


# A display under a reading


Reading = tuple[Convention, ...]
"""The conventions under which a display is read; none of them is the book's own reading."""


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


def choosing(reading: Reading, said: SideConditions) -> SideConditions:
    """What a display says beside its relations, and what its reading chooses."""
    variance = next((convention.variance for convention in reading if convention.variance), "")
    chosen = tuple(Choice(convention.choice) for convention in reading if convention.choice)
    return replace(said, variance=said.variance or variance, chosen=(*said.chosen, *chosen))


def readings(kept: Reading, display: Display, context: str, seen: Iterable[Symbol] = ()) -> list[Reading]:
    """The readings of a display, the likeliest first: that of the page so far, then with one convention more, or two.

    Args:
        kept: The conventions that the page has.
        display: The display.
        context: The chapter.
        seen: The letters of the page so far.
    """
    so_far = tuple(convention for convention in kept if convention.touches(display, context))
    settled = {convention.about for convention in kept}
    names = {symbol.name for symbol in (*seen, *letters(display))}
    more = [
        convention
        for convention in CONVENTIONS
        if convention.about not in settled
        and not names & set(convention.without)
        and convention.may_be_meant(display, context)
    ]
    pairs = [(one, two) for i, one in enumerate(more) for two in more[i + 1 :] if one.about != two.about]
    return [so_far, *((*so_far, one) for one in more), *((*so_far, *pair) for pair in pairs)]
