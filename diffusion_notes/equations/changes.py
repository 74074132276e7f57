"""Gradients and minima: what becomes of an expression when something is moved.

Derivatives are taken by a complex step, so they are exact to the last digit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from diffusion_notes.equations.nodes import Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds import Point, Unsuited, Valueless

__all__ = ["Changes"]

DIRECTIONS = 5  # of a gradient in parameters; not a number of coordinates, so that the two are not mixed up
STEP = 1e-30
BRACKET = (1e-6, 1e6)


class Changes:
    """The part of an evaluator that moves parameters and variables."""

    def _gradient(self, node: Node, point: Point) -> np.ndarray:
        symbol: Symbol = node.value[0]
        if node.parts[0].having("gradient"):
            raise NotUnderstood("a gradient of a gradient", node.place)
        if symbol.base in ("theta", "phi"):
            found = []
            for direction in range(DIRECTIONS):
                there = replace(self, world=self.world.moved(symbol.base, direction, 1j * STEP))
                found.append(there.number(node.parts[0], point).imag / STEP)
            return np.stack(np.broadcast_arrays(*found), axis=-1)
        keys = self.variable(symbol, point)
        if keys is None or len(keys) != 1 or keys[0] not in self.world.keys:
            raise NotUnderstood(f"a gradient in {symbol.name}", node.place)
        here, found = self.look(keys[0], point, node), []
        for d in range(here.shape[1]):
            step = 1j * STEP * np.eye(here.shape[1])[d]
            moved = replace(point, values=point.values | {keys[0]: here + step})
            found.append(self.number(node.parts[0], moved).imag / STEP)
        return np.stack(np.broadcast_arrays(*found), axis=-1)

    def _least(self, node: Node, point: Point) -> np.ndarray:
        """The variance at which an expression is smallest: where its slope changes from below zero to above."""
        symbol, power = node.parts[0].value, node.parts[1].parts[0]
        if not isinstance(symbol, Symbol) or symbol.name != "sigma" or power != Node("number", (), "2"):
            raise NotUnderstood("a minimum is read over a variance, σ_t²", node.place)
        if self.world.cells:
            raise Unsuited("boxes have no such number")
        t, body = self.count(symbol.index, point), self._held(node.parts[2], point)

        def slope(log_variance: np.ndarray) -> np.ndarray:
            variances = np.exp(log_variance + 1j * STEP)
            worlds = (self.world.with_sigma(t, np.sqrt(variance)) for variance in np.atleast_1d(variances))
            there = (replace(self, world=world, searching=True) for world in worlds)
            return np.array([evaluator.number(body, point).imag.max() for evaluator in there]) / STEP

        grid = np.linspace(*np.log(BRACKET), 16)
        signs = np.sign(slope(grid))
        turns = np.flatnonzero(np.diff(signs))
        if len(turns) != 1 or signs[0] > 0:
            raise Valueless("an expression without one minimum")
        ends = grid[turns[0] : turns[0] + 2]
        return np.array([np.exp(brentq(lambda log_variance: slope(log_variance)[0], *ends, xtol=1e-13))])

    def _held(self, node: Node, point: Point) -> Node:
        """An expression in which what does not depend on the variances of p is a value already."""
        if self._is_still(node, point):
            return Node("value", (), self.value(node, point), node.place)
        if node.kind not in ("add", "sub", "neg", "mul", "div", "frac", "group"):
            return node
        return replace(node, parts=tuple(self._held(part, point) for part in node.parts))

    def _is_still(self, node: Node, point: Point) -> bool:
        """Whether neither the variances nor the laws of p occur in an expression, or in what its letters stand for."""
        for part in node.walk():
            for symbol in part.symbols():
                defined = part.kind == "call" and (symbol.name, symbol.index) in self.definitions
                if defined or symbol.base in ("sigma", "p", "calL") or symbol.label == "p":
                    return False
                known = self.known(symbol, point) if part.kind == "symbol" else None
                if known is not None and not self._is_still(known, point):
                    return False
        return True

    def _value(self, node: Node, point: Point) -> np.ndarray:
        return node.value
