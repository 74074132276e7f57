"""Laws: what they are about, their densities, and the nodes at which an average over them is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_notes.equations.evaluation.environment import Environment, gaussian
from diffusion_notes.equations.language.syntax_tree import ESTIMATE, Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds.gaussian_world import gauss_nodes, log_normal
from diffusion_notes.equations.worlds.world import START, Point, Undefined, Unsuited, Valueless, Values

__all__ = [
    "ANY",
    "about",
    "complete",
    "conditional",
    "density",
    "gaussian_parameters",
    "law_nodes",
    "log_law",
    "with_estimate",
]

ANY = "(any)"  # the variable of a law that names none


def conditional(env: Environment, node: Node, point: Point) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Of a density: which model, about what, given what."""
    model, *variables = node.value
    if node.parts and ESTIMATE in node.parts[0].value:
        node = _given_data(node)
    conditions = node.parts[0].value if node.parts else ()
    if model.label == "sigma":
        if env.world.context != "samplers":
            raise NotUnderstood("q_σ is the law of DDIM, in its chapter", node.place)
        return "q_sigma", env.variables(tuple(variables), point), env.variables(conditions, point)
    return model.base, env.variables(tuple(variables), point), env.variables(conditions, point)


def about(env: Environment, law: Node, point: Point) -> tuple[str, ...]:
    """The variables that a law is about."""
    if law.kind == "density":
        _, variables, given = conditional(env, law, point)
        return tuple(key for key in variables if key not in given)  # what is given is not drawn
    if law.kind == "product":
        keys = tuple(key for part in law.parts for key in about(env, part, point))
        if len(set(keys)) < len(keys):
            raise NotUnderstood("a variable in two of the factors of a law", law.place)
        return keys
    if law.kind == "normal":
        if law.parts[0].kind != "symbol":
            raise NotUnderstood("a law is about a variable", law.parts[0].place)
        return env.variables((law.parts[0].value,), point)
    return (ANY,)


def complete(env: Environment, law: Node) -> Node:
    """A law without variables is that of a data point."""
    if law.kind != "bare":
        return law
    data = Symbol("x", index=Index(None, 0)) if START[env.world.context] == "x0" else Symbol("x")
    return Node("density", (), (law.value[0], data), law.place)


def gaussian_parameters(env: Environment, law: Node, point: Point) -> tuple[np.ndarray, np.ndarray]:
    """The mean `(S, D)` and the covariance `(S, D, D)` of a Gaussian that is written out."""
    mean, cov = law.parts[-2:]
    D = gaussian(env.world, "boxes are not Gaussian").D
    m = env.value(mean, point)
    v = env.value(cov, point)
    if m.ndim == 1 and mean.kind == "number" and float(mean.value) == 0:
        m = np.zeros((1, D))
    if v.ndim == 1 and env.world.context == "hvae":  # the scalar example: a variance is a number there
        if D > 1:
            raise Unsuited("the scalar example")
        v = v[:, None, None]
    if m.ndim != 2 or v.ndim != 3:
        raise NotUnderstood("a Gaussian has a vector and a matrix: is an I missing?", cov.place)
    determinants = np.linalg.det(v).real
    if (determinants <= 0).any():
        raise (Valueless if (determinants < 0).any() else Undefined)("a Gaussian without a positive variance")
    return m, v


def with_estimate(env: Environment, law: Node, point: Point) -> tuple[Node, Point]:
    """A density that is given x̂_0, as the one that is given x_0, and where x_0 is that."""
    if law.kind != "density" or not law.parts or ESTIMATE not in law.parts[0].value:
        return law, point
    value = env.value(Node("symbol", (), ESTIMATE, law.place), point)
    return _given_data(law), replace(point, values=point.values | {"x0": value})


def _given_data(law: Node) -> Node:
    """A density with x_0 for x̂_0 among its conditions."""
    (given,) = law.parts
    data = replace(ESTIMATE, accent="")
    known = tuple(data if symbol == ESTIMATE else symbol for symbol in given.value)
    return replace(law, parts=(replace(given, value=known),))


def log_law(env: Environment, law: Node, point: Point, key: str | None = None) -> np.ndarray:
    """The logarithm of a density; `key` is the variable of a law that names none."""
    law, point = with_estimate(env, law, point)
    if law.kind == "product":
        return np.asarray(sum(log_law(env, part, point) for part in law.parts))
    if law.kind == "density":
        model, variables, given = conditional(env, law, point)
        for name in (*variables, *given):
            if name not in point.values:
                raise NotUnderstood(f"{name} has no value here", law.place)
        density = env.world.log_density(model, variables, given, point)
        for symbol in law.value[1:]:
            if env.is_coordinate(symbol):  # x_t in other units
                density = density - gaussian(env.world, "boxes have no units").D * np.log(env.unit(symbol, point))
        return density
    if law.kind == "normal":
        where = env.value(law.parts[0], point)
    elif key is not None:
        where = env.look(key, point)
    else:
        raise NotUnderstood("a law, where a density at a point belongs", law.place)
    mean, cov = gaussian_parameters(env, law, point)
    if where.ndim != 2:
        raise NotUnderstood("the density of what is not a vector", law.place)
    return log_normal(where, np.broadcast_to(mean, np.broadcast_shapes(mean.shape, where.shape)), cov)


def density(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A density at a point."""
    return np.exp(log_law(env, node, point))


def law_nodes(env: Environment, law: Node, point: Point) -> tuple[Values, np.ndarray]:
    """Nodes and weights of a law, by its variable."""
    law, point = with_estimate(env, law, point)
    if law.kind == "density":
        model, variables, given = conditional(env, law, point)
        return env.world.nodes(model, tuple(key for key in variables if key not in given), given, point)
    if law.kind in ("normal", "normal_law"):
        key = about(env, law, point)[0]
        mean, cov = gaussian_parameters(env, law, point)
        size = max(len(mean), len(cov))
        mean = np.broadcast_to(mean, (size, *mean.shape[1:]))
        cov = np.broadcast_to(cov, (size, *cov.shape[1:]))
        found, weights = gauss_nodes(mean, cov, gaussian(env.world, "boxes are not Gaussian").rule)
        return {key: found}, weights
    raise NotUnderstood("this is not a law from which one can draw", law.place)
