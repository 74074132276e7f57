"""Whether an equation holds: every relation of a display, in all worlds that can compute it.

An equality must hold in every world, an inequality in every world and strictly in one. "Up to a constant C" says that the
difference of the sides does not move when theta does; so one of the sides has to move.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from diffusion_notes.equations.evaluate import Evaluator
from diffusion_notes.equations.gaussians import Gaussians
from diffusion_notes.equations.names import START
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.proof import proved
from diffusion_notes.equations.reading import Statement, read
from diffusion_notes.equations.roll import Roll
from diffusion_notes.equations.tables import Tables
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited, World

__all__ = ["Page", "Verdict", "worlds"]

TOLERANCE = 1e-8
STRICT = 1e-6
POINTS = 3


@cache
def worlds(context: str) -> tuple[World, ...]:
    """The worlds of a chapter: boxes, some with a model that is q turned round, and Gaussians of one and two dimensions."""
    boxes = [Tables(context, 1), Tables(context, 2, sharp=2.0, small=0.03), Tables(context, 3, tight=1.0, small=0.2)]
    boxes += [Tables(context, 4, sharp=0.7, tight=0.97, small=0.02), Tables(context, 5, sharp=1.5, small=4.0)]
    smooth = [Gaussians(context, 1, 1), Gaussians(context, 2, 2, bent=0.3, T=3), Gaussians(context, 3, 2, T=3)]
    smooth += [Gaussians(context, 4, 1, tight=True, sharp=0.3), Gaussians(context, 5, 1, bent=0.4, sharp=0.4, T=3)]
    return (*boxes, *smooth)


@cache
def roll(context: str) -> World:
    """The world with the book's own data."""
    return Roll(context)


@dataclass(frozen=True)
class Verdict:
    """What was found out about one relation.

    Args:
        kind: `proved`, `holds`, `definition`, `fails` or `not understood`.
        latex: The relation as it is written.
        detail: How it was checked; or the counterexample; or what is not understood.
        tag: The number of the display.
        place: The characters of the display that are not understood.
    """

    kind: str
    latex: str
    detail: str
    tag: str = ""
    place: tuple[int, int] | None = None

    @property
    def good(self) -> bool:
        """Whether it may stand in the book."""
        return self.kind in ("proved", "holds", "definition")


class _Fails(Exception):
    """A counterexample was found."""


@dataclass
class Page:
    """Judges the displays of a page, one after another; what the page defines, it remembers.

    Args:
        context: The chapter: `vae`, `hvae`, `diffusion` or `ddpm`.
    """

    context: str
    definitions: dict = field(default_factory=dict)
    last: Node | None = None

    def judge(self, latex: str) -> list[Verdict]:
        """The verdicts on the relations of a display, in its order.

        Args:
            latex: What stands between the dollars.

        Returns:
            A verdict for each relation; one verdict, if the display cannot be read.
        """
        try:
            return self._judge(latex)
        except Exception as error:  # whatever goes wrong in here, nothing may be accepted because of it
            text = " ".join(latex.split())
            return [Verdict("not understood", text, f"the checker broke: {type(error).__name__}: {error}")]

    def _judge(self, latex: str) -> list[Verdict]:
        try:
            display = read(latex)
        except NotUnderstood as why:
            return [Verdict("not understood", " ".join(latex.split()), why.why, "", why.place)]
        found: list[Verdict] = []
        try:
            conditions = [s for s in display.statements if s.kind != "relation" or _counts_only(s)]
            steps = _steps(conditions)
            draws = [s for s in conditions if s.kind == "draw"]
            self._check_draws(draws)
        except NotUnderstood as why:
            return [Verdict("not understood", " ".join(latex.split()), why.why, display.tag, why.place)]
        for statement in display.statements:
            if statement not in conditions:
                found += self._statement(statement, steps, draws, display.tag)
        for named in display.named:
            found += self._statement(named, steps, draws, display.tag)
        if not found:
            found = [
                Verdict("not understood", " ".join(latex.split()), "no relation in it: nothing is said", display.tag)
            ]
        return found

    def _statement(self, statement: Statement, steps: range | None, draws: list[Statement], tag: str) -> list[Verdict]:
        sides = list(statement.sides)
        text = " ".join(statement.latex.replace("&", " ").split())
        make = lambda kind, detail, place=None: Verdict(kind, text, detail, tag, place)  # noqa: E731
        if sides[0] is None:
            if self.last is None:
                return [make("not understood", "it goes on from something, and there is nothing before it")]
            sides[0] = self.last
        self.last = sides[-1]
        kinds, details = [], []
        for i, relation in enumerate(statement.relations):
            step = _Step(self, sides[i], relation, sides[i + 1], steps, draws)
            where = f"step {i + 1} of {len(statement.relations)}: " if len(statement.relations) > 1 else ""
            try:
                kind, detail = step.verdict()
            except NotUnderstood as why:
                return [make("not understood", where + why.why, why.place)]
            except _Fails as why:
                return [make("fails", where + str(why))]
            kinds.append(kind)
            details.append(detail)
        worst = min(kinds, key=["definition", "holds", "proved"].index)
        return [make(worst, "; ".join(dict.fromkeys(details)))]

    def _check_draws(self, draws: list[Statement]) -> None:
        for draw in draws:
            symbol, law = draw.sides
            if symbol.kind != "symbol":
                raise NotUnderstood("a variable is drawn from a law", draw.place)
            world = next(w for w in worlds(self.context) if not w.cells)
            evaluator = Evaluator(world, self.definitions)
            if symbol.value.base in ("u", "n") and symbol.value.index is None:
                _check_roll(evaluator, symbol.value, law)
                continue
            evaluator._drawn_from([symbol.value], law, world.draws(1).at(t=2, k=1))


