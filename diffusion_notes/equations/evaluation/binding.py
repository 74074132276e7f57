"""Bound and free variables: what an expectation draws, from what and given what, and what an expression depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffusion_notes.equations.evaluation.environment import NEW_NOISE, Environment, gaussian
from diffusion_notes.equations.evaluation.laws import ANY, about, complete, conditional, gaussian_parameters
from diffusion_notes.equations.language.notation import is_index_letter, meaning
from diffusion_notes.equations.language.syntax_tree import ESTIMATE, Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.worlds.continuous_worlds import EARLIER, NOW, ContinuousWorld
from diffusion_notes.equations.worlds.line_world import DRAWN, LineWorld
from diffusion_notes.equations.worlds.world import LATER, START, Point

__all__ = [
    "Draw",
    "JointDraw",
    "LawDraw",
    "NoiseDraw",
    "StepDraw",
    "bindings",
    "draw_from",
    "factors",
    "free_variables",
    "is_level",
    "parted",
]


STANDARD = Node("normal_law", (Node("number", (), "0"), Node("symbol", (), Symbol("I"))))


@dataclass(frozen=True)
class StepDraw:
    """A step t is drawn, all of them alike."""


@dataclass(frozen=True)
class NoiseDraw:
    """Noise is drawn, and x_t made of it; at the step at hand, or at the one that is given."""

    step: int | None = None


@dataclass(frozen=True)
class JointDraw:
    """Variables are drawn from the joint law of q, given others."""

    keys: tuple[str, ...]
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class LawDraw:
    """Variables are drawn from a law that is written out."""

    law: Node
    keys: tuple[str, ...]


Draw = StepDraw | NoiseDraw | JointDraw | LawDraw
"""One of the things that an expectation draws, one after another."""


# What is drawn


def parted(node: Node) -> tuple[list[Node], Node, tuple[Symbol, ...]]:
    """The laws, the body and the condition of an expectation."""
    *laws, body = [part for part in node.parts if part.kind != "given"]
    given = node.parts[-1].value if node.parts[-1].kind == "given" else ()
    return laws, body, given


def bindings(env: Environment, laws: list[Node], body: Node, given: tuple[Symbol, ...], point: Point) -> list[Draw]:
    """What is drawn, one after another.

    Args:
        env: Where.
        laws: What is written below the expectation: laws, or variables without a law.
        body: What the average is taken of.
        given: The condition in its brackets.
        point: The values of what is not drawn, and the counts.
    """
    conditions = env.variables(given, point)
    if isinstance(env.world, LineWorld):
        return [_of_the_line(env, laws, body, conditions, point)]
    if not laws or (laws[0].kind == "bare" and len(laws) == 1):
        return [_all_that_occurs(env, laws, body, conditions, point)]
    if given:
        raise NotUnderstood("a condition, and a law as well", body.place)
    draws = _written_out(env, laws, body, point)
    keys = [key for draw in draws if isinstance(draw, LawDraw | JointDraw) for key in draw.keys]
    _check_noise_is_whole(env, draws, keys, body, point)
    if len(set(keys)) < len(keys):
        raise NotUnderstood("a variable is drawn twice", body.place)
    return draws


def _of_the_line(
    env: Environment, laws: list[Node], body: Node, conditions: tuple[str, ...], point: Point
) -> JointDraw:
    """What is drawn from a law on the line: X and X', those that the expectation names, or those that occur in it."""
    named = [law.value[0] for law in laws if law.kind == "variable"]
    if conditions or len(named) < len(laws):
        raise NotUnderstood("over which law is the average?", body.place)
    keys = set(env.variables(tuple(named), point)) or free_variables(env, body, point) & set(DRAWN)
    if not keys or not keys <= set(DRAWN) or keys & set(point.values):
        raise NotUnderstood("an average over X, or over X and X'", body.place)
    return JointDraw(tuple(sorted(keys)))


