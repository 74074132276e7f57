"""The letters and functions of the book: variables, schedules, variances, networks, bounds.

They are taken from the world's joint Gaussian wherever that is possible (the posterior mean by regression, not by its
formula), so that a formula of the book is compared with something else than itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_notes.equations.evaluation.arithmetic import scalar
from diffusion_notes.equations.evaluation.environment import Environment, bound_name, gaussian
from diffusion_notes.equations.evaluation.levels import loss_at, weight
from diffusion_notes.equations.language.notation import OF_THE_STEP, is_index_letter, meaning
from diffusion_notes.equations.language.syntax_tree import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds.continuous_worlds import ContinuousWorld
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld, Told
from diffusion_notes.equations.worlds.histogram_world import HistogramWorld
from diffusion_notes.equations.worlds.line_world import LineWorld
from diffusion_notes.equations.worlds.world import LATER, OF_LABELS, START, Point, Undefined, Unsuited

__all__ = ["CODERS", "DIMENSIONS", "NETWORKS", "call", "left_open", "symbol"]

SCHEDULE = {"alpha", "beta", "sigma", "bar alpha", "tilde beta", "tilde mu"}
LETTERS = {
    "vae": {"s", "W", "b", "m", "v"},
    "hvae": {"a", "c", "d", "m", "r", "s", "v"},
    "diffusion": {"s", "m", "v"},
    "ddpm": {"m", "v"},
    "samplers": {"m", "v", "eta"},
    "score": {"m", "v", "eta", "h"},
    "conditioning": {"m", "v", "k", "g", "a", "M"},
    "guidance": {"m", "v", "w"},
    "signals": {"m", "v", "mu", "Sigma"},
}
"""The letters of each chapter that are no part of the schedule."""

PREDICTED = ("eps_theta", "hat eps_theta", "x_theta", "hat x_theta", "v_theta", "s_theta", "mu_theta")
NETWORKS = dict.fromkeys(PREDICTED, 2) | {"tilde mu": 2, "SNR": 1}
DIMENSIONS = {"vae": ("D", "J", "d", "k"), "hvae": ("D", "J")} | dict.fromkeys(
    ("diffusion", "ddpm", "samplers", "score"), ("D", "J", "d")
)
"""What the number of coordinates is called in the texts about a chapter."""
OF_CONDITIONS = ("conditioning", "guidance")
"""The chapters in which γ, ω and s are weights of guidance, of which nothing more is said."""

NOTHING_TOLD = Symbol("empty")
PARAMETERS = ("theta", "phi", "psi", "beta")
CODERS = {f"{letter}{model}": 1 for letter in ("mu", "sigma", "Sigma") for model in ("_theta", "_phi", "")}
"""The functions of a diffusion chapter, and of a VAE's, and how many arguments they have."""


# Letters