def _check_roll(evaluator: Evaluator, symbol: Symbol, law: Node) -> None:
    """The place on the spiral is uniform, the noise around it standard normal."""
    ends = [evaluator.integer(part, Point()) for part in law.parts] if law.kind == "uniform" else None
    normal = law.kind == "normal_law" and evaluator._normal_parts(*law.parts, Point())
    good = ends == [0, 1] if symbol.base == "u" else normal and np.allclose(normal[1], np.eye(evaluator.world.D))
    if not good:
        raise NotUnderstood(f"{symbol.base} has another law in this book", law.place)


def _counts_only(statement: Statement) -> bool:
    """Is it a condition on the step, such as t > 1?"""
    plain = [
        s is not None and (s.kind == "number" or (s.kind == "symbol" and s.value in (Symbol("t"), Symbol("T"))))
        for s in statement.sides
    ]
    return all(plain) and any(s.kind == "symbol" and s.value == Symbol("t") for s in statement.sides)


def _steps(conditions: list[Statement]) -> range | None:
    """The steps that the conditions allow, for T = 4 as if it were endless; none if nothing is said."""
    first, last, said = 0, 10**6, False
    for statement in conditions:
        if statement.kind == "draw":
            continue
        said = True
        numbers = [int(float(s.value)) if s.kind == "number" else None for s in statement.sides]
        if statement.kind == "range":
            if numbers[0] is not None or numbers[1] is None or statement.sides[2].value != Symbol("T"):
                raise NotUnderstood("a range is read as t = 1, \\dots, T", statement.place)
            first = max(first, numbers[1])
            continue
        for i, relation in enumerate(statement.relations):
            left, right = statement.sides[i], statement.sides[i + 1]
            if left.value == Symbol("t") and right.kind == "number":
                low = {r"\gt": numbers[i + 1] + 1, r"\ge": numbers[i + 1], "=": numbers[i + 1]}
                first = max(first, low.get(relation, first))
                high = {r"\lt": numbers[i + 1] - 1, r"\le": numbers[i + 1], "=": numbers[i + 1]}
                last = min(last, high.get(relation, last))
            elif right.value == Symbol("t") and left.kind == "number" and relation in (r"\lt", r"\le"):
                first = max(first, numbers[i] + (relation == r"\lt"))
            elif not (relation == r"\le" and left.value == Symbol("t") and right.value == Symbol("T")):
                raise NotUnderstood("a condition on t is read as t > 1", statement.place)
    return range(first, last + 1) if said else None