def _all_that_occurs(
    env: Environment, laws: list[Node], body: Node, conditions: tuple[str, ...], point: Point
) -> JointDraw:
    """An expectation that says nothing, or E_q: over all variables of its body that are not given."""
    start = START[env.world.context]
    if laws and (laws[0].value[0].base != "q" or laws[0].value[0].label == "sigma"):
        raise NotUnderstood(f"an expectation over which variables of {laws[0].value[0].name}?", laws[0].place)
    if not laws and not conditions and not env.world.diffusing:
        raise NotUnderstood("over which law is the average?", body.place)
    names = _random_variables(env, body, point) - set(conditions)
    if not env.world.keys[:1] == ("x",) and "z" in names:
        raise NotUnderstood("new noise is averaged over: write its law", body.place)
    if not conditions and env.given:
        names = names - {start}
        conditions = (start,)
    if not conditions and names & set(env.world.attached):
        raise NotUnderstood("is what is seen of the data given, or averaged over? Write the law", body.place)
    ordered = tuple(
        key for key in env.world.keys if key in names
    )  # what is seen is not averaged over unless it is said
    if not ordered:
        raise NotUnderstood(f"an average over nothing: is {start} given?", body.place)
    return JointDraw(ordered, conditions)


def _random_variables(env: Environment, body: Node, point: Point) -> set[str]:
    """The variables of a body; noise is what links two of them."""
    names = free_variables(env, body, point)
    if "eps" in names:
        names = names - {"eps"} | set(env.world.linked(point))
    if names & {"u", "n"}:
        raise NotUnderstood("over which law is the average?", body.place)
    return {name for name in names if "^" not in name}


def _written_out(env: Environment, laws: list[Node], body: Node, point: Point) -> list[Draw]:
    """The draws of an expectation that names variables or laws below it."""
    found: list[Draw] = []
    loose: list[Symbol] = []  # variables whose law has not come yet
    for law in laws:
        match law.kind:
            case "variable" if law.value[0] == Symbol("z") and env.world.context in LATER:
                found.append(LawDraw(STANDARD, ("z",)))  # new noise has one law
            case "variable":
                loose.append(law.value[0])
            case "dots":
                loose.append(Symbol("dots"))
            case "drawn" if law.parts[0].kind == "bare":
                found.append(_of_bare_law(env, (*loose, law.value[0]), law.parts[0], body, point))
                loose = []
            case "drawn":
                found.append(draw_from(env, [*loose, law.value[0]], law.parts[0], point))
                loose = []
            case "conditional":
                keys = env.variables((*loose, law.value[0]), point)
                found.append(JointDraw(keys, env.variables(law.parts[0].value, point)))
                loose = []
            case "density" | "normal" | "product":
                found += factors(env, law, point)
            case _:
                raise NotUnderstood("this is not a law from which one can draw", law.place)
    return _without_law(env, loose, body, point) + found


def _of_bare_law(env: Environment, symbols: tuple[Symbol, ...], law: Node, body: Node, point: Point) -> Draw:
    """Variables that are drawn from q or p, of which no more is said: of q given the data, if these are given."""
    start = START[env.world.context]
    keys = env.variables(symbols, point)
    if law.value[0].base == "p" or start in keys:
        return LawDraw(Node("density", (), (law.value[0], *symbols), law.place), keys)
    given = not env.world.diffusing or env.given or start in free_variables(env, body, point)
    return JointDraw(keys, (start,) if given else ())


