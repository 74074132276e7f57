"""One relation between two expressions: does it hold in every world that can compute it?

An equality must hold in every world, an inequality in every world, the limiting cases too, and strictly in one. "Up to
a constant C" says that the difference of the sides does not move when theta does, so one of the sides has to move.

What no world breaks may be broken by a world that is not here. So a bound that no world comes near, such as a number
that just happens to be larger, is not accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from diffusion_notes.equations.evaluation.binding import free_variables, is_level
from diffusion_notes.equations.evaluation.curves import CLOCKS, step_down
from diffusion_notes.equations.evaluation.environment import Definition, Definitions, gaussian, unfolded
from diffusion_notes.equations.evaluation.evaluator import Evaluator
from diffusion_notes.equations.evaluation.free_letters import FreeLetters, free_letters, with_free_letters
from diffusion_notes.equations.evaluation.laws import UNIT_MISSING
from diffusion_notes.equations.evaluation.levels import on_curve
from diffusion_notes.equations.evaluation.quantities import CODERS, DIMENSIONS, NETWORKS
from diffusion_notes.equations.language.notation import may_be_new, meaning
from diffusion_notes.equations.language.syntax_tree import (
    Index,
    Node,
    NotUnderstood,
    Range,
    Symbol,
    componentwise,
    free_indices,
    numeric_parts,
    split_constants,
    terms,
)
from diffusion_notes.equations.language.writing import in_latex
from diffusion_notes.equations.verdicts.approximation import approached
from diffusion_notes.equations.verdicts.choices import coupled, with_choices
from diffusion_notes.equations.verdicts.comparison import POINTS, STRICT, Comparison, Fails, largest_entry
from diffusion_notes.equations.verdicts.free_law import with_free_law
from diffusion_notes.equations.verdicts.in_law import equal_in_law, has_new_noise, maker
from diffusion_notes.equations.verdicts.motion import is_predicted, verdict_on_motion
from diffusion_notes.equations.verdicts.naming import SPREAD, named_parameters, parameters_of_steps
from diffusion_notes.equations.verdicts.proof import is_proved
from diffusion_notes.equations.verdicts.side_conditions import SideConditions
from diffusion_notes.equations.verdicts.steps import is_quiet, kept_law, measured_order, put_in, remainder, step_target
from diffusion_notes.equations.worlds.catalogue import (
    continuous_worlds,
    limiting_cases,
    line_worlds,
    spread_worlds,
    swiss_rolls,
    usual_worlds,
)
from diffusion_notes.equations.worlds.continuous_worlds import EARLIER, NOW, ContinuousWorld
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import (
    ATTACHED,
    LATER,
    START,
    Inexact,
    Point,
    Undefined,
    Unsuited,
    Valueless,
    World,
)

__all__ = ["Relation"]

SCHEDULE = ("alpha", "beta", "sigma", "kappa")
MOST_SHOWN = 4
NAMES = {name for name in (*NETWORKS, *CODERS) if not name.startswith("hat")}
RESERVED = {*NAMES, "f", "f_phi", "Phi", "H", "I", "D", "T", "K", "pi", "e"}
LETTERS = {"t", "T", "K", "D", "L", "k", "s", "i", "j", "tau", "kappa", "lambda"}
SPIRAL = ("c", "Phi", "tau")
OF_THE_LINE = ("F", "X", "text CRPS")
TIMELESS = ("score", "conditioning", "guidance")
DRAWN = ("drawn", "variable")
ENOUGH = 5  # worlds whose integrals are not exact
MANY = 6  # steps, of which a few are looked at
PLAIN = (1e-4, 1e4)
NEAR = 0.1
NEARER = 1e-3  # a number may have been chosen to be a little larger than all that is seen here


@dataclass(frozen=True)
class Relation:
    """One relation.

    Args:
        context: The chapter.
        definitions: What the page has defined so far; a definition adds to it.
        left: One side.
        relation: What is said of the two.
        right: The other side.
        said: What the display says beside its relations.
        head: What stands at the beginning of the chain, if this is a link of one.
        component: The letter that picks a component of its vectors, if there is one that nothing binds.
        own: Whether the page is one of the book's own, where nothing is defined by a mere =.
    """

    context: str
    definitions: Definitions
    left: Node
    relation: str
    right: Node
    said: SideConditions
    head: Node | None = None
    own: bool = True
    component: str = ""

    @cached_property
    def free(self) -> FreeLetters:
        """The letters of which nothing is said."""
        if self._is_on_the_line:
            return {}
        world = next(world for world in usual_worlds(self.context) if isinstance(world, GaussianWorld))
        evaluator = Evaluator(world, self.definitions)
        point = world.draws(1).at(t=2)

        def is_known(symbol: Symbol) -> bool:
            if (symbol.name, symbol.index) in self.definitions:
                return True
            try:
                if evaluator.variable(symbol, point) is not None:
                    return True
                evaluator.value(Node("symbol", (), symbol), point)
            except NotUnderstood:
                return False
            except (Unsuited, Undefined):
                pass
            return True

        sides = (split_constants(side)[0] for side in (self.left, self.right))
        return free_letters([side for side in sides if side is not None], is_known)

    def verdict(self) -> tuple[str, str]:
        """The kind of verdict and how it was reached.

        Raises:
            Fails: If it does not hold, with a counterexample.
            NotUnderstood: If it has no meaning here, or no world can compute it.
        """
        left, right = with_free_law(self.context, self.left, self.right)
        if (left, right) != (self.left, self.right):
            return replace(self, left=left, right=right).verdict()
        if letter := self._component:
            if self.component:  # it is left where no vector has it for an index
                raise NotUnderstood(f"nothing says of what {letter} picks a component")
            left, right = (componentwise(side, letter) for side in (self.left, self.right))
            return replace(self, left=left, right=right, component=letter).verdict()
        try:
            return self._of_named_parameters() or self._of_parameters_of_steps() or self._as_it_stands()
        except NotUnderstood as why:
            if self.own or why.why != UNIT_MISSING:
                raise
        left, right = (_with_units(side) for side in (self.left, self.right))
        kind, detail = replace(self, left=left, right=right, own=True).verdict()
        return kind, f"{detail}, with an I after each variance"

    @property
    def _component(self) -> str:
        """The letter that picks any component of the vectors in it, if there is one that nothing binds."""
        sides = (self.left, self.right)
        free = {index.letter for side in sides for index in free_indices(side)} & {"i", "j"}
        return free.pop() or "" if self.context == "vae" and len(free) == 1 else ""

    def _as_it_stands(self) -> tuple[str, str]:
        """The verdict with all letters as they are known."""
        if self.context == "samplers" and (rest := remainder(self.right)):
            if self.relation != "=":
                raise NotUnderstood("the order of an error is told after =", rest[1].place)
            return "holds", measured_order(self.definitions, self.left, *rest)
        if self.context in ATTACHED and (found := self._approximation()):
            return found
        if self.right.kind == "motion":
            if self.context != "score":
                raise NotUnderstood("a differential equation, where time has steps", self.right.place)
            return "holds", verdict_on_motion(self.definitions, self.left, self.right)
        worlds = self._worlds()
        self._check_numbers(worlds[0])
        try:
            return self._in_law(worlds) or self._everywhere(worlds)
        except (Fails, NotUnderstood):
            found = None if self.own else self._up_to_its_variable(worlds)
            if found is None:
                raise
            return found

    def _up_to_its_variable(self, worlds: tuple[World, ...]) -> tuple[str, str] | None:
        """The verdict on a logarithm of a law of which the constant is one for its variable alone; or nothing.

        Raises:
            Fails: If it does not hold so either.
            NotUnderstood: If it is a proportionality of logarithms and cannot be read so.
        """
        one, some = split_constants(self.left)
        law = _logged(self.head) or _logged(one)
        other, more = split_constants(self.right)
        constant = (some or more) and self.relation == "="
        if law is None or one is None or other is None or not (constant or self.relation == r"\propto"):
            return None
        trial = replace(self._trial(one), comparison=Comparison(one, "=", other), constant=None, law=law)
        try:
            count = trial.hold_in(worlds)
        except NotUnderstood:
            if constant:
                return None
            raise
        return "holds", f"holds in {count} worlds, up to what does not depend on {in_latex(law.value[1])}"

    def _check_step(self) -> None:
        """Where p is a law of its own, a step of a sampler has noise in it, and is judged by its law."""
        if self.context in ("diffusion", "ddpm") and step_target(
            self.definitions, self.left, self.relation, self.right
        ):
            raise NotUnderstood("a step down without new noise is one of DDIM", self.right.place)

    def defining(self) -> Relation:
        """The same; or the definition that it is, where a mere = says what a letter is that means nothing yet."""
        if self.own or self.relation != "=" or not may_be_new(self.left) or split_constants(self.right)[1]:
            return self
        trial = replace(self, relation=":=", definitions=dict(self.definitions))
        with suppress(NotUnderstood):
            if trial._define(self._worlds()):
                return replace(self, relation=":=")
        return self

    def _everywhere(self, worlds: tuple[World, ...]) -> tuple[str, str]:
        """The verdict on a relation that must hold in all worlds, at all points."""
        self._check_step()
        defining = self.relation == ":="
        known = set(self.definitions)
        # what is defined is the right side: it has to have a meaning
        left = self.right if defining and self._define(worlds) else self.left
        trial = self._trial(left)
        comparison = trial.comparison
        try:
            count = self._count(trial, worlds)
        except Exception:
            self._forget(known)
            raise
        if comparison.is_inequality:
            if not trial.strict:
                raise Fails("the two sides are always equal: write =")
            self._survives(trial, worlds)
        if defining:
            kept = self._kept()
            what = "has a value" if self.own else "says what a new letter is, and has a value"
            return "definition", f"{what} in {count} worlds" + (f", and {kept}" if kept else "")
        algebra = (
            self.relation == "="
            and trial.constant is None
            and START[self.context] == "x0"
            and not self._has_own_meanings()
        )
        if algebra and is_proved(comparison.left, comparison.right):
            return "proved", "proved symbolically"
        quiet = ", without noise," if is_quiet(self.definitions, self.right) else ","
        made = "" if trial.step is None else f"a step of DDIM{quiet} "
        whatever = f", whatever {self._of_free} may be" if self.free else ""
        return "holds", f"{made}holds in {count} world{'s' * (count > 1)}{whatever}"

    def _count(self, trial: _Trial, worlds: tuple[World, ...]) -> int:
        """In how many worlds it holds; if something in it may be anything it need not hold for all that it may be."""
        try:
            count = trial.hold_in(worlds)
        except Fails:
            if not self.free or self._is_about_any_gaussian():
                raise
            why = f"nothing says what {self._of_free} stands for, and it does not hold for all that it may be"
            raise NotUnderstood(why) from None
        self._check_sizes(trial)
        return count

    def _check_sizes(self, trial: _Trial) -> None:
        """What speaks of components, or of how many there are, has to hold for several."""
        parts = [part for side in (self.left, self.right) for part in side.walk()]
        names = {Symbol(name) for name in DIMENSIONS.get(self.context, ()) if name != "D"}
        speaks = any(part.kind == "component" or part.value in names for part in parts)
        if speaks and trial.sizes <= {None, 1}:
            raise NotUnderstood("no world with several coordinates can compute it, and it speaks of their number")

    @property
    def _of_free(self) -> str:
        """The letters of which nothing is said, in words."""
        return ", ".join(sorted(letter.name for letter in self.free))

    def _of_named_parameters(self) -> tuple[str, str] | None:
        """The verdict on a law whose parameters get their names here; from here on the page calls them so."""
        found = named_parameters(self.left, self.relation, self.right) if self.context == "vae" else {}
        if self.own:
            found.pop(SPREAD, None)
        new = {key: value for key, value in found.items() if self.definitions.get(key) != value}
        if not new:
            return None
        replace(self, definitions=self.definitions | new, relation="=")._as_it_stands()
        self.definitions.update(new)
        return "definition", f"{', '.join(sorted(name for name, _ in new))}: parameters of this law"

    def _of_parameters_of_steps(self) -> tuple[str, str] | None:
        """The verdict where letters of which nothing is said are the parameters of the encoder, or of the decoder."""
        found = parameters_of_steps(self.free, (self.left, self.right)) if self.context == "vae" else {}
        if not found:
            return None
        kind, detail = replace(self, definitions=self.definitions | found)._as_it_stands()
        return kind, f"{detail}, if {', '.join(sorted(name for name, _ in found))} are the parameters of that step"

    def _is_about_any_gaussian(self) -> bool:
        """Whether all that may be anything are parameters of a Gaussian, and there is no other law."""
        parts = [part for side in (self.left, self.right) for part in side.walk()]
        laws = [part for part in parts if part.kind in ("normal", "normal_law")]
        told = {symbol for law in laws for part in law.walk() for symbol in part.symbols()}
        return all(part.kind not in ("density", "bare") for part in parts) and set(self.free) <= told

    def _trial(self, left: Node) -> _Trial:
        comparison, constant = self._without_constants(left)
        free, letter = self.free, self.component
        return _Trial(self.context, self.definitions, comparison, constant, self.said, self._step(), free, letter)

    def counterexample(self) -> World | None:
        """The first world in which it does not hold, if it is one that must hold in all worlds at all points."""
        if self.right.kind == "motion":
            return None
        worlds = self._worlds()
        return next((world for world in worlds if self.holds_in(world) is False), None)

    def holds_in(self, world: World) -> bool | None:
        """Whether it holds in one world; `None`, where it has no value there."""
        try:
            self._trial(self.left).hold_in_world(world)
        except Fails:
            return False
        except (Unsuited, NotUnderstood):
            return None
        return True

    def _in_law(self, worlds: tuple[World, ...]) -> tuple[str, str] | None:
        """The verdict on two sides of which one has noise with a name of its own; nothing, if none has."""
        noisy = [has_new_noise(self.context, self.definitions, side) for side in (self.left, self.right)]
        if self.relation != "=" or not any(noisy):
            return None
        head = maker(self.head, self.left)
        if noisy == [True, False] and head is not self.left:
            return replace(self, left=head, head=None).verdict()
        return "holds", equal_in_law(self.definitions, self.left, self.right, head, worlds, self.said.steps)

    def _kept(self) -> str:
        """What a step that is defined keeps of a law, if it is one that should."""
        if self.context == "score":
            return kept_law(self.definitions, self.left, self.right)
        return put_in(self.definitions, self.left, self.right, self.context) if self.context == "conditioning" else ""

    def _approximation(self) -> tuple[str, str] | None:
        """The verdict on an approximation that says in which limit it is right, or how large its error is."""
        rest = remainder(self.right)
        if rest is None and (self.relation != r"\approx" or self.said.draws):
            return None
        worlds = with_choices(usual_worlds(self.context), self.said.chosen)
        self._check_numbers(worlds[0])
        if replace(self.said, small=None, chosen=()) != SideConditions():
            raise NotUnderstood("an approximation with a condition on its steps, or with something drawn")
        if rest is None:
            return "holds", approached(self.definitions, self.left, self.right, self.said.small, None, worlds)
        right, error = rest
        if self.relation != "=":
            raise NotUnderstood("the order of an error is told after =", error.place)
        letters = {symbol for part in error.walk() for symbol in part.symbols()}
        small = letters.pop() if len(letters) == 1 else None
        return "holds", approached(self.definitions, self.left, right, small, error, worlds)

    def _has_own_meanings(self) -> bool:
        """Whether there are letters in it that mean something else in other chapters, whose algebra is known."""
        if self.context in ("diffusion", "ddpm"):
            return False
        own = ("w", "mu", "v", *(("x", "eps") if self.context == "signals" else ()))
        sides = (self.left, self.right)
        return any(symbol.base in own for side in sides for node in side.walk() for symbol in node.symbols())

    def _is_continuous(self) -> bool:
        """Whether time is a real number in it: it is differentiated or integrated by, or there is flow matching."""
        parts = [part for side in (self.left, self.right) for part in unfolded(side, self.definitions)]
        by_clock = any(
            part.kind in ("rate", "gradient") and part.value and part.value[0].name in CLOCKS for part in parts
        )
        symbols = {symbol for part in parts for symbol in part.symbols()}
        flowing = any(symbol.base == "tau" or symbol.index == Index("tau") for symbol in symbols)
        levels = any(part.kind == "call" and part.value[0] in (Symbol("w"), Symbol("ell")) for part in parts)
        return by_clock or flowing or levels or any(is_level(part) or part.kind == "limit" for part in parts)

    def _step(self) -> Index | None:
        """Which variable the relation says how to make, if it is a step of a sampler."""
        if self.context != "samplers":
            return None
        return step_target(self.definitions, self.left, self.relation, self.right)

    @property
    def _symbols(self) -> set[Symbol]:
        """All letters of both sides."""
        return {symbol for side in (self.left, self.right) for node in side.walk() for symbol in node.symbols()}

    @property
    def _is_on_the_line(self) -> bool:
        """Whether it is about a law on the line that has a distribution function."""
        return self.context == "signals" and any(symbol.base in OF_THE_LINE for symbol in self._symbols)

    def _worlds(self) -> tuple[World, ...]:
        """What speaks of the spiral is looked at on the spiral."""
        symbols = self._symbols
        if self._is_on_the_line:
            return line_worlds(self.context)
        spiral = any(symbol.base in SPIRAL for symbol in symbols) and self.context not in ("hvae", *ATTACHED)
        if self.context == "vae" and {Symbol("s"), Symbol("sigma", label="theta")} <= symbols:
            raise NotUnderstood("the deviation of a decoder is fixed, s, or learned, σ_θ(z)")
        if not spiral and self.context not in ATTACHED and any(symbol.base in ("u", "n") for symbol in symbols):
            raise NotUnderstood(
                "u and n are a place on the spiral and the noise around it, and there is no spiral here"
            )
        if self.context in TIMELESS and self._is_continuous():
            return self._with_variance(continuous_worlds(self.context))
        drawn = [draw.expressions[0].value for draw in self.said.draws]
        averaged = {part.value[0] for side in (self.left, self.right) for part in side.walk() if part.kind in DRAWN}
        if self.own and self.context in LATER and Symbol("z") in symbols and Symbol("z") not in (*drawn, *averaged):
            raise NotUnderstood("new noise, z, is drawn in the display: z \\sim \\mathcal{N}(0, I)")
        return self._with_variance(swiss_rolls(self.context) if spiral else self._usual_worlds())

    def _usual_worlds(self) -> tuple[World, ...]:
        """The worlds of a chapter, and where components are told apart, or covariances, those where it matters."""
        worlds = usual_worlds(self.context)
        parts = [part for side in (self.left, self.right) for part in unfolded(side, self.definitions)]
        names = {symbol.name for part in parts if part.kind == "call" for symbol in part.value[:1]}
        spread = self.definitions.get(SPREAD)
        if spread and any(part.kind in ("norm", "normal", "normal_law") for part in parts):
            return tuple(_with_spread(world, spread.expression) for world in worlds if type(world) is GaussianWorld)
        if "diag" in names or any(part.kind == "component" for part in parts):
            worlds += spread_worlds(self.context, "diagonal")
        return worlds + spread_worlds(self.context, "full") if names & {"Sigma", "Sigma_phi"} else worlds

    def _with_variance(self, worlds: tuple[World, ...]) -> tuple[World, ...]:
        """The worlds with the variance that the display chooses."""
        chosen = self.said.variance
        if not chosen and self._step() and is_quiet(self.definitions, self.right):
            chosen = "eta 0"
        worlds = with_choices(worlds, self.said.chosen)
        return tuple(world.choosing(chosen) for world in worlds) if chosen else worlds

    def _check_numbers(self, world: World) -> None:
        """A number that hides what stands beside it can say anything, and so can how many there are."""
        letters = {symbol for side in (self.left, self.right) for node in side.walk() for symbol in node.symbols()}
        if self.context == "hvae" and letters == {Symbol("T")}:
            raise NotUnderstood("how many latent variables there are is chosen", self.left.place)
        for node in (number for side in (self.left, self.right) for number in numeric_parts(side)):
            with suppress(Undefined, Unsuited):
                size = np.abs(Evaluator(world, {}).value(node, Point())).max()
                if size and not PLAIN[0] <= size <= PLAIN[1]:
                    raise NotUnderstood("a number so large or so small hides what stands beside it", node.place)

    def _define(self, worlds: tuple[World, ...]) -> bool:
        """Remember a name that is new; a name that the book knows has to keep its meaning."""
        node = self.left
        if node.kind not in ("symbol", "call"):
            return False
        name: Symbol = node.value if node.kind == "symbol" else node.value[0]
        if node.kind == "symbol" and name.name in RESERVED:
            raise NotUnderstood(f"{name.name} is a function in this book", node.place)
        # in its chapter a page's own letters may have the step for an index
        stepped = not self.own or (self.context in LATER and (name.accent or name.index == Index("t")))
        if (name.name, name.index) in self.definitions or (
            isinstance(name.index, Index) and name.index.letter and not stepped
        ):
            return False
        if any(part.kind == node.kind and _is_same_letter(part.symbols()[0], name) for part in self.right.walk()):
            raise NotUnderstood("a definition of something by itself", node.place)
        for world in worlds:
            try:
                Evaluator(world, self.definitions).value(node, world.draws(POINTS).at(t=2))
            except (Unsuited, Undefined):
                continue
            except NotUnderstood:  # nobody knows the name yet
                if name.name in RESERVED or (node.kind == "call" and meaning(self.context, name.name)):
                    raise NotUnderstood(f"{name.name} is something else in this book", node.place) from None
                definition = Definition(node.parts, self.right, self._is_about_given_data(world))
                self.definitions[name.name, name.index] = definition
                return True
        return False

    def _forget(self, known: set[tuple[str, Index | Range | None]]) -> None:
        """A definition by what has no value defines nothing."""
        for key in self.definitions.keys() - known:
            del self.definitions[key]

    def _is_about_given_data(self, world: World) -> bool:
        """Whether a definition is about a data point that is given."""
        evaluator = Evaluator(world, self.definitions)
        return START[self.context] in free_variables(evaluator, self.right, world.draws(1).at(t=2))

    def _without_constants(self, left: Node) -> tuple[Comparison, Node | None]:
        """The sides without the constants that are added to them, and the constant."""
        one, some = split_constants(left)
        other, more = split_constants(self.right)
        constants = some + more
        each = (
            not self.own and len(some) == len(more) == 1
        )  # one on either side, of which nobody says that it is the same
        if (len(constants) > 1 and not each) or (constants and self.relation != "="):
            raise NotUnderstood("one constant, in an equality: nothing else can be checked")
        if one is None or other is None:
            raise NotUnderstood("an equation with a constant alone says nothing")
        comparison = Comparison(one, self.relation, other, self.said.draws, self.head)
        if comparison.left_open and (constants or self.relation not in ("=", r"\propto")):
            raise NotUnderstood("something is left open in an exponent")
        return comparison, constants[0] if constants else None

    def _survives(self, trial: _Trial, worlds: tuple[World, ...]) -> None:
        """An inequality holds in the limiting cases as well, where they can compute it; none has the spiral."""
        if isinstance(worlds[0], ContinuousWorld):
            raise NotUnderstood("an inequality in continuous time")
        spiral = all(world in swiss_rolls(self.context) for world in worlds)
        for world in () if spiral else self._with_variance(limiting_cases(self.context)):
            with suppress(Unsuited, Undefined):
                trial.hold_in_world(world, limiting=True)
        if not trial.tightness.is_tight():
            raise NotUnderstood("no world comes near this bound, so one that is not here may break it")


@dataclass
class Tightness:
    """Whether the sides of an inequality came near to each other.

    Args:
        near: The kinds of worlds in which they did, by their number of coordinates.
        tried: The kinds of worlds in which they had a value.
        single: Whether it is one term alone whose sign is told.
    """

    near: set[int | None] = field(default_factory=set)
    tried: set[int | None] = field(default_factory=set)
    single: bool = True

    def note(
        self, evaluator: Evaluator, point: Point, comparison: Comparison, sides: tuple[np.ndarray, np.ndarray]
    ) -> None:
        """Remember whether the sides came near, against the largest of their terms."""
        gap = comparison.gap(*sides)
        found: list[np.ndarray] = []
        for node, value in zip((comparison.left, comparison.right), sides, strict=True):
            parts = terms(node)
            found += [value] if len(parts) == 1 else [evaluator.value(part, point) for part in parts]
        sizes = np.stack(np.broadcast_arrays(gap, *(largest_entry(value) for value in found)))[1:]
        kind = evaluator.world.D
        self.tried.add(kind)
        self.single &= bool(((sizes > 0).sum(axis=0) < 2).all())
        near = NEAR if all(_is_no_choice(node) for node in (comparison.left, comparison.right)) else NEARER
        if (gap <= near * sizes.max(axis=0)).any():
            self.near.add(kind)

    def is_tight(self) -> bool:
        """Whether the bound is one: a sign, or something that is nearly reached whatever the number of coordinates."""
        return self.single or len(self.near) >= min(2, len(self.tried))


@dataclass
class _Trial:
    """Tries a relation in one world after another.

    Args:
        context: The chapter.
        definitions: What the page has defined.
        comparison: The sides, without a constant that is added to them.
        constant: The constant up to which they are said to be equal, if any.
        said: What the display says beside its relations.
        step: Which variable is made by a step of a sampler, if the relation is one.
        free: The letters of which nothing is said.
        component: The letter that picks a component, any of them.
        law: The law whose logarithm it is about, if its sides may differ by what does not depend on its variable.
        strict: Whether an inequality was strict somewhere.
        tightness: Whether its sides came near to each other.
        sizes: The numbers of coordinates of the worlds in which it holds.
    """

    context: str
    definitions: Definitions
    comparison: Comparison
    constant: Node | None
    said: SideConditions
    step: Index | None = None
    free: FreeLetters = field(default_factory=dict)
    component: str = ""
    law: Node | None = None
    strict: bool = False
    tightness: Tightness = field(default_factory=Tightness)
    sizes: set[int | None] = field(default_factory=set)

    @cached_property
    def letters(self) -> set[str]:
        """The letters of the indices of both sides."""
        sides = (self.comparison.left, self.comparison.right)
        return {index.letter for side in sides for index in free_indices(side) if index.letter is not None}

    def hold_in(self, worlds: tuple[World, ...]) -> int:
        """In how many worlds the relation holds: in all that can compute it.

        Raises:
            Fails: If it does not hold in one of them.
            NotUnderstood: If there is none.
        """
        count = 0
        reasons: list[Unsuited] = []
        for world in worlds:
            try:
                self.hold_in_world(world)
                count += 1
                self.sizes.add(world.D)
            except Unsuited as why:
                reasons.append(why)
            if not count and sum(isinstance(why, Inexact) for why in reasons) == ENOUGH:
                break  # what is not smooth is so everywhere
        if not count:
            raise NotUnderstood("no world can compute it: " + "; ".join(dict.fromkeys(map(str, reasons))))
        return count

    def hold_in_world(self, world: World, limiting: bool = False) -> None:
        """Try the relation at all steps that it speaks of; if it does not hold it raises."""
        unknown = self.letters - LETTERS
        if unknown:
            raise NotUnderstood(f"nothing says what the index {min(unknown)} is")
        strict = False
        seen = 0
        undefined: Undefined | None = None
        unsuited: Unsuited | None = None
        for point in self._points(world):
            try:
                strict |= self._holds_at(world, point)
                seen += 1
            except Unsuited as why:  # another step may still be a counterexample
                unsuited = why
            except Undefined as why:
                if not limiting and (self.said.steps is not None or isinstance(why, Valueless)):
                    raise Fails(f"it has no value at {_counts(point)} ({world.title}): {why}") from None
                undefined = why
        if unsuited or not seen:
            raise unsuited or Unsuited(f"it has no value: {undefined}")
        self.strict |= strict

    def _points(self, world: World) -> Iterator[Point]:
        """The points of a world, for every step t, and every earlier step s, that the display speaks of."""
        point = with_free_letters(world.draws(POINTS), self.free, world)
        if isinstance(world, ContinuousWorld):
            yield point.at(t=NOW, s=EARLIER) if self.said.earlier else point.at(t=NOW)
            return
        if not world.diffusing:
            yield from self._of_components(world, point.at(t=2))
            return
        for t in self._steps(world):
            if self.said.earlier is None or "s" not in self.letters:
                yield point.at(t=t)
                continue
            first, apart = self.said.earlier
            found = range(first, t - apart + 1)
            for s in found if len(found) < MANY else (first, first + 1, found[-1]):
                yield point.at(t=t, s=s)

    def _of_components(self, world: World, point: Point) -> Iterator[Point]:
        """A point of a VAE, for every component and every number of samples that the display speaks of."""
        point = point.at(k=2) if "k" in self.letters else point
        if not self.component:
            yield point
            return
        for j in range(1, (world.D or 1) + 1):
            yield point.at(**{self.component: j})

    def _steps(self, world: World) -> Sequence[int]:
        """The steps at which the relation is tried: a few, if there are many."""
        if not world.diffusing or ("t" not in self.letters and not self.said.earlier):
            return (2,)
        steps = range(2, world.T + 1) if self.said.steps is None else self.said.steps(world.T)
        return steps if len(steps) <= MANY else (*steps[:2], steps[len(steps) // 2], steps[-1])

    def _holds_at(self, world: World, point: Point) -> bool:
        """Whether an inequality is strict here; a relation that does not hold raises."""
        world, point = coupled(world, point, self.said.chosen)
        comparison = self.comparison
        sides = (comparison.left, comparison.right)
        predicted = any(is_predicted(side, self.definitions) or _has_law_of_p(side) for side in sides)
        evaluator = Evaluator(world, self.definitions, exact=not predicted)
        evaluator.paired = comparison.left.kind == "rate" and self._is_about_a_pair(evaluator, point)
        evaluator.limiting = any(side.of_kind("limit") for side in sides)
        point = on_curve(evaluator, sides, point)
        if self.step is not None:
            point = step_down(
                gaussian(world, "boxes have no steps"), point, evaluator.count(self.step, point), evaluator
            )
        free = set().union(*(free_variables(evaluator, side, point) for side in sides))
        evaluator.given = START[self.context] in free
        if self.law is not None:
            comparison.check_equal_for(self.law, evaluator, point)
            return False
        if self.constant is not None:
            comparison.check_equal_up_to(self.constant, evaluator, point)
            return False
        if comparison.relation == r"\propto" or comparison.left_open:
            comparison.check_proportional(evaluator, point)
            return False
        if comparison.relation == "=" and {comparison.left.kind, comparison.right.kind} == {"optimum"}:
            comparison.check_same_optimum(evaluator, point)
            return False
        a, b = comparison.values(evaluator, point)
        size = comparison.size(evaluator, point, a, b)
        broken = comparison.broken(a, b, size)
        if broken.any():
            i = int(np.argmax(broken))
            self._fail(evaluator, point, a[i], b[i])
        if not comparison.is_inequality:
            return False
        self.tightness.note(evaluator, point, comparison, (a, b))
        return bool((comparison.gap(a, b) > STRICT * size).any())

    def _is_about_a_pair(self, evaluator: Evaluator, point: Point) -> bool:
        """Whether a velocity is told by a data point and its noise, as in dx_τ / dτ = ε - x_0."""
        return evaluator.exact and {"x0", "eps"} <= free_variables(evaluator, self.comparison.right, point)

    def _fail(self, evaluator: Evaluator, point: Point, a: np.ndarray, b: np.ndarray) -> None:
        world = evaluator.world
        speaks = world.diffusing and self.letters & {"t", "s"}
        where = f"{world.title}, T = {world.T}" + (f", {_counts(point)}" if speaks else "")
        if isinstance(world, ContinuousWorld):
            where = f"{world.title}, t = {world.times[NOW]:.3g}, T = {world.horizon:.3g}"
        values = f"the left side is {_written(a.real)}, the right side {_written(b.real)}"
        raise Fails(f"in one world ({where}) {values}{self._numbers(evaluator, point)}")

    def _numbers(self, evaluator: Evaluator, point: Point) -> str:
        """What the letters are there, for who wants to see for himself; nothing, where that is too much."""
        parts = [part for side in (self.comparison.left, self.comparison.right) for part in side.walk()]
        letters = {part.value: part for part in parts if part.kind == "symbol" and part.value.base in SCHEDULE}
        if {symbol for part in parts for symbol in part.symbols()} - set(letters):
            return ""
        found = []
        for symbol, node in letters.items():
            with suppress(Unsuited, Undefined, NotUnderstood):
                value = evaluator.value(node, point)
                found.append(f"{in_latex(symbol)} = {_written(value[0].real)}")
        return f" (there {', '.join(found)})" if 0 < len(found) <= MOST_SHOWN else ""


def _logged(side: Node | None) -> Node | None:
    """The density of one variable whose logarithm a side is."""
    if side is None or side.kind != "log":
        return None
    law = side.parts[0].parts[0] if side.parts[0].kind == "group" else side.parts[0]
    return law if law.kind == "density" and len(law.value) == 2 else None


def _is_same_letter(symbol: Symbol, name: Symbol) -> bool:
    """Whether one is the other, or that of another step."""
    stepped = all(isinstance(index, Index) and index.letter for index in (symbol.index, name.index))
    return symbol == name or (stepped and symbol.name == name.name)


def _is_no_choice(node: Node) -> bool:
    """Whether it is no bare number, but for 0 and 1."""
    return numeric_parts(node) != [node] or (node.kind == "number" and float(node.value) in (0, 1))


def _with_spread(world: GaussianWorld, covariance: Node) -> World:
    """A VAE whose decoder has a covariance, a number times the unit."""
    value = Evaluator(world, {}).value(covariance, Point())
    return world.with_deviation(float(np.sqrt(value[0, 0, 0])))


def _with_units(node: Node) -> Node:
    """An expression in which the variance of every Gaussian is a matrix: a number stands for so many of the unit."""
    parts = tuple(_with_units(part) for part in node.parts)
    if node.kind in ("normal", "normal_law"):
        parts = (*parts[:-1], Node("call", parts[-1:], (Symbol("diag"),), parts[-1].place))
    return replace(node, parts=parts)


def _has_law_of_p(node: Node) -> bool:
    return any(part.kind == "density" and part.value[0].base == "p" for part in node.walk())


def _counts(point: Point) -> str:
    """The steps at which it is looked at."""
    return ", ".join(f"{letter} = {number}" for letter, number in point.counts.items())


def _written(value: np.ndarray) -> str:
    return f"{float(value):.6g}" if value.ndim == 0 else "(" + ", ".join(f"{x:.6g}" for x in value.ravel()) + ")"
