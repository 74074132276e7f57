r"""Proofs of the algebraic relations by SymPy.

Everything follows from $\alpha_t = 1 - \beta_t$, $\bar\alpha_t = \bar\alpha_{t-1} \alpha_t$, the definitions of
$\tilde\beta_t$ and $\tilde\mu_t$, and $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon$.
Vectors are letters: an identity between combinations of vectors, or of their inner products, holds in any number of
dimensions if it holds in one.
"""

from __future__ import annotations

from functools import cache, reduce
from operator import add, mul, neg, sub, truediv

import sympy

from diffusion_notes.equations.names import meaning
from diffusion_notes.equations.nodes import Index, Node, Symbol

__all__ = ["expression", "proved"]

LOWEST = -2  # of t - 1, t - 2: where the product of the alphas begins


class _NotAlgebra(Exception):  # noqa: N818 it is an answer, not an error
    """There is more than algebra in it."""


@cache
def _letter(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, positive=True)


def _alpha(index: Index) -> sympy.Expr:
    return _letter(f"a_{index.letter}{index.plus:+d}") ** 2


def _bar(index: Index) -> sympy.Expr:
    if index.letter is None:
        raise _NotAlgebra
    steps = (_alpha(Index(index.letter, i)) for i in range(LOWEST + 1, index.plus + 1))
    return reduce(mul, steps, _letter(f"A_{index.letter}") ** 2)


def _posterior(index: Index, xt: sympy.Expr, x0: sympy.Expr) -> sympy.Expr:
    before = _bar(Index(index.letter, index.plus - 1))
    beta, bar = 1 - _alpha(index), _bar(index)
    return (sympy.sqrt(before) * beta * x0 + sympy.sqrt(_alpha(index)) * (1 - before) * xt) / (1 - bar)


class _Algebra:
    """A node as an expression of SymPy."""

    def of(self, node: Node) -> sympy.Expr:
        kind, parts = node.kind, node.parts
        if kind == "number":
            return sympy.Rational(node.value)
        if kind == "symbol":
            return self.symbol(node.value)
        if kind == "group":
            return self.of(parts[0])
        if kind == "call":
            return self.call(node)
        operations = {
            "add": add, "sub": sub, "neg": neg, "mul": mul, "div": truediv, "frac": truediv, "inner": mul,
            "sqrt": sympy.sqrt, "log": sympy.log, "exp": sympy.exp,
        }  # fmt: skip
        if kind == "power":
            inside = parts[0].parts[0] if parts[0].kind == "norm" else parts[0]
            if parts[0].kind == "norm" and parts[1] != Node("number", (), "2"):
                raise _NotAlgebra
            return self.of(inside) ** self.of(parts[1])
        if kind not in operations:
            raise _NotAlgebra
        return operations[kind](*(self.of(part) for part in parts))

    def symbol(self, symbol: Symbol) -> sympy.Expr:
        index, name = symbol.index, symbol.name
        if name == "eps" and index is None:
            return sympy.Symbol("eps")
        if name in ("D", "T", "I") and index is None:
            return _letter(name)
        if name in ("pi", "e") and index is None:
            return {"pi": sympy.pi, "e": sympy.E}[name]
        if name == "v" and index in (None, Index("t")):
            return self.of(meaning("ddpm", "v"))
        if not isinstance(index, Index):
            raise _NotAlgebra
        if name == "x":
            return self.variable(index)
        if name == "sigma":
            return _letter(f"sigma_{index}")
        if name == "w" and index.letter:
            shifted = meaning("ddpm", "w")
            if index != Index("t"):
                raise _NotAlgebra
            return self.of(shifted)
        known = {"alpha": _alpha, "bar alpha": _bar, "beta": lambda i: 1 - _alpha(i)}
        if index.letter is None or name not in (*known, "tilde beta", "tilde mu"):
            raise _NotAlgebra
        if name == "tilde mu":
            return _posterior(index, self.variable(index), self.variable(Index(None, 0)))
        if name == "tilde beta":
            before = _bar(Index(index.letter, index.plus - 1))
            return (1 - before) / (1 - _bar(index)) * (1 - _alpha(index))
        return known[name](index)

    def variable(self, index: Index) -> sympy.Expr:
        if index == Index("t"):
            bar = _bar(index)
            return sympy.sqrt(bar) * sympy.Symbol("x_0") + sympy.sqrt(1 - bar) * sympy.Symbol("eps")
        return sympy.Symbol("x_0" if index == Index(None, 0) else f"x_{index}")

    def call(self, node: Node) -> sympy.Expr:
        name, parts = node.value[0], node.parts
        if name.name == "tilde mu" and len(parts) == 2 and name.index == Index("t"):
            return _posterior(name.index, self.of(parts[0]), self.of(parts[1]))
        at = (Symbol("x", index=Index("t")), Symbol("t"))
        if len(parts) != 2 or tuple(part.value for part in parts) != at:
            raise _NotAlgebra
        noise, now = sympy.Symbol("eps_theta"), Index("t")
        bar, xt = _bar(now), self.variable(now)
        start = (xt - sympy.sqrt(1 - bar) * noise) / sympy.sqrt(bar)
        mean = (xt - (1 - _alpha(now)) / sympy.sqrt(1 - bar) * noise) / sympy.sqrt(_alpha(now))
        known = {
            "eps_theta": noise, "x_theta": start, "mu_theta": mean,
            "v_theta": sympy.sqrt(bar) * noise - sympy.sqrt(1 - bar) * start,
        }  # fmt: skip
        if name.name not in known:
            raise _NotAlgebra
        return known[name.name]


def expression(node: Node) -> sympy.Expr | None:
    """An algebraic expression in SymPy's letters, or nothing if it is not algebra alone."""
    try:
        return _Algebra().of(node)
    except (_NotAlgebra, ZeroDivisionError):
        return None


def proved(left: Node, right: Node) -> bool:
    """Whether SymPy shows that two algebraic expressions are equal.

    Args:
        left: One side.
        right: The other.

    Returns:
        Whether their difference simplifies to zero; `False` also means that there is more than algebra in them.
    """
    sides = [expression(node) for node in (left, right)]
    if None in sides:
        return False
    return sympy.expand(sympy.fraction(sympy.together(sides[0] - sides[1]))[0]) == 0
