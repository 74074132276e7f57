r"""What a text calls the parameters of a VAE's steps.

After $q(z \mid x) = \mathcal{N}(z; \mu, \sigma^2 I)$, or $z = \mu + \sigma \odot \varepsilon$, the letters μ and σ are
the mean and the deviation of the encoder; after $p(x \mid z) = \mathcal{N}(x; \hat x, \sigma^2 I)$ those of the
decoder.
"""

from __future__ import annotations

from collections.abc import Iterable

from diffusion_notes.equations.evaluation.environment import Definition, Definitions
from diffusion_notes.equations.language.syntax_tree import Node, Symbol

__all__ = ["SPREAD", "named_parameters", "parameters_of_steps"]

SPREAD = ("covariance of p(x | z)", None)
"""Under which name it is kept that a decoder has a covariance in which there is no letter."""

X = Node("symbol", (), Symbol("x"))
Z = Node("symbol", (), Symbol("z"))
NOISE = Node("symbol", (), Symbol("eps"))
UNIT = Node("symbol", (), Symbol("I"))
TWO = Node("number", (), "2")
HALF = Node("frac", (Node("number", (), "1"), TWO))
ROLES = ("mu", "sigma", "Sigma")
VARIABLES = {Symbol("x"), Symbol("z"), Symbol("eps"), Symbol("I"), Symbol("D")}


def named_parameters(left: Node, relation: str, right: Node) -> Definitions:
    """The letters for the parameters of q(z | x), or of p(x | z), that a relation introduces.

    Args:
        left: One side: the law, or z.
        relation: What is said of the two.
        right: The other: a Gaussian, or what z is made of.
    """
    if relation not in ("=", ":="):
        return {}
    if right.kind in ("normal", "normal_law") and (given := _given(left)):
        about = X if given == Z else Z
        if right.kind == "normal" and right.parts[0] != about:
            return {}
        found = _named(right.parts[-2], given, "mu") | _spread(right.parts[-1], given)
        letters = {symbol for part in right.parts[-1].walk() for symbol in part.symbols()}
        if given == Z and letters <= {UNIT.value}:
            found[SPREAD] = Definition((), right.parts[-1], True)
        return found
    if left == Z and right.kind == "add":
        mean, noise = right.parts
        return _named(mean, X, "mu") | _deviation_of(noise)
    return {}


def parameters_of_steps(free: Iterable[Symbol], sides: tuple[Node, Node]) -> Definitions:
    """What letters of which nothing is said may be where the encoder, or else the decoder, stands beside them.

    Args:
        free: The letters.
        sides: The sides of the relation.
    """
    given = {_given(part) for side in sides for part in side.walk()} - {None}
    step = X if X in given else Z if Z in given else None
    found: Definitions = {}
    for letter in free:
        if step is None:
            break
        if letter.base in ROLES or letter == Symbol("x", "hat"):
            found |= _named(Node("symbol", (), letter), step, letter.base.replace("x", "mu"))
    return found


def _given(law: Node) -> Node | None:
    """What the encoder, or the decoder, is given; nothing for other laws."""
    if law.kind != "density" or len(law.value) != 2 or len(law.parts) != 1:
        return None
    model, about = law.value
    (given,) = law.parts[0].value if len(law.parts[0].value) == 1 else (None,)
    return {("q", Z.value, X.value): X, ("p", X.value, Z.value): Z}.get((model.base, about, given))


def _named(node: Node, given: Node, letter: str) -> Definitions:
    """That a letter, or a function of what is given, is a parameter of a step."""
    own = node.kind == "symbol" and node.value not in VARIABLES
    if not own and (node.kind != "call" or node.parts != (given,)):
        return {}
    name: Symbol = node.value if own else node.value[0]
    model = "phi" if given == X else "theta"
    known = Symbol(letter, label=model)
    if (name == known and not own) or (name.base in ROLES and name.base != letter):
        return {}
    return {(name.name, name.index): Definition(node.parts, Node("call", (given,), (known,), node.place), True)}


def _spread(covariance: Node, given: Node) -> Definitions:
    """That a letter is the deviation, or the covariance, of a step."""
    while True:
        if covariance.kind == "mul" and UNIT in covariance.parts:
            covariance = next(part for part in covariance.parts if part != UNIT)
        elif covariance.kind == "group" or (covariance.kind == "call" and covariance.value[0].name == "diag"):
            (covariance,) = covariance.parts
        else:
            break
    if covariance.kind == "power" and covariance.parts[1] == TWO:
        return _named(covariance.parts[0], given, "sigma")
    head = covariance.value[0] if covariance.kind == "call" else covariance.value
    return _named(covariance, given, "Sigma") if isinstance(head, Symbol) and head.base == "Sigma" else {}


def _deviation_of(noise: Node) -> Definitions:
    """That a letter multiplies the noise that makes z."""
    if noise.kind != "mul" or NOISE not in noise.parts:
        return {}
    factor = noise.parts[0] if noise.parts[1] == NOISE else noise.parts[1]
    if factor.kind == "power" and factor.parts[1] in (HALF, Node("div", HALF.parts)):
        return _named(factor.parts[0], X, "Sigma")
    return _named(factor, X, "sigma")