def _without_law(env: Environment, symbols: list[Symbol], body: Node, point: Point) -> list[Draw]:
    """Variables without a law have the one that they have in the book."""
    found: list[Draw] = [StepDraw()] if Symbol("t") in symbols else []
    variables = tuple(symbol for symbol in symbols if symbol != Symbol("t"))
    names = env.variables(variables, point.at(t=point.counts.get("t", 1)))
    if not names:
        return found
    if not set(names) <= {*env.world.names, "eps"}:
        raise NotUnderstood("over which law is the average?", body.place)
    start = START[env.world.context]
    seen = tuple(key for key in env.world.attached if key in names)
    if "eps" in names:
        found += [JointDraw((start, *seen))] if start in names else []
        if set(names) - {start, "eps", *seen} or (seen and start not in names):
            raise NotUnderstood("noise is drawn, and what it makes as well", body.place)
        return [*found, NoiseDraw(_step_made(env, body, point))]
    free = free_variables(env, body, point)
    if start not in names and start in free:
        raise NotUnderstood(f"is {start} given? Write the law", body.place)
    if "eps" in free and not set(env.world.linked(point)) <= set(names):
        raise NotUnderstood("the noise belongs to two variables: which of them are drawn?", body.place)
    if not env.world.diffusing and set(names) != {start}:
        raise NotUnderstood("over which law is the average, p's or q's?", body.place)
    return [*found, JointDraw(tuple(key for key in env.world.names if key in names))]


def _step_made(env: Environment, body: Node, point: Point) -> int | None:
    """Of which step the noise makes the variable: of the t at hand, or of one that is named by a number."""
    said = {symbol for node in body.walk() for symbol in node.symbols()}
    if not env.world.diffusing or Symbol("t") in said or any(symbol.index == Index("t") for symbol in said):
        return None
    made = {int(key[1:]) for key in free_variables(env, body, point) & set(env.world.keys)} - {0}
    return made.pop() if len(made) == 1 else None


def _check_noise_is_whole(env: Environment, draws: list[Draw], keys: list[str], body: Node, point: Point) -> None:
    """Noise belongs to two variables: if one is drawn, the other is drawn too, or the law is given it."""
    if any(isinstance(draw, StepDraw | NoiseDraw) for draw in draws) or "eps" not in free_variables(env, body, point):
        return
    ends = set(env.world.linked(point))
    given: set[str] = set()
    for draw in draws:
        if isinstance(draw, JointDraw):
            given |= set(draw.given)
        elif isinstance(draw, LawDraw):
            given |= free_variables(env, draw.law, point) - set(about(env, draw.law, point))
    if ends & set(keys) and not ends <= {*keys, *given}:
        raise NotUnderstood("the noise belongs to two variables: which of them are drawn?", body.place)


def factors(env: Environment, law: Node, point: Point) -> list[Draw]:
    """The factors of a law in an order in which they can be drawn: first what the others are given."""
    if law.kind != "product":
        keys = about(env, law, point)
        return [NoiseDraw() if keys == ("eps",) else LawDraw(law, keys)]
    left = list(law.parts)
    found: list[Draw] = []
    while left:
        waiting = {key for part in left for key in about(env, part, point)}
        ready = [p for p in left if not (free_variables(env, p, point) - set(about(env, p, point))) & waiting]
        if not ready:
            raise NotUnderstood("factors of a law that wait for each other", law.place)
        found.append(LawDraw(ready[0], about(env, ready[0], point)))
        left.remove(ready[0])
    return found


def draw_from(env: Environment, symbols: Sequence[Symbol], law: Node, point: Point) -> Draw:
    """What it means that variables are drawn from a law that is written out."""
    if law.kind == "uniform":
        ends = [env.integer(part, point) for part in law.parts]
        if list(symbols) == [Symbol("t")] and ends[0] == 1 and ends[-1] == env.world.T:
            return StepDraw()
        raise NotUnderstood("a uniform law of what?", law.place)
    if Symbol("dots") in symbols:
        symbols = _copies(env, symbols, law, point)
    keys = env.variables(tuple(symbols), point)
    if keys == ("eps",):
        _check_standard_normal(env, law, point)
        return NoiseDraw()
    if env.world.diffusing and len(keys) == 1 and (keys == ("z",) or keys[0].startswith(NEW_NOISE)):
        _check_standard_normal(env, law, point)
    law = complete(env, law)
    mine = about(env, law, point)
    same = sorted(mine) == sorted(keys) or all(len(mine) == 1 and key.split("^")[0] == mine[0] for key in keys)
    if not same and mine != (ANY,):
        raise NotUnderstood("the law is about other variables", law.place)
    return LawDraw(law, keys)


