"""The value of an expression in a world: the rule for each kind of node, and where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diffusion_notes.equations.evaluation import arithmetic, calculus, curves, laws, levels, quantities
from diffusion_notes.equations.evaluation.environment import Environment
from diffusion_notes.equations.language.syntax_tree import Node, NotUnderstood
from diffusion_notes.equations.worlds.world import Point

__all__ = ["Evaluator"]

Rule = Callable[[Environment, Node, Point], np.ndarray]

SHAKEN = 1e-11
"""The relative error of a value that is shaken."""

RULES: dict[str, Rule] = {
    "symbol": quantities.symbol,
    "call": quantities.call,
    "constant": quantities.left_open,
    "number": arithmetic.number,
    "value": arithmetic.known_value,
    "group": arithmetic.group,
    "pair": arithmetic.pair,
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "neg": arithmetic.negate,
    "total": arithmetic.total,
    "mul": arithmetic.multiply,
    "div": arithmetic.divide,
    "frac": arithmetic.divide,
    "inner": arithmetic.inner_product,
    "norm": arithmetic.norm,
    "weighted_norm": arithmetic.weighted_norm,
    "component": arithmetic.component,
    "absolute": arithmetic.absolute,
    "indicator": arithmetic.indicator,
    "determinant": arithmetic.determinant,
    "summed": calculus.sum_over_labels,
    "transpose": arithmetic.transpose,
    "power": arithmetic.power,
    "sqrt": arithmetic.sqrt,
    "log": arithmetic.log,
    "exp": arithmetic.exp,
    "wave": arithmetic.cos_or_sin,
    "density": laws.density,
    "bare": laws.density,
    "normal": laws.density,
    "integral": calculus.integral,
    "expectation": calculus.expectation,
    "variance": calculus.variance,
    "divergence": calculus.divergence,
    "entropy": calculus.entropy,
    "mutual": calculus.mutual_information,
    "uncertainty": calculus.uncertainty,
    "gradient": calculus.gradient,
    "least": calculus.minimiser,
    "outflow": calculus.outflow,
    "laplacian": calculus.laplacian,
    "rate": curves.rate,
    "limit": levels.limit,
}
"""The rules by the kind of node that they evaluate, as the grammar names it; other kinds have no value of their own."""


@dataclass
class Evaluator(Environment):
    """Evaluates nodes in a world; see `Environment` for its arguments.

    Args:
        shaken: Where random numbers come from, if every value on the way is to be a little wrong: what then becomes of
            a difference tells how much of it is rounding.
    """

    shaken: np.random.Generator | None = None

    def value(self, node: Node, point: Point) -> np.ndarray:
        """The value of an expression at the points."""
        rule = RULES.get(node.kind)
        if rule is None:
            raise NotUnderstood("this has no value of its own here", node.place)
        found = rule(self, node, point)
        return found if self.shaken is None else _a_little_wrong(found, self.shaken)


def _a_little_wrong(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A value with an error that is larger than that of a computer; whole numbers are exact."""
    return np.where(value == np.round(value.real), value, value * (1 + SHAKEN * rng.uniform(-1, 1)))
