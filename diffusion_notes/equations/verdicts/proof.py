r"""Proofs of the algebraic relations by SymPy.

Everything follows from $\alpha_t = 1 - \beta_t$, $\bar\alpha_t = \bar\alpha_{t-1} \alpha_t$, the definitions of
$\tilde\beta_t$ and $\tilde\mu_t$, and $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon$.
Vectors are letters: an identity between combinations of vectors, or of their inner products, holds in any number of
dimensions if it holds in one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from operator import add, mul, neg, sub, truediv

import sympy

from diffusion_notes.equations.language.notation import meaning
from diffusion_notes.equations.language.syntax_tree import Index, Node, Symbol

__all__ = ["is_proved", "to_sympy"]

LOWEST = -2  # of t - 1, t - 2: where the product of the alphas begins
NOW = Index("t")

OPERATIONS: dict[str, Callable[..., sympy.Expr]] = {
    "add": add, "sub": sub, "neg": neg, "mul": mul, "div": truediv, "frac": truediv, "inner": mul,
    "sqrt": sympy.sqrt, "log": sympy.log, "exp": sympy.exp,
}  # fmt: skip


class _NotAlgebra(Exception):  # noqa: N818 it is an answer, not an error
    """There is more than algebra in it."""


def is_proved(left: Node, right: Node) -> bool:
    """Whether SymPy shows that two algebraic expressions are equal.

    Args:
        left: One side.
        right: The other.

    Returns:
        Whether their difference simplifies to zero; `False` also means that there is more than algebra in them.
    """
    one = to_sympy(left)
    other = to_sympy(right)
    if one is None or other is None:
        return False
    return sympy.expand(sympy.fraction(sympy.together(one - other))[0]) == 0


def to_sympy(node: Node) -> sympy.Expr | None:
    """An algebraic expression in SymPy's letters, or nothing if it is not algebra alone."""
    try:
        return _expression(node)
    except (_NotAlgebra, ZeroDivisionError):
        return None


def _expression(node: Node) -> sympy.Expr:
    match node.kind:
        case "number":
            return sympy.Rational(node.value)
        case "symbol":
            return _symbol(node.value)
        case "group":
            return _expression(node.parts[0])
        case "call":
            return _call(node)
        case "power":
            return _power(*node.parts)
    if node.kind not in OPERATIONS:
        raise _NotAlgebra
    return OPERATIONS[node.kind](*(_expression(part) for part in node.parts))


def _power(base: Node, exponent: Node) -> sympy.Expr:
    """A power of a number, or the square of a norm."""
    if base.kind == "norm":
        if exponent != Node("number", (), "2"):
            raise _NotAlgebra
        base = base.parts[0]
    return _expression(base) ** _expression(exponent)


# Letters


@cache
def _letter(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, positive=True)


def _symbol(symbol: Symbol) -> sympy.Expr:
    index = symbol.index
    if symbol.name == "v" and index in (None, NOW):
        return _meaning("v")
    if index is None:
        return _without_index(symbol.name)
    if not isinstance(index, Index):
        raise _NotAlgebra
    match symbol.name:
        case "x":
            return _variable(index)
        case "sigma":
            return _letter(f"sigma_{index}")
        case "w" if index == NOW:
            return _meaning("w")
    if index.letter is None:
        raise _NotAlgebra
    return _of_the_schedule(symbol.name, index)


def _meaning(name: str) -> sympy.Expr:
    """What a letter of the DDPM chapter stands for."""
    node = meaning("ddpm", name)
    assert node is not None
    return _expression(node)


def _without_index(name: str) -> sympy.Expr:
    match name:
        case "eps":
            return sympy.Symbol("eps")
        case "D" | "T" | "I":
            return _letter(name)
        case "pi":
            return sympy.pi
        case "e":
            return sympy.E
    raise _NotAlgebra


def _of_the_schedule(name: str, index: Index) -> sympy.Expr:
    match name:
        case "alpha":
            return _alpha(index)
        case "bar alpha":
            return _alpha_bar(index)
        case "beta":
            return 1 - _alpha(index)
        case "tilde beta":
            before = _alpha_bar(Index(index.letter, index.plus - 1))
            return (1 - before) / (1 - _alpha_bar(index)) * (1 - _alpha(index))
        case "tilde mu":
            return _posterior_mean(index, _variable(index), _variable(Index(None, 0)))
    raise _NotAlgebra


def _alpha(index: Index) -> sympy.Expr:
    return _letter(f"a_{index.letter}{index.plus:+d}") ** 2


def _alpha_bar(index: Index) -> sympy.Expr:
    if index.letter is None:
        raise _NotAlgebra
    steps = (_alpha(Index(index.letter, i)) for i in range(LOWEST + 1, index.plus + 1))
    return reduce(mul, steps, _letter(f"A_{index.letter}") ** 2)


def _posterior_mean(index: Index, xt: sympy.Expr, x0: sympy.Expr) -> sympy.Expr:
    before = _alpha_bar(Index(index.letter, index.plus - 1))
    beta = 1 - _alpha(index)
    of_x0 = sympy.sqrt(before) * beta
    of_xt = sympy.sqrt(_alpha(index)) * (1 - before)
    return (of_x0 * x0 + of_xt * xt) / (1 - _alpha_bar(index))


def _variable(index: Index) -> sympy.Expr:
    if index == NOW:
        bar = _alpha_bar(index)
        return sympy.sqrt(bar) * sympy.Symbol("x_0") + sympy.sqrt(1 - bar) * sympy.Symbol("eps")
    return sympy.Symbol("x_0" if index == Index(None, 0) else f"x_{index}")


# Functions


def _call(node: Node) -> sympy.Expr:
    """The posterior mean of any two points; the network, and what follows from it, at x_t."""
    name: Symbol = node.value[0]
    arguments = node.parts
    if name.name == "tilde mu" and len(arguments) == 2 and name.index == NOW:
        return _posterior_mean(NOW, _expression(arguments[0]), _expression(arguments[1]))
    if tuple(part.value for part in arguments) != (Symbol("x", index=NOW), Symbol("t")):
        raise _NotAlgebra
    noise = sympy.Symbol("eps_theta")
    bar = _alpha_bar(NOW)
    xt = _variable(NOW)
    start = (xt - sympy.sqrt(1 - bar) * noise) / sympy.sqrt(bar)
    match name.name:
        case "eps_theta":
            return noise
        case "x_theta":
            return start
        case "v_theta":
            return sympy.sqrt(bar) * noise - sympy.sqrt(1 - bar) * start
        case "mu_theta":
            return (xt - (1 - _alpha(NOW)) / sympy.sqrt(1 - bar) * noise) / sympy.sqrt(_alpha(NOW))
    raise _NotAlgebra