def _copies(env: Environment, symbols: Sequence[Symbol], law: Node, point: Point) -> list[Symbol]:
    """All of z^1, …, z^K."""
    first = symbols[0]
    last = symbols[-1]
    if env.world.context == "vae":  # samples may be numbered below as well
        first, last = (replace(s, copy=s.copy or s.index, index=None) for s in (first, last))
    if len(symbols) < 3 or first.copy != Index(None, 1) or last.copy is None:
        raise NotUnderstood("dots are read only between z^1 and z^K", law.place)
    return [Symbol(first.base, copy=Index(None, k + 1)) for k in range(env.count(last.copy, point))]


def _check_standard_normal(env: Environment, law: Node, point: Point) -> None:
    if law.kind == "normal_law":
        mean, cov = gaussian_parameters(env, law, point)
        D = gaussian(env.world, "boxes are not Gaussian").D
        if np.allclose(mean, 0) and np.allclose(cov, np.eye(D)):
            return
    raise NotUnderstood("the noise is standard normal in this book", law.place)


# What is free


def free_variables(env: Environment, node: Node, point: Point) -> set[str]:
    """The variables that an expression depends on, noise included."""
    rule = FREE_IN.get(node.kind)
    if rule is not None:
        return rule(env, node, point)
    match node.kind:
        case "symbol":
            return _free_in_symbol(env, node.value, point)
        case "limit":
            return _free_in_limit(env, node)
        case "call" if env.world.attached:
            return _free_in_call(env, node, point)
    found = set().union(*(free_variables(env, part, point) for part in node.parts))
    return found - {"c"} if node.kind == "summed" else found


def _free_in_total(env: Environment, node: Node, point: Point) -> set[str]:
    inner = (free_variables(env, node.parts[-1], there) for there in env.index_range(node, point))
    return set().union(*inner)


def _free_in_information(env: Environment, node: Node, point: Point) -> set[str]:
    """What a mutual information is given; the entropy of variables is averaged over all."""
    return set(env.variables(node.value[3], point)) if node.kind == "mutual" and len(node.value) > 3 else set()


def _free_in_bare(env: Environment, node: Node, point: Point) -> set[str]:
    return {START[env.world.context]}


def _free_in_call(env: Environment, node: Node, point: Point) -> set[str]:
    """What a function of the page, or the guided prediction, depends on beside its arguments."""
    name: Symbol = node.value[0]
    found = set().union(*(free_variables(env, part, point) for part in node.parts))
    definition = env.definitions.get((name.name, name.index))
    inside = definition.expression if definition else meaning(env.world.context, name.name)
    if inside is None or (name.name != "eps_w" and not definition):
        return found
    return found | (free_variables(env, inside, point) & set(env.world.attached))


def _free_in_density(env: Environment, node: Node, point: Point) -> set[str]:
    node = complete(env, node)
    _, variables, given = conditional(env, node, point)
    if not node.parts or ESTIMATE not in node.parts[0].value:
        return {*variables, *given}
    return {*variables, *given} - {"x0"} | _free_in_symbol(env, ESTIMATE, point)


def _free_in_integral(env: Environment, node: Node, point: Point) -> set[str]:
    """What an integral depends on; a point in one over time lies on the curve that begins at x_0."""
    if not is_level(node):
        return free_variables(env, node.parts[-1], point) - set(env.variables(node.value, point))
    place = {"s": EARLIER} if node.value == (Symbol("s"),) else {"t": NOW}
    here = point.at(**place) if env.is_continuous else point
    names = free_variables(env, node.parts[-1], here)
    runs = f"x{next(iter(place.values()))}"
    return names - {runs} | {"x0"} if env.is_continuous and runs in names else names


