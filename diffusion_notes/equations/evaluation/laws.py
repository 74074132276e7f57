"""Laws: what they are about, their densities, and the nodes at which an average over them is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_notes.equations.evaluation.environment import Environment, bound_name, gaussian
from diffusion_notes.equations.language.syntax_tree import DOT, ESTIMATE, Index, Node, NotUnderstood, Range, Symbol
from diffusion_notes.equations.worlds.gaussian_world import gauss_nodes, log_normal
from diffusion_notes.equations.worlds.world import OF_LABELS, START, Point, Undefined, Unsuited, Valueless, Values

__all__ = [
    "ANY",
    "UNIT_MISSING",
    "about",
    "complete",
    "conditional",
    "density",
    "from_logarithm",
    "gaussian_parameters",
    "law_nodes",
    "log_law",
    "with_estimate",
]

UNIT_MISSING = "a Gaussian has a vector and a matrix: is an I missing?"
STANDARD = {(model, ("eps",), ()) for model in "pq"}
"""The law of the noise, by whatever letter."""

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
    mine = env.variables(tuple(variables), point)
    given = env.variables(_without_nothing(env, conditions, point), point)
    return _model(env, node, mine, given), mine, given


def _without_nothing(env: Environment, conditions: tuple[Symbol, ...], point: Point) -> tuple[Symbol, ...]:
    """Conditions without an empty range at the beginning of a series: x_{1:0} is nothing."""
    kept = []
    for symbol in conditions:
        run = symbol.index if isinstance(symbol.index, Range) and symbol.base == "x" else None
        if run is None or not env.world.attached or run.first != Index(None, 1) or env.count(run.last, point) != 0:
            kept.append(symbol)
    return tuple(kept)


def _model(env: Environment, node: Node, mine: tuple[str, ...], given: tuple[str, ...]) -> str:
    """Which law it is; of what is seen of the data p is that of its joint law with the data, and p_θ the model's."""
    law: Symbol = node.value[0]
    attached = set(env.world.attached)
    if law.accent:
        return _guessed(env, node, mine, given)
    if law.label == "w":
        if "c" not in env.world.attached or given.count("c") != 1 or attached & {*mine, *given} != {"c"}:
            raise NotUnderstood("the tilted law q_w is one given the label c", node.place)
        return "q_w"
    if (law.base, law.label) == ("p", "phi"):
        if "c" not in env.world.attached or mine != ("c",) or len(given) != 1 or given[0] in attached:
            raise NotUnderstood("a classifier is read as p_φ(c | x_t), where there are labels", node.place)
        return "p_phi"
    if law.base != "p" or not attached:
        return law.base
    return _model_of_seen(env, node, mine, given)


def _guessed(env: Environment, node: Node, mine: tuple[str, ...], given: tuple[str, ...]) -> str:
    """Which law p̃ is: a guess at p(y | x_t), which is right at t = 0; or a proposal of the chain, given y."""
    if env.world.context != "conditioning" or "c" in (*mine, *given):
        raise NotUnderstood("p̃ is a proposal, or a guess, in the chapter about observations", node.place)
    if mine == ("y",) and len(given) == 1:
        return "guess"
    if "y" in mine or "y" not in given:
        raise NotUnderstood("p̃ is read as a proposal given y, or as a guess at p(y | x_t)", node.place)
    return "proposal"


def _model_of_seen(env: Environment, node: Node, mine: tuple[str, ...], given: tuple[str, ...]) -> str:
    """Which law p, or p_θ, is where something is seen of the data."""
    law: Symbol = node.value[0]
    attached = set(env.world.attached)
    if set(mine) <= attached and not law.label:
        return "q"
    seen = [key for key in given if key in attached]
    if env.world.context not in OF_LABELS:
        if attached & set(mine) and not law.label:
            raise NotUnderstood("whose law of both? Write q(x_0, y), or p_θ(x_0, y) for the model's", node.place)
        return "p"
    if attached & set(mine) or len(seen) > 1:
        raise NotUnderstood("a model of the data that is told one condition is read here", node.place)
    return f"p {seen[0]}" if seen else "p"


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
    """A law without variables is that of a data point; a dot stands for the variable that is not given."""
    if law.kind == "density" and law.value[1:] == (DOT,):
        return replace(law, value=(law.value[0], _unnamed(env, law)))
    if law.kind != "bare":
        return law
    data = Symbol("x", index=Index(None, 0)) if START[env.world.context] == "x0" else Symbol("x")
    return Node("density", (), (law.value[0], data), law.place)