def symbol(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The value of a letter: a count, a variable, what a page has defined, what stands for an expression, a number."""
    letter: Symbol = node.value
    if is_index_letter(letter) and letter.base in point.counts:
        return np.array([_counted(env, letter, point)])
    if bound_name(letter) in point.values:
        return point.values[bound_name(letter)]
    keys = None if env.is_coordinate(letter) else env.variable(letter, point)
    if keys is not None:
        if len(keys) != 1:
            raise NotUnderstood("several variables where one belongs", node.place)
        return env.look(keys[0], point, node)
    definition = env.definitions.get((letter.name, letter.index))
    if definition is not None:
        return replace(env, given=definition.given).value(definition.expression, point)
    open_constant = letter == Symbol("C") and env.constant is not None
    inside = None if _is_weight(env, letter) or open_constant else env.known(letter, point)
    if inside is not None:
        if letter.name in ("w", "C", "ell") and letter.index is None:
            raise NotUnderstood(f"{letter.base} has an index, the step", node.place)
        return env.value(inside, env.scope(letter, point))
    return _letter(env, letter, point, node)


def _is_weight(env: Environment, letter: Symbol) -> bool:
    """Whether it is the weight of guidance, which has no index."""
    return letter == Symbol("w") and env.world.context == "guidance"


def _counted(env: Environment, letter: Symbol, point: Point) -> float:
    """The number of a step, or a time."""
    count = point.counts[letter.base]
    if not isinstance(env.world, ContinuousWorld):
        return float(count)
    time = env.world.times[count]
    if np.isnan(time):
        raise NotUnderstood("an integral over levels in which the time itself occurs: integrate over t")
    return time


def _letter(env: Environment, letter: Symbol, point: Point, node: Node) -> np.ndarray:
    """The value of a letter that is no variable.

    Args:
        env: Where.
        letter: The letter.
        point: Where; its step counts.
        node: Where it is written, for the error.

    Returns:
        A number `(1,)`, a vector `(1 or S, D)` or a matrix `(1, D, D)`.

    Raises:
        NotUnderstood: If the letter is not in the notation of this chapter.
    """
    name = letter.name
    plain = letter.index is None and letter.copy is None
    if name == "T" and env.world.context == "vae":
        raise NotUnderstood("there is no T in this chapter", node.place)
    number = _constant(env, name, point) if plain else None
    if number is not None:
        return np.array([number])
    if name in PREDICTED and plain and env.world.diffusing:  # at x_t, where nothing is said
        at = (Node("symbol", (), Symbol("x", index=Index("t"))), Node("symbol", (), Symbol("t")))
        return _function(env, letter, Node("call", at, (letter,)), point)
    scheduled = env.world.diffusing and name in SCHEDULE
    if not scheduled and name not in LETTERS[env.world.context] and not (name in (*_dimensions(env), "I") and plain):
        raise NotUnderstood(f"{name!r} is not in the notation of this chapter", node.place)
    if letter.copy is not None:
        raise NotUnderstood(f"{name!r} with an index above it", node.place)
    if scheduled and not isinstance(letter.index, Index):
        raise NotUnderstood(f"{name!r} needs an index, the step", node.place)
    world = gaussian(env.world, "boxes have no such number")
    if name in _dimensions(env):
        return np.array([float(world.D)])
    if name == "I":
        return np.eye(world.D)[None]
    if scheduled:
        return _scheduled(env, world, name, env.count(letter.index, point), point)
    return _chapter_letter(env, world, letter, point, node)


def _dimensions(env: Environment) -> tuple[str, ...]:
    return DIMENSIONS.get(env.world.context, ("D",))


def _constant(env: Environment, name: str, point: Point) -> float | None:
    """A letter that is a number in every world, or counts something in this one."""
    match name:
        case "C":
            return env.constant
        case "pi":
            return np.pi
        case "e":
            return np.e
        case "infty" if env.is_continuous:
            return np.inf
        case "T" if isinstance(env.world, ContinuousWorld):
            return env.world.horizon
        case "T" | "K":
            return float(env.count(Index(name), point))
        case "L" if not env.world.diffusing:
            return float(env.count(Index(name), point))
    return _parameter(env, name)


def _parameter(env: Environment, name: str) -> float | None:
    """A letter that may be any number of its kind: what a world has chosen."""
    match name:
        case "beta" if not env.world.diffusing:  # the weight of the divergence
            return env.world.temper
        case "h" if isinstance(env.world, GaussianWorld) and env.world.context == "score":
            return env.world.length
        case "eta" if isinstance(env.world, GaussianWorld) and env.world.eta is not None:
            return env.world.eta
        case "w" if env.world.context == "guidance":
            return env.world.weight
        case "gamma" | "omega" | "s" if env.world.context in OF_CONDITIONS:
            return env.world.any_number(name)
    return None


def _scheduled(env: Environment, world: GaussianWorld, name: str, t: int, point: Point) -> np.ndarray:
    """A letter of the schedule, or of the posterior, at a step."""
    if isinstance(world, ContinuousWorld):
        return _at_time(world, name, t)
    if not 0 <= t <= world.T or (t == 0 and name not in ("alpha", "beta", "bar alpha")):
        raise Undefined(f"there is no {name} at {t}")
    match name:
        case "tilde mu":
            return _posterior_mean(world, env.look(f"x{t}", point), env.look("x0", point), t)
        case "tilde beta":
            if t == 1:
                return np.zeros(1)
            return np.array([world.regress("q", (f"x{t - 1}",), (f"x{t}", "x0"))[2][0, 0] / world.prior[1][0, 0]])
        case "alpha":
            return np.array([1 - world.beta[t]])
        case "beta":
            return np.array([world.beta[t]])
        case "bar alpha":
            return np.array([world.alpha_bar[t]])
    return np.array([world.sigma[t]])


def _at_time(world: ContinuousWorld, name: str, t: int) -> np.ndarray:
    """A level of noise, or a rate, in continuous time."""
    if name not in ("bar alpha", "beta"):
        raise NotUnderstood(f"there are no steps in continuous time, so there is no {name}")
    if name == "bar alpha":
        return world.alpha_bar[t : t + 1]
    if np.isnan(world.times[t]):
        raise NotUnderstood("an integral over levels in which the rate occurs: integrate over t")
    return world.rates[t : t + 1]


def _posterior_mean(world: GaussianWorld, xt: np.ndarray, x0: np.ndarray, t: int) -> np.ndarray:
    """E[x_{t-1} | x_t, x_0] for any two points, by regression in the joint Gaussian."""
    if t == 1:
        return x0
    gain = world.regress("q", (f"x{t - 1}",), (f"x{t}", "x0"))[1]
    return np.concatenate(np.broadcast_arrays(xt, x0), axis=-1) @ gain.T


def _chapter_letter(env: Environment, world: GaussianWorld, letter: Symbol, point: Point, node: Node) -> np.ndarray:
    """A letter of one chapter: a linear decoder, the scalar example with two layers, the noise of the data."""
    i = env.count(letter.index, point) if isinstance(letter.index, Index) else None
    if world.attached and letter.base in ("m", "v") and letter.index is None:
        return world.generic[letter.base][:1]
    if world.context == "conditioning" and i is None:
        return _of_observations(world, letter.base)
    if world.context != "hvae" and letter.base in ("m", "v") and letter.index in (Index(None, 1), Index(None, 2)):
        return world.generic[letter.base][i][None]  # any vector, any variance
    if world.context == "vae" and i is None:
        if world.bent:
            raise Unsuited("a decoder that is not linear")
        a, b, _ = world.net[1]
        return {"s": world.sigma[1:2], "W": a[None], "b": b[None]}[letter.base]
    if world.context == "hvae":
        value = _scalar_example(env, world, letter.base, i, point)
        if value is not None:
            return value
    if world.diffusing and letter.base == "s" and i is None:
        return world.noise_of_the_data()
    if world.context == "signals" and letter.base in ("mu", "Sigma") and i is None:
        return world.prior[letter.base == "Sigma"][None]
    raise NotUnderstood(f"{letter.base!r} with this index is not in the notation of this chapter", node.place)


def _of_observations(world: GaussianWorld, base: str) -> np.ndarray:
    """A letter of the chapter about observations: their deviation, any vectors, and a mask."""
    match base:
        case "k":
            return np.array([world.deviation_seen()])
        case "M":  # the first coordinate, and each second one after it
            return np.diag(1.0 * (np.arange(world.D) % 2 == 0))[None]
    return world.generic["m"][{"g": 1, "a": 2}[base]][None]


def _scalar_example(
    env: Environment, world: GaussianWorld, base: str, i: int | None, point: Point
) -> np.ndarray | None:
    """The letters of the example with two scalar layers."""
    if world.D > 1 or world.bent:
        raise Unsuited("the scalar example")
    if (base, i) == ("m", 1):
        return env.look("x", point) @ world.up[0][0].T + world.up[0][1]
    c, d = world.up[1]
    known = {
        ("a", None): world.net[2][0][0], ("c", None): c[0], ("d", None): d[None],
        ("r", 1): world.sigma_phi[1:2], ("r", 2): world.sigma_phi[2:3],
        ("s", 1): world.sigma[1:2], ("s", 2): world.sigma[2:3],
        ("v", None): world.regress("q", ("z1",), ("z2", "x"))[2][0],
    }  # fmt: skip
    return known.get((base, i))


def left_open(env: Environment, node: Node, point: Point) -> np.ndarray:
    """What an exponent leaves open, `const` or C(x_t, x_0), where that may be anything."""
    if env.constant is None:
        raise NotUnderstood("something is left open here", node.place)
    return np.array([env.constant])


# Functions


def call(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The value of a function with its arguments: one that the page has defined, or one of the book."""
    name: Symbol = node.value[0]
    definition = env.definitions.get((name.name, name.index))
    if name == Symbol("C") and env.constant is not None:
        return left_open(env, node, point)
    if definition is None:
        of_the_step = env.world.diffusing and name.name in OF_THE_STEP
        return (_about_the_step if of_the_step else _function)(env, name, node, point)
    if definition.arguments != node.parts:
        step = _other_step(definition.arguments, node.parts) if env.world.context in LATER else None
        if step is None:
            raise NotUnderstood("a function of this page, with other arguments", node.place)
        point = point.at(t=env.count(step, point))
    return replace(env, given=definition.given).value(definition.expression, point)


def _other_step(arguments: tuple[Node, ...], called: tuple[Node, ...]) -> Index | None:
    """The step that stands in a call where the definition of a function has t: of f(x_t, t) in f(x_0, 0) it is 0."""
    if len(arguments) != len(called):
        return None
    found: set[Index | None] = set()
    for mine, its in zip(arguments, called, strict=True):
        if mine == its:
            continue
        if mine.kind == its.kind == "symbol" and replace(mine.value, index=its.value.index) == its.value:
            found.add(its.value.index if mine.value.index == Index("t") else None)
        elif mine.value == Symbol("t") and its.kind == "number":
            found.add(Index(None, int(float(its.value))))
        else:
            found.add(None)
    said = {mine.value for mine in arguments if mine.kind == "symbol"}
    step = found.pop() if len(found) == 1 else None
    return step if isinstance(step, Index) and (Symbol("t") not in said or called[-1] != arguments[-1]) else None


def _function(env: Environment, name: Symbol, node: Node, point: Point) -> np.ndarray:
    """The value of a function that the book names: a network, the posterior mean, a bound.

    Args:
        env: Where.
        name: The function.
        node: The call; its parts are the arguments.
        point: Where.

    Raises:
        NotUnderstood: If there is no such function in this chapter, or its arguments are others.
    """
    match name.name:
        case "calL" | "calL_beta" | "L_vlb" | "L_ce" | "L_simple":
            return _bound(env, name, node, point)
        case "calL_loss":
            return -_bound(env, replace(name, label=""), node, point)
        case "c" if env.world.context == "hvae":  # there it is a number, before a bracket
            factor = _letter(env, name, point, node)
            value = env.value(node.parts[0], point)
            return factor.reshape(-1, *(1,) * (value.ndim - 1)) * value
        case "F" | "text CRPS":
            return _of_the_line(env, name, node, point)
        case "g" | "g_phi" | "tr" | "diag" if name.index is None:
            return {"tr": _trace, "diag": _diagonal}.get(name.name, _made_of_noise)(env, node, point)
        case "eps_w" | "f_theta" if name.index is None and meaning(env.world.context, name.name) is not None:
            return _at_this_step(env, name, node, point)
        case "w" | "ell" if len(node.parts) == 1:
            return (weight if name.name == "w" else loss_at)(env, node, point)
    node = _with_its_step(env, name, node)
    _check_signature(env, name, node)
    if name.name == "r":
        return np.exp(0.1 * _any_function(env, "f", node.parts[0], point))
    if name.name in ("f", "f_phi"):
        return _any_function(env, name.name, node.parts[0], point)
    return _smooth_function(env, gaussian(env.world, "boxes have no coordinates"), name, node, point)


def _made_of_noise(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The z that noise makes, g_φ(ε, x)."""
    told = {part.value for part in node.parts} - {Symbol("phi"), Symbol("theta")}
    if told != {Symbol("eps"), Symbol("x")} or env.world.context != "vae":
        raise NotUnderstood("g makes z of noise and x: g(ε, x)", node.place)
    x = Node("symbol", (), Symbol("x"))
    mean, deviation = (Node("call", (x,), (Symbol(letter, label="phi"),)) for letter in ("mu", "sigma"))
    made = Node("add", (mean, Node("mul", (deviation, Node("symbol", (), Symbol("eps"))))))
    return env.value(made, point)


def _of_the_line(env: Environment, name: Symbol, node: Node, point: Point) -> np.ndarray:
    """The distribution function F(u) of a law on the line, or its CRPS for a number."""
    world = env.world
    if not isinstance(world, LineWorld) or name.index is not None:
        raise NotUnderstood(f"{name.base!r} is not in the notation of this chapter", node.place)
    if name.base == "F" and len(node.parts) == 1:
        return world.distribution(scalar(env, node.parts[0], point))
    if name.base != "F" and len(node.parts) == 2 and node.parts[0].value == Symbol("F"):
        return world.score(scalar(env, node.parts[1], point))
    raise NotUnderstood("F has one argument, and the CRPS has two: F and a number", node.place)


def _smooth_function(env: Environment, world: GaussianWorld, name: Symbol, node: Node, point: Point) -> np.ndarray:
    """A function of numbers or vectors: of the data, of the schedule, or a network."""
    first = node.parts[0]
    match name.name:
        case "c":
            return world.spiral(scalar(env, first, point))
        case "Phi":
            return world.normal_cdf(env.value(first, point))
        case "SNR":
            bar = world.alpha_bar[env.step(first, point)]
            return np.array([bar / (1 - bar)])
    vector = env.value(first, point)
    if vector.ndim != 2:
        raise NotUnderstood("a vector belongs here", first.place)
    if name.name == "tilde mu":
        return _posterior_mean_of(env, world, name, node, vector, point)
    if not world.diffusing:
        return _coder(env, world, name.name, first, vector, point)
    t = _checked_step(world, env.step(node.parts[1], point))
    if len(node.parts) == 3 and node.parts[2].value != NOTHING_TOLD:
        return _network(world, name.name, vector, t, _told(env, node.parts[2], point))
    return _network(world, name.name, _in_units_of_x(env, node, vector, point), t)


def _at_this_step(env: Environment, name: Symbol, node: Node, point: Point) -> np.ndarray:
    """A prediction that is guided, ε_w(x_t, t), which may say what it is told; or a step without noise, f_θ(x_t, t)."""
    plain = (Symbol("x", index=Index("t")), Symbol("t"))
    inside = meaning(env.world.context, name.name)
    told = (*plain, Symbol("c"))
    said = tuple(part.value for part in node.parts)
    if inside is None or said not in (plain, *([told] if name.name == "eps_w" else [])):
        raise NotUnderstood(f"{name.name} is read at x_t and t", node.place)
    return env.value(inside, point)


def _about_the_step(env: Environment, name: Symbol, node: Node, point: Point) -> np.ndarray:
    """The mean or the variance of a step, which may name what it is about: x_t, x_0 and t."""
    named = (Symbol("x", index=Index("t")), Symbol("x", index=Index(None, 0)), Symbol("t"))
    if any(part.value not in named for part in node.parts):
        raise NotUnderstood(f"{name.name} is read at x_t, x_0 and t", node.place)
    return symbol(env, Node("symbol", (), name, node.place), point)


def _with_its_step(env: Environment, name: Symbol, node: Node) -> Node:
    """The call of a network that does not say at which step it looks: that of the x_t that it looks at."""
    first, *others = node.parts
    named = name.name in PREDICTED and env.world.diffusing and first.value == Symbol("x", index=Index("t"))
    seen = [part.value in (Symbol(key) for key in env.world.attached) for part in others]
    if not named or len(others) > 1 or not all(seen):
        return node
    return replace(node, parts=(first, Node("symbol", (), Symbol("t"), first.place), *others))


def _told(env: Environment, node: Node, point: Point) -> Told:
    """What a network is told of the data."""
    keys = env.variable(node.value, point) if node.kind == "symbol" else None
    if keys is None or keys[0] not in env.world.attached:
        raise NotUnderstood("a network is told what is seen of the data", node.place)
    if env.world.context not in OF_LABELS:
        raise NotUnderstood("a network that is told what is seen of the data is none of this chapter", node.place)
    if keys[0] not in point.values:
        raise NotUnderstood(f"{keys[0]} has no value here", node.place)
    return keys[0], point.values[keys[0]]


def _in_units_of_x(env: Environment, node: Node, vector: np.ndarray, point: Point) -> np.ndarray:
    """The point that a network looks at, as an x_t: x_τ stands before τ, y before κ."""
    first, second = (part.value if part.kind == "symbol" else None for part in node.parts[:2])
    before = {"tau": Symbol("x", index=Index("tau")), "kappa": Symbol("y"), "lambda": None}
    if not isinstance(second, Symbol) or second.base not in before:
        if isinstance(first, Symbol) and env.is_coordinate(first):
            raise NotUnderstood("the network looks at x_t and t, at x_τ and τ, or at y and κ", node.place)
        return vector
    if not isinstance(first, Symbol) or first.base != (before[second.base] or Symbol("")).base:
        raise NotUnderstood("the network looks at x_t and t, at x_τ and τ, or at y and κ", node.place)
    if not env.is_coordinate(first):
        raise NotUnderstood("the network looks at x_t and t, at x_τ and τ, or at y and κ", node.place)
    return point.values[f"x{env.count(Index('t'), point)}"]


def _check_signature(env: Environment, name: Symbol, node: Node) -> None:
    said = name.name
    if name.index is not None and said != "tilde mu":
        raise NotUnderstood(f"{said!r} has no index in this book", node.place)
    arity = (
        ({"r": 1} if env.world.context == "conditioning" else {})
        | {"f": 1, "f_phi": 1, "c": 1, "Phi": 1}
        | (NETWORKS if env.world.diffusing else CODERS)
    )
    if said == "hat eps_theta" and env.world.context in OF_LABELS:  # there it may be one that is guided
        arity.pop(said)
    count = len(node.parts)
    if arity.get(said) != count and not (count == 3 and arity.get(said) == 2 and env.world.attached and name.label):
        raise NotUnderstood(f"{said!r} with {count} arguments is not in the notation of this chapter", node.place)


def _trace(env: Environment, node: Node, point: Point) -> np.ndarray:
    matrix = env.value(node.parts[0], point)
    if matrix.ndim != 3:
        raise NotUnderstood("the trace of what is no matrix", node.place)
    return np.trace(matrix, axis1=1, axis2=2)


def _diagonal(env: Environment, node: Node, point: Point) -> np.ndarray:
    """The matrix with a vector on its diagonal; a vector of deviations is such a matrix."""
    value = env.value(node.parts[0], point)
    unit = np.eye(gaussian(env.world, "boxes have no coordinates").D)
    return value if value.ndim == 3 else (value[:, None, None] if value.ndim == 1 else value[:, None, :]) * unit


def _any_function(env: Environment, name: str, argument: Node, point: Point) -> np.ndarray:
    """f(z), any function of a box, or of a vector: a cubic."""
    world = env.world
    if isinstance(world, HistogramWorld) and argument.kind == "symbol":
        keys = env.variable(argument.value, point)
        if keys is None or keys[0] not in point.values:
            raise NotUnderstood(f"a function of {argument.value.name}, which has no value here", argument.place)
        return world.function(name, [point.values[keys[0]]])
    constant, linear, square = gaussian(world, "a function of coordinates, of boxes").functions[name]
    z = env.value(argument, point)
    if z.ndim != 2:
        raise NotUnderstood(f"{name} is a function of a vector here", argument.place)
    return constant + z @ linear + np.einsum("si,ij,sj->s", z, square, z) + 0.1 * (z @ linear) ** 3


def _checked_step(world: GaussianWorld, t: int) -> int:
    if not 1 <= t <= world.T:
        raise Undefined(f"there is no step {t}")
    return t


def _posterior_mean_of(
    env: Environment, world: GaussianWorld, name: Symbol, node: Node, xt: np.ndarray, point: Point
) -> np.ndarray:
    if not isinstance(name.index, Index):
        raise NotUnderstood("the posterior mean needs an index, the step", node.place)
    t = _checked_step(world, env.count(name.index, point))
    start = node.parts[1]
    x0 = env.value(start, point)
    noisy = start.value[0] if start.kind == "call" else start.value
    if isinstance(noisy, Symbol) and noisy.base == "eps":  # in the place of the data, it says what they are
        x0 = world.start_of(xt, x0, t)
    return _posterior_mean(world, xt, x0, t)


def _network(world: GaussianWorld, name: str, xt: np.ndarray, t: int, told: Told = None) -> np.ndarray:
    """The network's noise, and what follows from it: the data, the velocity, the mean of the step down."""
    if name == "mu_theta":
        return world.mean_down(xt, t, told)
    noise = world.network(xt, t) if told is None else world.network_told(xt, t, *told)
    bar = world.alpha_bar[t]
    start = world.start_of(xt, noise, t)
    match name.removeprefix("hat "):
        case "eps_theta":
            return noise
        case "x_theta":
            return start
        case "s_theta":
            return -noise / np.sqrt(1 - bar)
    if world.context == "score":  # the velocity of flow matching
        return noise - start
    return np.sqrt(bar) * noise - np.sqrt(1 - bar) * start


def _coder(
    env: Environment, world: GaussianWorld, name: str, argument: Node, value: np.ndarray, point: Point
) -> np.ndarray:
    """The means and deviations of an encoder and a decoder with one layer."""
    keys = env.variable(argument.value, point) if argument.kind == "symbol" else None
    model = "q" if keys is not None and world.original(keys[0]) == "x" else "p"
    letter, _, label = name.partition("_")
    if world.context != "vae" or label == {"q": "theta", "p": "phi"}[model]:
        raise NotUnderstood(f"{name!r} of this is not in the notation of this chapter", argument.place)
    if letter == "mu":
        return world.mean_down(value, 1) if model == "p" else value @ world.up[0][0].T + world.up[0][1]
    return (world.deviation if letter == "sigma" else world.covariance)(model, value)


def _bound(env: Environment, name: Symbol, node: Node, point: Point) -> np.ndarray:
    """A bound or a loss with its arguments: its parameters, its data point, or the law q that it is a function of."""
    context = env.world.context
    told = [_argument_of_bound(env, part, point) for part in node.parts]
    if len(set(told)) < len(told):
        raise NotUnderstood("an argument twice", node.place)
    if "beta" in told and name.name == "calL":
        name = replace(name, label="beta")
    key = {"calL": "calL K"}.get(name.name, name.name) if name.index is not None else name.name
    if "law" in told and key == "calL":
        key = "calL free"
    inside = meaning(context, key, "data" not in told and not env.given and key != "L_simple")
    if inside is None or (env.world.diffusing and name.index is not None):
        raise NotUnderstood("which bound is this?", node.place)
    samples = {} if name.index is None else {"K": env.count(name.index, point)}
    return env.value(inside, point.at(**samples))


def _argument_of_bound(env: Environment, part: Node, point: Point) -> str:
    """What an argument of a bound is: a parameter by its name, the `data` point, or the `law` that it is about."""
    if part.kind == "bare" and part.value[0] == Symbol("q"):
        return "law"
    if part.kind == "bare":
        return f"parameters of {part.value[0].name}"
    letter = part.value if part.kind == "symbol" else Symbol("")
    if letter.name in PARAMETERS:
        return letter.name
    if env.variable(letter, point) == (START[env.world.context],):
        return "data"
    raise NotUnderstood("the bound is that of a data point, with its parameters", part.place)