def _constant(node: Node) -> tuple[Node | None, tuple[Node, ...]]:
    """An expression without the constants that are added to it, and the constants."""
    if node.kind == "constant" or (node.kind == "symbol" and node.value == Symbol("C")):
        return None, (node,)
    if node.kind == "call" and node.value[0] == Symbol("C"):
        return None, (node,)
    if node.kind in ("add", "sub"):
        (a, first), (b, second) = (_constant(part) for part in node.parts)
        if b is None:
            return a, first + second
        if a is None:
            return (b if node.kind == "add" else replace(node, kind="neg", parts=(b,))), first + second
        return replace(node, parts=(a, b)), first + second
    return node, ()


@dataclass
class _Step:
    """One relation between two expressions."""

    page: Page
    left: Node
    relation: str
    right: Node
    steps: range | None
    draws: list[Statement]

    def verdict(self) -> tuple[str, str]:
        """The kind of verdict and how it was reached; a counterexample is raised."""
        defining = self.relation == ":="
        if defining and self._define():
            self.left = self.right  # what is defined is the right side: it has to have a meaning
        count, strict, reasons = 0, False, []
        (left, a), (right, b) = _constant(self.left), _constant(self.right)
        constants = a + b
        if constants and not ({self.relation, ":="} - {":="} <= {"="} and len(constants) == 1):
            raise NotUnderstood("one constant, in an equality: nothing else can be checked")
        if left is None or right is None:
            raise NotUnderstood("an equation with a constant alone says nothing")
        self.left, self.right = left, right
        for world in self._worlds():
            try:
                strict |= self._in_world(world, constants)
                count += 1
            except Unsuited as why:
                reasons.append(str(why))
        if not count:
            raise NotUnderstood("no world can compute it: " + "; ".join(dict.fromkeys(reasons)))
        if self.relation in (r"\ge", r"\le", r"\gt", r"\lt") and not strict:
            raise _Fails("the two sides are always equal: write =")
        if defining:
            return "definition", f"has a value in {count} worlds"
        if (
            self.relation == "="
            and not constants
            and self.page.context in ("diffusion", "ddpm")
            and proved(self.left, self.right)
        ):
            return "proved", "proved symbolically"
        return "holds", f"holds in {count} worlds"

    def _define(self) -> bool:
        """Remember a name that is new; a name that the book knows has to keep its meaning."""
        node = self.left
        if node.kind not in ("symbol", "call"):
            return False
        name = node.value if node.kind == "symbol" else node.value[0]
        if (name.name, name.index) in self.page.definitions or (isinstance(name.index, Index) and name.index.letter):
            return False
        try:
            for world in self._worlds():
                try:
                    evaluator = Evaluator(world, self.page.definitions)
                    evaluator.value(node, self._points(world).at(t=2))
                except (Unsuited, Undefined):
                    continue
            return False
        except NotUnderstood:
            self.page.definitions[name.name, name.index] = (node.parts, self.right)
            return True

    def _worlds(self) -> tuple[World, ...]:
        """What speaks of the spiral is looked at on the spiral."""
        symbols = {v for side in (self.left, self.right) for n in side.walk() for v in _symbols(n)}
        spiral = any(symbol.base in ("c", "Phi", "u", "n", "tau") for symbol in symbols) and self.page.context != "hvae"
        return (roll(self.page.context),) if spiral else worlds(self.page.context)

    def _points(self, world: World) -> Point:
        return world.draws(POINTS)

    def _in_world(self, world: World, constants: tuple[Node, ...]) -> bool:
        """Whether an inequality is strict here; a relation that does not hold raises."""
        point = self._points(world).at(k=1)
        letters = {index.letter for side in (self.left, self.right) for index in _indices(side)}
        unnamed = letters - {None, "t", "T", "K", "D", "L", "k", "s", "i", "j"}
        if unnamed:
            raise NotUnderstood(f"nothing says what the index {sorted(unnamed)[0]} is")
        steps = (
            range(2, world.T + 1)
            if self.steps is None
            else range(max(self.steps[0], 0), min(self.steps[-1], world.T) + 1)
        )
        if "t" not in letters:
            steps = range(2, 3) if world.T > 1 else range(1, 2)
        strict, seen, why = False, 0, None
        for t in steps:
            try:
                strict |= self._at(world, point.at(t=t), constants)
                seen += 1
            except Undefined as undefined:
                if self.steps is not None:
                    raise _Fails(f"it has no value at t = {t}: {undefined}") from None
                why = undefined
        if not seen:
            raise _Fails(f"it has no value: {why}")
        return strict

    def _at(self, world: World, point: Point, constants: tuple[Node, ...]) -> bool:
        evaluator = Evaluator(world, self.page.definitions)
        start = START[self.page.context]
        evaluator.given = start in evaluator.free(self.left, point) | evaluator.free(self.right, point)
        if constants:
            return self._constant_at(evaluator, point, constants[0])
        if self.relation == r"\propto":
            return self._proportional(evaluator, point)
        a, b, size = self._settled(evaluator, point)
        gap = (a - b).real
        large = np.abs(gap).reshape(len(gap), -1).max(1)
        if self.relation in ("=", ":=", r"\approx"):
            if (large > TOLERANCE * size).any():
                self._fail(world, point, a, b, int(np.argmax(large / size)))
            return False
        sign = 1 if self.relation in (r"\ge", r"\gt") else -1
        if gap.ndim > 1:
            raise NotUnderstood("which of two vectors is larger?")
        if (sign * gap < -TOLERANCE * size).any():
            self._fail(world, point, a, b, int(np.argmin(sign * gap / size)))
        return bool((sign * gap > STRICT * size).any())

    def _fail(self, world: World, point: Point, a: np.ndarray, b: np.ndarray, i: int) -> None:
        said = [_said(np.broadcast_to(value, np.broadcast_shapes(a.shape, b.shape))[i].real) for value in (a, b)]
        step = (
            f", t = {point.counts['t']}"
            if any(x.letter == "t" for n in (self.left, self.right) for x in _indices(n))
            else ""
        )
        raise _Fails(
            f"in one world ({world.title}, T = {world.T}{step}) the left side is {said[0]}, the right side {said[1]}"
        )

    def _sides(self, evaluator: Evaluator, point: Point) -> tuple[np.ndarray, np.ndarray]:
        if self.relation == r"\approx":
            return self._unbiased(evaluator, point)
        a, b = self._pair(evaluator, point)
        zero = [n.kind == "number" and float(n.value) == 0 for n in (self.left, self.right)]
        a, b = (np.zeros_like(b) if zero[0] else a), (np.zeros_like(a) if zero[1] else b)
        if a.shape[1:] != b.shape[1:]:
            raise NotUnderstood("a number and a vector, or vectors of different kinds, are compared")
        return np.broadcast_arrays(a, b)

    def _pair(self, evaluator: Evaluator, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """Both sides; a law that names no variable is one of the variable on the other side."""
        law = [node.kind == "normal_law" for node in (self.left, self.right)]
        if not any(law):
            return evaluator.value(self.left, point), evaluator.value(self.right, point)
        other = self.left if law[1] else self.right
        if (law[0] and law[1]) or other.kind != "density" or len(evaluator.about(other, point)) != 1:
            raise NotUnderstood("a law is compared with what is not the law of one variable")
        key = evaluator.about(other, point)[0]
        return tuple(np.exp(evaluator.log_law(node, point, key)) for node in (self.left, self.right))

    def _unbiased(self, evaluator: Evaluator, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """An estimate is right if its expectation over what is drawn is."""
        items = []
        for draw in self.draws:
            symbol, law = draw.sides
            if symbol.value.copy is not None:
                for k in range(1, evaluator.world.K + 1):
                    drawn = replace(symbol.value, copy=Index(None, k))
                    items.append(evaluator._drawn_from([drawn], law, point))
        if not items:
            raise NotUnderstood("nothing is drawn here, so ≈ says nothing that can be checked")
        return tuple(
            evaluator.average(items, lambda p, n=n: evaluator.value(n, p), point) for n in (self.left, self.right)
        )

    def _settled(self, evaluator: Evaluator, point: Point) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both sides and their size, by a rule of integration that is exact for them."""
        a, b = self._sides(evaluator, point)
        size = np.maximum(_size(a), _size(b))
        if evaluator.world.cells:
            return a, b, self._scale(evaluator, point, a, b, size)
        close = (_size(a - b) <= TOLERANCE * size).all()
        if close and self.relation in ("=", ":="):
            return a, b, size
        for pair in ((4, 6), ("grid 321", "grid 401")):
            there = [replace(evaluator, world=evaluator.world.with_rule(rule)) for rule in pair]
            try:
                (a, b), (c, d) = (self._sides(e, point) for e in there)
            except Unsuited:
                continue
            size = np.maximum(_size(a), _size(b))
            if (np.maximum(_size(a - c), _size(b - d)) <= 0.1 * TOLERANCE * size).all():
                return a, b, self._scale(there[0], point, a, b, size)
        raise Unsuited("an integral that is not exact here")

    def _scale(self, evaluator: Evaluator, point: Point, a: np.ndarray, b: np.ndarray, size: np.ndarray) -> np.ndarray:
        """The size of the largest terms, where the sides themselves nearly vanish by cancellation."""
        if (_size(a - b) <= TOLERANCE * size).all() or self.relation == r"\approx":
            return size
        terms = [term for side in (self.left, self.right) for term in _terms(side)]
        if len(terms) < 3:
            return size
        sizes = [_size(evaluator.value(term, point)) for term in terms]
        return np.maximum(size, 1e-3 * np.max(np.stack(np.broadcast_arrays(*sizes, size)[:-1]), axis=0))

    def _constant_at(self, evaluator: Evaluator, point: Point, constant: Node) -> bool:
        """The difference of the sides may depend on nothing that the constant does not depend on."""
        if constant.kind == "call":
            fixed = {
                key
                for part in constant.parts
                if part.kind == "symbol"
                for key in evaluator.variables((part.value,), point)
            }
            values = {k: (np.repeat(v[:1], len(v), 0) if k in fixed else v) for k, v in point.values.items()}
            pairs = [self._sides(evaluator, replace(point, values=values))]
            a, b = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
            gaps, moving = [(a - b)[i] for i in range(len(a))], [a[i] for i in range(len(a))]
        else:
            gaps, moving = [], []
            for world in (evaluator.world, *(evaluator.world.moved("theta", i, 0.6) for i in range(2))):
                a, b = self._sides(replace(evaluator, world=world), point)
                gaps.append(a - b)
                moving.append(a)
        size = max(np.abs(value).max() for value in moving)
        if max(np.abs(value - moving[0]).max() for value in moving) < STRICT * size:
            raise NotUnderstood("neither side depends on what the constant must not depend on, so it says nothing")
        if max(np.abs(gap - gaps[0]).max() for gap in gaps) > TOLERANCE * size:
            raise _Fails(f"in one world ({evaluator.world.title}) the difference of the sides is not constant")
        return False

    def _proportional(self, evaluator: Evaluator, point: Point) -> bool:
        if self.left.kind != "density":
            raise NotUnderstood("∝ is read after a density: as a function of its variable", self.left.place)
        about = evaluator.about(self.left, point)
        values = {k: (v if k in about else np.repeat(v[:1], len(v), 0)) for k, v in point.values.items()}
        if evaluator.world.cells:
            values |= {k: np.arange(POINTS) % 3 for k in about}
        a, b = self._sides(evaluator, replace(point, values=values))
        gap = np.log(a) - np.log(b)
        if np.abs(gap - gap[0]).max() > TOLERANCE * max(1, np.abs(np.log(a)).max()):
            raise _Fails(f"in one world ({evaluator.world.title}) the ratio of the sides is not constant")
        return False


def _size(value: np.ndarray) -> np.ndarray:
    return np.abs(value).reshape(len(value), -1).max(1)


def _terms(node: Node) -> list[Node]:
    if node.kind in ("add", "sub", "neg", "group"):
        return [term for part in node.parts for term in _terms(part)]
    return [node]


def _indices(node: Node) -> list[Index]:
    """All indices in an expression, those of sums excepted; a `t` of its own counts too."""
    found: list[Index] = []
    for part in node.walk():
        for value in _symbols(part):
            index = value.index
            found += [index] if isinstance(index, Index) else [index.first, index.last] if index else []
            found += [Index("t")] if value == Symbol("t") else []
    return found


def _symbols(node: Node) -> list[Symbol]:
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    return [value for value in values if isinstance(value, Symbol)]


def _said(value: np.ndarray) -> str:
    return f"{float(value):.6g}" if value.ndim == 0 else "(" + ", ".join(f"{x:.6g}" for x in value.ravel()) + ")"