def _unnamed(env: Environment, law: Node) -> Symbol:
    """The variable for which a dot stands, where there are only two."""
    given: tuple[Symbol, ...] = law.parts[0].value if law.parts else ()
    pairs: dict[tuple[Symbol, ...], Symbol] = {(Symbol("x"),): Symbol("z"), (Symbol("z"),): Symbol("x")}
    other = pairs.get(given)
    if other is None and not given:
        other = Symbol("x" if law.value[0].base == "q" else "z")
    if other is None or env.world.diffusing:
        raise NotUnderstood("for which variable does the dot stand?", law.place)
    return other


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
    if v.ndim == 1 and _is_free(cov, point):  # a variance that is a number is one of a number
        if D > 1:
            raise Unsuited("a variance for several coordinates")
        v = v[:, None, None]
    if m.ndim != 2 or v.ndim != 3:
        raise NotUnderstood(UNIT_MISSING, cov.place)
    determinants = np.linalg.det(v).real
    if (determinants <= 0).any():
        raise (Valueless if (determinants < 0).any() else Undefined)("a Gaussian without a positive variance")
    return m, v


def _is_free(cov: Node, point: Point) -> bool:
    """Whether a variance is made of letters that may be anything; or it is one."""
    letters = [symbol for node in cov.walk() for symbol in node.symbols()]
    return cov == Node("number", (), "1") or (bool(letters) and all(bound_name(s) in point.values for s in letters))


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
    law, point = with_estimate(env, complete(env, law), point)
    if law.kind == "product":
        return np.asarray(sum(log_law(env, part, point) for part in law.parts))
    if law.kind == "density":
        return _log_density(env, law, point)
    if law.kind == "normal":
        where = env.value(law.parts[0], point)
    elif key is not None:
        where = env.look(key, point)
    else:
        raise NotUnderstood("a law, where a density at a point belongs", law.place)
    if where.ndim == 1 and law.kind == "normal":
        return _log_normal_number(env, law, where, point)
    mean, cov = gaussian_parameters(env, law, point)
    if where.ndim != 2:
        raise NotUnderstood("the density of what is not a vector", law.place)
    return log_normal(where, np.broadcast_to(mean, np.broadcast_shapes(mean.shape, where.shape)), cov)


def _log_normal_number(env: Environment, law: Node, where: np.ndarray, point: Point) -> np.ndarray:
    """The logarithm of a Gaussian density of a number, such as a component."""
    mean, variance = (env.value(part, point) for part in law.parts[-2:])
    if mean.ndim > 1 or variance.ndim > 1 or (variance.real <= 0).any():
        raise NotUnderstood("a Gaussian of a number has a number and a positive one", law.place)
    where, mean = np.broadcast_arrays(where, mean)
    return log_normal(where[:, None], mean[:, None], variance[:, None, None])


def _log_density(env: Environment, law: Node, point: Point) -> np.ndarray:
    """The logarithm of a density that is named, and not written out."""
    model, variables, given = conditional(env, law, point)
    if (model, variables, given) in STANDARD:
        unit = np.eye(gaussian(env.world, "boxes have no noise").D)
        return log_normal(env.look("eps", point, law), np.zeros((1, len(unit))), unit[None])
    for name in (*variables, *given):
        if name not in point.values:
            raise NotUnderstood(f"{name} has no value here", law.place)
    density = env.world.log_density(model, variables, given, point)
    for symbol in law.value[1:]:
        if env.is_coordinate(symbol):  # x_t in other units
            density = density - env.log_unit(symbol, point)
    return density


def density(env: Environment, node: Node, point: Point) -> np.ndarray:
    """A density at a point."""
    return from_logarithm(env, log_law(env, node, point))


def from_logarithm(env: Environment, logarithm: np.ndarray) -> np.ndarray:
    """A density by its logarithm; where many variables are averaged over by few nodes it is not seen."""
    if str(getattr(env.world, "rule", "")).startswith("star"):
        raise Unsuited("a density, averaged by a rule for polynomials")
    return np.exp(logarithm)


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
