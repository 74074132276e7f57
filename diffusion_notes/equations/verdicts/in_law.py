r"""Equality in law: noise that is new, as in $x_{t-1} = \mu_\theta(x_t, t) + \sigma_t z$, says what law a variable has.

A side with such noise is one Gaussian given the variables in it, and its mean and its covariance must be those that the
other side has given the same. What makes a chain, $x_t = \dots = \dots$, has the law of its head: given $x_{t-1}$,
given $x_{t-2}$, given $x_0$. A noise by one name is one noise: what both sides have is given as well, so that
$a \varepsilon_1 + b \varepsilon_2$ may be one $\varepsilon_3$, but not $\varepsilon_1$ again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import scipy

from diffusion_notes.equations.evaluation.binding import free_variables
from diffusion_notes.equations.evaluation.environment import NEW_NOISE, Definitions, unfolded
from diffusion_notes.equations.evaluation.evaluator import Evaluator
from diffusion_notes.equations.language.notation import is_new_noise
from diffusion_notes.equations.language.syntax_tree import Node, NotUnderstood
from diffusion_notes.equations.verdicts.comparison import Fails
from diffusion_notes.equations.verdicts.motion import is_predicted
from diffusion_notes.equations.verdicts.side_conditions import Steps
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import Point, Undefined, Unsuited, World

__all__ = ["equal_in_law", "has_new_noise", "maker"]

EXACT = 1e-9
ALL_BUT_THE_FIRST = Steps(first=2)


def has_new_noise(context: str, definitions: Definitions, node: Node) -> bool:
    """Whether there is noise in an expression that has a name of its own."""
    return any(is_new_noise(symbol, context) for part in unfolded(node, definitions) for symbol in part.symbols())


def maker(head: Node | None, left: Node) -> Node:
    """Of what the right side says how it is made: of the head of a chain, if that is a variable, or of the left."""
    return head if head is not None and _is_variable(head) else left


def _is_variable(node: Node) -> bool:
    return node.kind == "symbol" and node.value.base == "x" and not node.value.accent and not node.value.label


@dataclass(frozen=True)
class _Side:
    """One side, and the variables of the chain and the noises that occur in it."""

    node: Node
    chain: frozenset[str]
    noises: frozenset[str]


@dataclass(frozen=True)
class _Law:
    """The mean and the covariance of a side that is Gaussian."""

    mean: np.ndarray
    cov: np.ndarray

    def is_close(self, other: _Law) -> bool:
        """Whether two laws are the same."""
        return all(
            np.allclose(a, b, rtol=EXACT, atol=EXACT * max(1.0, np.abs(a).max()))
            for a, b in ((self.mean, other.mean), (self.cov, other.cov))
        )


@dataclass(frozen=True)
class _Trial:
    """A relation that is tried in one world.

    Args:
        evaluator: Where.
        world: Its world.
        model: Of which model the variables are drawn that a side is not given.
    """

    evaluator: Evaluator
    world: GaussianWorld
    model: str

    def side(self, node: Node, point: Point) -> _Side:
        """A side, and what occurs in it."""
        free = free_variables(self.evaluator, node, point)
        noises = {key for key in free if key.startswith(NEW_NOISE)}
        if not free - noises <= {*self.world.keys, "eps"}:
            raise NotUnderstood("equal in law are points of the chain, made of others and of noise", node.place)
        if "eps" in free:
            ends = set(self.world.linked(point))
            if ends & free == ends:  # the noise that links two points that are here
                free |= ends
            else:
                noises.add("eps")
        return _Side(node, frozenset(free & set(self.world.keys)), frozenset(noises))

    def check(self, left: Node, right: Node, head: Node, point: Point) -> str:
        """Compare the laws at one step; what they are given, in words."""
        made, one, other = (self.side(node, point) for node in (head, left, right))
        names = made.noises | one.noises | other.noises
        rng = np.random.default_rng(len(names))
        noise = {key: rng.normal(size=(1, self.world.D)) for key in sorted(names)}
        point = replace(point, values=point.values | noise)
        shared = one.noises & other.noises
        if _is_variable(head):
            if made.chain & other.chain:
                raise NotUnderstood("a variable that is made of itself", right.place)
            self._compare(made, other, other.chain, frozenset(), point)
            if shared:
                self._compare(one, other, other.chain, shared, point)
            return _given(other.chain)
        alone = one.chain == other.chain or not (one.chain and other.chain)
        if max(len(one.noises), len(other.noises)) < 2 and alone:
            raise NotUnderstood("which noise is this? Write what makes it, or of which variable it is the noise")
        return self._compare_either_way(one, other, shared, point)

    def _compare_either_way(self, one: _Side, other: _Side, shared: frozenset[str], point: Point) -> str:
        """Compare two sides given the variables of the one, or given those of the other."""
        try:
            self._compare(one, other, other.chain, shared, point)
            return _given(other.chain)
        except Fails:
            if one.chain == other.chain:
                raise
            self._compare(one, other, one.chain, shared, point)
            return _given(one.chain)

    def _compare(self, one: _Side, other: _Side, given: frozenset[str], shared: frozenset[str], point: Point) -> None:
        laws = [self._law(side, given, shared, point) for side in (one, other)]
        if laws[0].is_close(laws[1]):
            return
        off = not _Law(laws[0].mean, laws[1].cov).is_close(laws[1])
        told = [_written(law.mean if off else law.cov[0]) for law in laws]
        seen = _given(given) + (" and the noise that stands on both sides" if shared else "")
        raise Fails(
            f"in one world ({self.world.title}, T = {self.world.T}, t = {point.counts['t']}) the two sides have, "
            f"{seen.strip() or 'given nothing'}, the {'means' if off else 'covariances'} {told[0]} and {told[1]}"
        )

    def _law(self, side: _Side, given: frozenset[str], shared: frozenset[str], point: Point) -> _Law:
        """The law of a side that is linear in what it is not given."""
        D = self.world.D
        rest = tuple(key for key in self.world.keys if key in side.chain - given)
        fresh = tuple(sorted(side.noises - shared))
        known = tuple(key for key in self.world.keys if key in given)
        mean, cov = self.world.law(self.model, rest, known, point) if rest else (np.zeros((1, 0)), np.zeros((1, 0, 0)))
        middle = np.concatenate([mean[0], np.zeros(D * len(fresh))])
        spread = scipy.linalg.block_diag(cov[0], np.eye(D * len(fresh)))
        n = len(middle)
        far = np.random.default_rng(n).normal(size=(1, n))
        moves = np.concatenate([np.zeros((1, n)), np.eye(n), far])
        places = {key: (middle + moves)[:, i * D : (i + 1) * D] for i, key in enumerate((*rest, *fresh))}
        found = self.evaluator.value(side.node, self._spread(point, places, len(moves)))
        if found.ndim != 2:
            raise NotUnderstood("what has a law here is a vector", side.node.place)
        found = np.broadcast_to(found, (len(moves), D))
        way = found[1:-1] - found[0]
        if not np.allclose(found[-1] - found[0], far[0] @ way, rtol=1e-8, atol=1e-8 * max(1, np.abs(found).max())):
            raise Unsuited("a law that is not Gaussian")
        return _Law(found[0], way.T @ spread @ way)

    def _spread(self, point: Point, places: dict[str, np.ndarray], count: int) -> Point:
        old = {key: np.repeat(value[:1], count, axis=0) for key, value in point.values.items()}
        return replace(point, values=old | places)


def _written(numbers: np.ndarray) -> str:
    return f"{numbers[0]:.6g}" if len(numbers) == 1 else "(" + ", ".join(f"{x:.6g}" for x in numbers) + ", …)"


def _given(chain: frozenset[str]) -> str:
    return f" given {', '.join(f'{key[0]}_{key[1:]}' for key in sorted(chain))}" if chain else ""


def equal_in_law(
    definitions: Definitions, left: Node, right: Node, head: Node, worlds: tuple[World, ...], steps: Steps | None
) -> str:
    """How it was found out that two sides are equal in law.

    Args:
        definitions: What the page has defined.
        left: One side.
        right: The other side.
        head: Of what the right side says how it is made; the left side, if there is nothing else.
        worlds: Where; those that are not Gaussian are left out.
        steps: Of which steps the display speaks.

    Raises:
        Fails: If they are not.
        NotUnderstood: If it cannot be told.
    """
    count = 0
    predicted = any(is_predicted(side, definitions) for side in (left, right))
    parts = [part for side in (left, right) for part in unfolded(side, definitions)]
    deviating = any(symbol.base in ("sigma", "eta") for part in parts for symbol in part.symbols())
    for world in worlds:
        if not isinstance(world, GaussianWorld) or type(world).rules != GaussianWorld.rules:
            continue
        with suppress(Unsuited):
            model = "p" if predicted else "q_sigma" if world.eta and deviating else "q"
            trial = _Trial(Evaluator(world, definitions), world, model)
            seen = 0
            for t in (steps or ALL_BUT_THE_FIRST)(world.T):
                try:
                    trial.check(left, right, head, world.draws(1).at(t=t))
                    seen += 1
                except Undefined as why:
                    if steps is not None:
                        raise Fails(f"it has no value at t = {t} ({world.title}): {why}") from None
            count += bool(seen)
    if not count:
        raise NotUnderstood("no world can compute the law of this", right.place)
    return f"equal in law in {count} worlds"