def _free_in_limit(env: Environment, node: Node) -> set[str]:
    """What a limit of many steps depends on: what a term does, which is about two neighbouring steps."""
    if not isinstance(env.world, ContinuousWorld):
        raise NotUnderstood("a limit of many steps is read in continuous time", node.place)
    steps = replace(env, world=env.world.neighbours(0.5, 0.0))
    if node.parts[0].kind != "total":
        raise NotUnderstood("a limit of many steps is that of a sum over them", node.place)
    names = free_variables(steps, node.parts[0].parts[-1], Point(counts={"t": NOW}))
    if names - {"x0"}:
        raise NotUnderstood("a limit of what depends on its steps", node.place)
    return names


def is_level(integral: Node) -> bool:
    """Whether it is an integral over time, or the level of noise, between two of them, and not over a variable."""
    over = [Symbol(letter) for letter in ("kappa", "lambda", "tau", "mu", "t", "s")]
    return integral.kind == "integral" and len(integral.parts) == 3 and integral.value[0] in over


def _free_in_symbol(env: Environment, symbol: Symbol, point: Point) -> set[str]:
    keys = None if is_index_letter(symbol) else env.variable(symbol, point)
    if keys is not None:
        return set(keys)
    if symbol.label == "theta" and symbol.index is None and env.world.diffusing:
        return {f"x{point.counts['t']}"} if "t" in point.counts else set()  # a network at x_t
    if symbol.name == "tilde mu" and symbol.index is not None:
        return {f"x{env.count(symbol.index, point)}", "x0"}
    known = env.known(symbol, point)
    averaged = symbol.base in ("L", "calL", "ell") and not symbol.label.startswith("drawn")
    if known is None or averaged or symbol == Symbol("w"):
        return set()
    return free_variables(env, known, env.scope(symbol, point))


def _free_in_divergence(env: Environment, node: Node, point: Point) -> set[str]:
    """What the laws of a divergence, or that of an entropy, are given."""
    if node.kind == "entropy" and node.parts[0].kind == "bare":
        return set()
    laws = [complete(env, law) for law in node.parts]
    return set().union(*(free_variables(env, law, point) for law in laws)) - set(about(env, laws[0], point))


def _free_in_average(env: Environment, node: Node, point: Point) -> set[str]:
    laws, body, given = parted(node)
    if not laws or laws[0].kind == "bare":
        return set(env.variables(given, point))
    points = [point]
    if any(law.kind == "variable" and law.value[0].base == "t" for law in laws):
        points = [point.at(t=t) for t in range(1, env.world.T + 1)]
    found: set[str] = set()
    for there in points:
        inside = free_variables(env, body, there)
        for draw in reversed(bindings(env, laws, body, given, there)):
            inside = _unbound(env, inside, draw, there)
        found |= inside
    return found


def _unbound(env: Environment, names: set[str], draw: Draw, point: Point) -> set[str]:
    """What is still free of some variables once a draw has bound its own."""
    match draw:
        case NoiseDraw():
            start = START[env.world.context]
            return names - {"eps"} - (set(env.world.keys) - {start}) | {start}
        case JointDraw(keys, given):
            return names - set(keys) - {"eps"} | set(given)
        case LawDraw(law, keys):
            return names - set(keys) | (free_variables(env, law, point) - set(about(env, law, point)))
    return names


FREE_IN: dict[str, Callable[[Environment, Node, Point], set[str]]] = {
    "density": _free_in_density,
    "bare": _free_in_bare,
    "total": _free_in_total,
    "integral": _free_in_integral,
    **dict.fromkeys(("expectation", "variance"), _free_in_average),
    **dict.fromkeys(("divergence", "entropy"), _free_in_divergence),
    **dict.fromkeys(("mutual", "uncertainty"), _free_in_information),
}
"""What parts of a kind depend on; other parts depend on what is in them."""
