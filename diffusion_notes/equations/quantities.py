"""The letters that are numbers, vectors or functions of a world: schedules, variances, networks.

They are taken from the world's joint Gaussian wherever that is possible (the posterior mean by regression, not by its
formula), so that a formula of the book is compared with something else than itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from diffusion_notes.equations.names import START, meaning
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited

if TYPE_CHECKING:
    from diffusion_notes.equations.evaluate import Evaluator

__all__ = ["call", "letter"]

SCHEDULE = {"alpha", "beta", "sigma", "bar alpha", "tilde beta", "tilde mu"}
LETTERS = {
    "vae": {"s", "W", "b", "m", "v"},
    "hvae": {"a", "c", "d", "m", "r", "s", "v"},
    "diffusion": {"s", "m", "v"},
    "ddpm": {"m", "v"},
}


NETWORKS = {"eps_theta": 2, "x_theta": 2, "v_theta": 2, "mu_theta": 2, "tilde mu": 2, "SNR": 1}
CODERS = {"mu_theta": 1, "sigma_theta": 1, "mu_phi": 1, "sigma_phi": 1}


def letter(evaluator: Evaluator, symbol: Symbol, point: Point, node: Node) -> np.ndarray:
    """The value of a letter that is no variable.

    Args:
        evaluator: Who asks.
        symbol: The letter.
        point: Where; its step counts.
        node: Where it is written, for the error.

    Returns:
        A number `(1,)`, a vector `(1 or S, D)` or a matrix `(1, D, D)`.

    Raises:
        NotUnderstood: If the letter is not in the notation of this chapter.
    """
    world, name = evaluator.world, symbol.name
    plain = symbol.index is None and symbol.copy is None
    if name == "pi" and plain:
        return np.array([np.pi])
    if name == "e" and plain:
        return np.array([np.e])
    if name == "T" and not world.diffusing:
        raise NotUnderstood("there is no T in this chapter", node.place)
    if name in ("T", "K") and plain:
        return np.array([float(evaluator.count(Index(name), point))])
    if name == "L" and plain and not world.diffusing:
        return np.array([float(world.T)])
    if name in NETWORKS and plain and world.diffusing and name.endswith("theta"):  # at x_t, where nothing is said
        at = Node(
            "call", (Node("symbol", (), Symbol("x", index=Index("t"))), Node("symbol", (), Symbol("t"))), (symbol,)
        )
        return call(evaluator, symbol, at, point)
    diffusing = world.diffusing and name in SCHEDULE
    if not diffusing and name not in LETTERS[world.context] and not (name in ("D", "I") and plain):
        raise NotUnderstood(f"{name!r} is not in the notation of this chapter", node.place)
    if symbol.copy is not None:
        raise NotUnderstood(f"{name!r} with an index above it", node.place)
    if diffusing and not isinstance(symbol.index, Index):
        raise NotUnderstood(f"{name!r} needs an index, the step", node.place)
    if world.cells:
        raise Unsuited("boxes have no such number")
    if name == "D":
        return np.array([float(world.D)])
    if name == "I":
        return np.eye(world.D)[None]
    if diffusing:
        return _scheduled(evaluator, name, evaluator.count(symbol.index, point), point)
    return _letter(evaluator, symbol, point, node)


def _scheduled(evaluator: Evaluator, name: str, t: int, point: Point) -> np.ndarray:
    world = evaluator.world
    if not 0 <= t <= world.T or (t == 0 and name not in ("alpha", "beta", "bar alpha")):
        raise Undefined(f"there is no {name} at {t}")
    if name == "tilde mu":
        return mean_of_posterior(evaluator, evaluator.look(f"x{t}", point), evaluator.look("x0", point), t)
    if name == "tilde beta":
        return np.array([world.regress("q", (f"x{t - 1}",), (f"x{t}", "x0"))[2][0, 0] if t > 1 else 0.0])
    table = {"alpha": 1 - world.beta, "beta": world.beta, "bar alpha": world.alpha_bar, "sigma": world.sigma}[name]
    return np.array([table[t]])


def mean_of_posterior(evaluator: Evaluator, xt: np.ndarray, x0: np.ndarray, t: int) -> np.ndarray:
    """E[x_{t-1} | x_t, x_0] for any two points, by regression in the joint Gaussian."""
    if t == 1:
        return x0
    gain = evaluator.world.regress("q", (f"x{t - 1}",), (f"x{t}", "x0"))[1]
    return np.concatenate(np.broadcast_arrays(xt, x0), axis=-1) @ gain.T


def _letter(evaluator: Evaluator, symbol: Symbol, point: Point, node: Node) -> np.ndarray:
    """The letters of the VAE chapters: a linear decoder, and the scalar example with two layers."""
    world, index = evaluator.world, symbol.index
    i = evaluator.count(index, point) if isinstance(index, Index) else None
    if world.context != "hvae" and symbol.base in ("m", "v") and index in (Index(None, 1), Index(None, 2)):
        return world.generic[symbol.base][i][None]  # any vector, any variance
    if world.context == "vae" and i is None:
        if world.bent:
            raise Unsuited("a decoder that is not linear")
        a, b, _ = world.net[1]
        return {"s": world.sigma[1:2], "W": a[None], "b": b[None]}[symbol.base]
    if world.context == "hvae":
        if world.D > 1 or world.bent:
            raise Unsuited("the scalar example")
        c, d = world.up[1]
        known = {
            ("a", None): world.net[2][0][0], ("c", None): c[0], ("d", None): d[None],
            ("r", 1): world.sigma_phi[1:2], ("r", 2): world.sigma_phi[2:3],
            ("s", 1): world.sigma[1:2], ("s", 2): world.sigma[2:3],
            ("v", None): world.regress("q", ("z1",), ("z2", "x"))[2][0],
        }  # fmt: skip
        if (symbol.base, i) == ("m", 1):
            return evaluator.look("x", point) @ world.up[0][0].T + world.up[0][1]
        if (symbol.base, i) in known:
            return known[symbol.base, i]
    if world.diffusing and symbol.base == "s" and i is None:
        return world.noise_of_the_data()
    raise NotUnderstood(f"{symbol.base!r} with this index is not in the notation of this chapter", node.place)


def call(evaluator: Evaluator, name: Symbol, node: Node, point: Point) -> np.ndarray:
    """The value of a function that the book names: a network, the posterior mean, a bound.

    Args:
        evaluator: Who asks.
        name: The function.
        node: The call; its parts are the arguments.
        point: Where.

    Raises:
        NotUnderstood: If there is no such function in this chapter, or its arguments are others.
    """
    world, said, parts = evaluator.world, name.name, node.parts
    if said == "calL":
        return _bound(evaluator, name, node, point)
    if said == "c" and world.context == "hvae":  # there it is a number, before a bracket
        factor, value = letter(evaluator, name, point, node), evaluator.value(parts[0], point)
        return factor.reshape(-1, *(1,) * (value.ndim - 1)) * value
    if said == "tr" and len(parts) == 1:
        matrix = evaluator.value(parts[0], point)
        if matrix.ndim != 3:
            raise NotUnderstood("the trace of what is no matrix", node.place)
        return np.trace(matrix, axis1=1, axis2=2)
    if name.index is not None and said != "tilde mu":
        raise NotUnderstood(f"{said!r} has no index in this book", node.place)
    shape = {"f": 1, "f_phi": 1, "c": 1, "Phi": 1} | (NETWORKS if world.diffusing else CODERS)
    if shape.get(said) != len(parts):
        raise NotUnderstood(f"{said!r} with {len(parts)} arguments is not in the notation of this chapter", node.place)
    if said in ("f", "f_phi"):
        if parts[0].kind == "symbol" and world.cells:
            key = evaluator.variable(parts[0].value, point)
            return world.function(said.replace("_", " "), [point.values[key[0]]])
        constant, linear, square = (None,) * 3 if world.cells else world.any[said.replace("_", " ")]
        if constant is None:
            raise Unsuited("a function of coordinates, of boxes")
        z = evaluator.value(parts[0], point)
        return constant + z @ linear + np.einsum("si,ij,sj->s", z, square, z) + 0.1 * (z @ linear) ** 3
    if world.cells:
        raise Unsuited("boxes have no coordinates")
    if said == "c":
        return world.spiral(evaluator.number(parts[0], point))
    if said == "Phi":
        return world.normal_cdf(evaluator.value(parts[0], point))
    if said == "SNR":
        bar = world.alpha_bar[evaluator.integer(parts[0], point)]
        return np.array([bar / (1 - bar)])
    first = evaluator.value(parts[0], point)
    if first.ndim != 2:
        raise NotUnderstood("a vector belongs here", parts[0].place)
    if said == "tilde mu":
        if not isinstance(name.index, Index):
            raise NotUnderstood("the posterior mean needs an index, the step", node.place)
        t = evaluator.count(name.index, point)
        if not 1 <= t <= world.T:
            raise Undefined(f"there is no step {t}")
        return mean_of_posterior(evaluator, first, evaluator.value(parts[1], point), t)
    if not world.diffusing:
        return _coder(evaluator, said, parts[0], first, point)
    t = evaluator.integer(parts[1], point)
    if not 1 <= t <= world.T:
        raise Undefined(f"there is no step {t}")
    if said == "mu_theta":
        return world.mean_down(first, t)
    noise, bar = world.network(first, t), world.alpha_bar[t]
    start = (first - np.sqrt(1 - bar) * noise) / np.sqrt(bar)
    return {"eps_theta": noise, "x_theta": start, "v_theta": np.sqrt(bar) * noise - np.sqrt(1 - bar) * start}[said]


def _coder(evaluator: Evaluator, said: str, argument: Node, value: np.ndarray, point: Point) -> np.ndarray:
    """The means and deviations of an encoder and a decoder with one layer."""
    world = evaluator.world
    keys = evaluator.variable(argument.value, point) if argument.kind == "symbol" else None
    data = keys is not None and world.original(keys[0]) == "x"
    if world.context != "vae" or (said.endswith("phi") != data):
        raise NotUnderstood(f"{said!r} of this is not in the notation of this chapter", argument.place)
    if said == "mu_theta":
        return world.mean_down(value, 1)
    if said == "mu_phi":
        return value @ world.up[0][0].T + world.up[0][1]
    return world.deviation("p" if said == "sigma_theta" else "q", value)


def _bound(evaluator: Evaluator, name: Symbol, node: Node, point: Point) -> np.ndarray:
    """The bound of a data point, or by its parameters."""
    context, start = evaluator.world.context, START[evaluator.world.context]
    symbols = [part.value if part.kind == "symbol" else None for part in node.parts]
    if symbols[:2] == [Symbol("theta"), Symbol("phi")] and len(symbols) == 3:  # 𝓛(θ, φ; x)
        symbols = symbols[2:]
    elif symbols[1:] == [Symbol("theta"), Symbol("phi")]:
        symbols = symbols[:1]
    if name.index is None and symbols == [Symbol("theta"), Symbol("phi")]:
        return evaluator.value(meaning(context, "calL", not evaluator.given), point)
    if len(symbols) != 1 or symbols[0] is None or evaluator.variable(symbols[0], point) != (start,):
        raise NotUnderstood("the bound is that of a data point", node.place)
    inside = meaning(context, "calL" if name.index is None else "calL K")
    if inside is None or name.label:
        raise NotUnderstood("which bound is this?", node.place)
    samples = {} if name.index is None else {"K": evaluator.count(name.index, point)}
    return evaluator.value(inside, point.at(**samples))
