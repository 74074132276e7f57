"""In which chapter's notation a display is written, told by its letters: the likeliest first."""

from __future__ import annotations

from diffusion_notes.equations.language.syntax_tree import ESTIMATE, Index, Range, Symbol

__all__ = ["contexts", "is_between_data_and_noise"]

LATENT = ("vae", "hvae")
CHAIN = ("ddpm", "samplers", "score", "conditioning", "guidance", "signals")

BEFORE = Index("t", -1)

MARKS = {
    "samplers": ("eta", "q_sigma", "hat x"),
    "score": ("s_theta", "hat w", "lambda"),
    "guidance": ("w", "empty", "c", "gamma", "omega", "p_phi"),
    "conditioning": ("y",),
}
"""Names by which a display about noise is seen to be about more than DDPM."""

WEIGHT = Symbol("beta")
"""The weight of a divergence; a variance of the chain has an index."""

OF_CHAIN = ("alpha", "bar alpha", "beta", "tilde beta", "tilde mu", "eps_theta", "T", "t")


def _is_of_chain(symbol: Symbol) -> bool:
    """Whether it is x_0, …, x_T, or what makes one of them of another."""
    return (symbol.base == "x" and symbol.index is not None) or (symbol.name in OF_CHAIN and symbol != WEIGHT)


def _is_of_samples(symbol: Symbol) -> bool:
    """Whether it is a bound of several samples."""
    return symbol.base == "calL" and isinstance(symbol.index, Index) and symbol.index.letter == "K"


def _is_of_layers(symbol: Symbol) -> bool:
    numbered = isinstance(symbol.index, Range) or symbol.index in (Index(None, 1), Index(None, 2))
    return symbol.base == "z" and numbered


def _has_step_of_ddim(letters: frozenset[Symbol]) -> bool:
    """Whether x_{t-1} is made with a level of its own of what a network predicts."""
    level = Symbol("alpha", "bar", BEFORE) in letters or Symbol("alpha", index=BEFORE) in letters
    predicted = any(symbol.label == "theta" or symbol == ESTIMATE for symbol in letters)
    return level and predicted and Symbol("x", index=BEFORE) in letters


def _has_levels_of_ddim(letters: frozenset[Symbol], seen: frozenset[Symbol]) -> bool:
    """Whether x_t is made of x_0 with an α_t, and the page has neither a product of them nor a β_t."""
    names = {symbol.name for symbol in letters | seen}
    return "alpha" in names and Symbol("x", index=Index(None, 0)) in letters and not names & {"bar alpha", "beta"}


def is_between_data_and_noise(letters: frozenset[Symbol]) -> bool:
    """Whether there is a time, a point at it, and noise, and nothing that says how they are mixed."""
    return {Symbol("t"), Symbol("x", index=Index("t"))} <= letters and {s.base for s in letters} == {"t", "x", "eps"}


def contexts(
    letters: frozenset[Symbol], own: str | None, seen: frozenset[Symbol] = frozenset()
) -> list[tuple[str, ...]]:
    """The chapters in whose notation a display may be written, in groups that are as likely as each other.

    Args:
        letters: The letters of the display.
        own: The chapter of its page, if it has one.
        seen: The letters of the page so far.
    """
    chain = any(map(_is_of_chain, letters))
    latent = not chain and any(
        symbol.base in ("x", "z") or symbol.label == "phi" or _is_of_samples(symbol) for symbol in letters
    )
    if latent or (not chain and own in LATENT):
        layers = LATENT[::-1] if any(map(_is_of_layers, letters)) else LATENT
        first = own if own in LATENT else layers[0]
        order = [first, *(context for context in layers if context != first)]
        return [(context,) for context in (*order, *([own] if own and own not in LATENT else ()))]
    first = "ddpm" if own is None or own in LATENT else own
    names = {symbol.name for symbol in letters}
    marked = {context for context, marks in MARKS.items() if names & set(marks)}
    marked |= (
        {"samplers"} if _has_step_of_ddim(letters) or (own is None and _has_levels_of_ddim(letters, seen)) else set()
    )
    marked |= {"score"} if is_between_data_and_noise(letters) else set()
    marked -= {first}
    others = [context for context in CHAIN if context not in (first, *marked)]
    tied = [context for context in CHAIN if context in marked]
    return [(first, *tied), *((context,) for context in others), *([(own,)] if own in LATENT else ())]
