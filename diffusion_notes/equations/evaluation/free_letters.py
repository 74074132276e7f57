r"""Letters of which nothing is said: an identity that holds whatever they are is true.

In $\log\mathcal{N}(x; \mu, \sigma^2 I) = \dots$ nothing says what μ and σ are, and nothing has to: they may be any
vector and any positive number. What kind of thing a letter is follows from how it is used, and else from its name.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from diffusion_notes.equations.evaluation.environment import bound_name
from diffusion_notes.equations.language.syntax_tree import Index, Node, Symbol
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import Point, Unsuited, World

__all__ = ["FreeLetters", "free_letters", "with_free_letters"]

FreeLetters = dict[Symbol, str]
"""Letters of which nothing is said, and what kind of thing each is: `number`, `vector`, `matrix` or `diagonal`."""

GREEK = {
    "alpha", "beta", "gamma", "delta", "eta", "kappa", "lambda", "mu", "nu", "rho", "sigma", "tau", "Sigma", "Lambda",
}  # fmt: skip
COUNTS = {"t", "s", "i", "j", "k", "l", "n", "K", "L", "M", "N", "T", "C"}
"""What counts, or is a constant that is added."""

VECTORS = {"mu", "m"}
MATRICES = {"Sigma", "Lambda"}
CHANGES = ("rate", "gradient", "outflow", "laplacian", "limit")
"""Where something changes, and nobody knows whether a letter does."""

SUMS = ("add", "sub", "neg", "group")


def free_letters(sides: Sequence[Node], is_known: Callable[[Symbol], bool]) -> FreeLetters:
    """The letters of some expressions that mean nothing yet, and what kind of thing each is.

    Beside a mean μ_1 that may be any vector the deviation σ_1 is its own, and not that of the first step.

    Args:
        sides: The expressions.
        is_known: Whether a letter has a meaning.
    """
    nodes = [node for side in sides for node in side.walk()]
    letters = {node.value for node in nodes if node.kind == "symbol" and _may_be_free(node.value)}
    changing = {symbol for node in nodes if node.kind in CHANGES for part in node.walk() for symbol in part.symbols()}
    found = {letter: _by_name(letter) for letter in letters - changing if not is_known(letter)}
    means = {letter.index for letter in found if letter.base == "mu" and letter.index is not None}
    found |= {letter: "number" for letter in letters if letter.base == "sigma" and letter.index in means}
    for node in nodes:
        _learn(found, node)
    return found


def _by_name(letter: Symbol) -> str:
    """What kind of thing a letter is used for, if nothing else tells."""
    if letter.base in MATRICES:
        return "matrix"
    return "vector" if letter.base in VECTORS or letter.accent else "number"


def _may_be_free(symbol: Symbol) -> bool:
    """Whether a letter may stand for anything: it is one letter, and its index, if it has one, is a number."""
    counted = symbol.index is None or (isinstance(symbol.index, Index) and symbol.index.letter is None)
    plain = symbol.copy is None and symbol.label in ("", *"qpxyzab") and symbol.base not in COUNTS
    return counted and plain and (len(symbol.base) == 1 or symbol.base in GREEK)


def _learn(found: FreeLetters, node: Node) -> None:
    """What the use of letters in a node says of their kind."""
    match node.kind:
        case "normal" | "normal_law":
            _expect(found, node.parts[-2], "vector")
            _expect(found, node.parts[-1], "matrix")
        case "norm" | "inner" | "transpose":
            for part in node.parts:
                _expect(found, part, "vector")
        case "power" if node.parts[1].value == Symbol("T"):
            _expect(found, node.parts[0], "vector")
        case "determinant":
            _expect(found, node.parts[0], "matrix")
        case "call" if node.value[0].name == "diag":
            _diagonal(found, node.parts[0])
        case "component":
            _diagonal(found, node.parts[0])


def _expect(found: FreeLetters, node: Node, kind: str) -> None:
    """Letters that are added up to something are of its kind; a matrix stays one."""
    if node.kind in SUMS:
        for part in node.parts:
            _expect(found, part, kind)
    if node.kind == "symbol" and found.get(node.value) == "number":
        found[node.value] = kind


def _diagonal(found: FreeLetters, node: Node) -> None:
    """What has components and is positive is a vector of deviations: a matrix with nothing beside its diagonal."""
    if node.kind == "power":
        node = node.parts[0]
    if node.kind == "symbol" and node.value in found:
        found[node.value] = "vector" if found[node.value] == "vector" else "diagonal"


def with_free_letters(point: Point, letters: FreeLetters, world: World) -> Point:
    """The point with a value for each of these letters, another one in every world."""
    values = {bound_name(letter): _value(letter, kind, world, point.size) for letter, kind in letters.items()}
    return replace(point, values=point.values | values)


def _value(letter: Symbol, kind: str, world: World, count: int) -> np.ndarray:
    """Values of a letter: at each point another one."""
    rng = np.random.default_rng(zlib.crc32(f"{world.title} {letter}".encode()))
    if kind == "number":
        return np.exp(rng.normal(size=count) * 0.5)
    if not isinstance(world, GaussianWorld):
        raise Unsuited("boxes have no coordinates")
    if kind == "vector":
        return rng.normal(size=(count, world.D)) * 1.5
    if kind == "diagonal":
        return np.exp(rng.normal(size=(count, world.D)) * 0.5)[:, :, None] * np.eye(world.D)
    root = rng.normal(size=(count, world.D, world.D))
    return root @ np.swapaxes(root, 1, 2) + 0.3 * np.eye(world.D)
