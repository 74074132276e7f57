"""The conditions of a display: of which steps t it speaks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from diffusion_notes.equations.nodes import Index, Node, NotUnderstood, Symbol
from diffusion_notes.equations.reading import Statement

__all__ = ["Said", "Steps", "allowed", "counts_only", "variance"]

TURNED = {r"\gt": r"\lt", r"\lt": r"\gt", r"\ge": r"\le", r"\le": r"\ge", "=": "="}
SIGMA = Symbol("sigma", index=Index("t"))


def earlier(statement: Statement) -> tuple[int, int] | None:
    """What a condition like 0 ≤ s < t ≤ T says of an earlier step s: its first, and how far from t it is at least."""
    sides, relations = list(statement.sides), list(statement.relations)
    if None in sides or statement.kind != "relation":
        return None
    if set(relations) <= {r"\gt", r"\ge"}:
        sides, relations = sides[::-1], [TURNED[relation] for relation in relations[::-1]]
    first = 0
    if sides[0].kind == "number" and sides[1].value == Symbol("s"):
        first = int(float(sides[0].value)) + (relations[0] == r"\lt")
        sides, relations = sides[1:], relations[1:]
    if len(sides) == 3 and sides[2].value == Symbol("T") and relations[1] == r"\le":
        sides, relations = sides[:2], relations[:1]
    if [side.value for side in sides] != [Symbol("s"), Symbol("t")] or relations[0] not in (r"\lt", r"\le"):
        return None
    return first, int(relations[0] == r"\lt")


def counts_only(statement: Statement) -> bool:
    """Is it a condition on the step, such as t > 1, or s < t?"""
    if earlier(statement):
        return True
    step = [side is not None and side.kind == "symbol" and side.value == Symbol("t") for side in statement.sides]
    plain = [side is not None and _end(side) != (None, None) for side in statement.sides]
    return any(step) and all(a or b for a, b in zip(step, plain, strict=True))


@dataclass(frozen=True)
class Steps:
    """The steps t that a display speaks of, whatever T is: from `first` to `last`, and to T + `below` at most."""

    first: int = 0
    last: int = 10**6
    below: int = 0

    def __call__(self, T: int) -> range:
        """The steps, for a chain of T."""
        return range(self.first, min(self.last, T + self.below) + 1)


@dataclass(frozen=True)
class Said:
    """What a display says beside its relations.

    Args:
        steps: The steps t that it speaks of; `None` is all but the first.
        draws: What is drawn from which law.
        variance: The variance that it chooses for p: `tilde`, `plain` or none of them.
        earlier: The first of the earlier steps s that it speaks of, and how far they are from t at least.
    """

    steps: Steps | None = None
    draws: list[Statement] = field(default_factory=list)
    variance: str = ""
    earlier: tuple[int, int] | None = None


def variance(statement: Statement) -> str:
    """The variance that a display chooses for p, as in σ_t² = β̃_t; or nothing."""
    if statement.kind != "relation" or statement.relations != ["="] or statement.sides[0] is None:
        return ""
    left, right = statement.sides
    squared = left.kind == "power" and left.parts[0].value == SIGMA and left.parts[1] == Node("number", (), "2")
    chosen = {Symbol("beta", "tilde", Index("t")): "tilde", Symbol("beta", "", Index("t")): "plain"}
    return chosen.get(right.value, "") if squared and right.kind == "symbol" else ""


def _end(node: Node) -> tuple[int | None, int | None]:
    """A number; or T and what is added to it."""
    if node.kind == "number" and float(node.value) == int(float(node.value)):
        return int(float(node.value)), None
    if node.kind == "symbol" and node.value == Symbol("T"):
        return None, 0
    if node.kind == "sub" and node.parts[0].value == Symbol("T") and node.parts[1].kind == "number":
        return None, -int(float(node.parts[1].value))
    return None, None


def allowed(conditions: list[Statement]) -> Steps | None:
    """The steps that the conditions allow; none if nothing is said."""
    steps, said = Steps(), False
    for statement in conditions:
        if statement.kind == "draw":
            continue
        said = True
        if pair := earlier(statement):
            steps = replace(steps, first=max(steps.first, sum(pair)))
            continue
        ends = [_end(side) for side in statement.sides]
        if statement.kind == "range":
            if statement.sides[0].value != Symbol("t") or ends[1][0] is None or ends[2][1] is None:
                raise NotUnderstood("a range is read as t = 1, \\dots, T", statement.place)
            steps = replace(steps, first=max(steps.first, ends[1][0]), below=min(steps.below, ends[2][1]))
            continue
        for i, relation in enumerate(statement.relations):
            steps = _narrowed(steps, statement, i, relation, ends)
    return steps if said else None


def _narrowed(steps: Steps, statement: Statement, i: int, relation: str, ends: list[tuple]) -> Steps:
    left, right = statement.sides[i], statement.sides[i + 1]
    relation, (number, top) = (relation, ends[i + 1]) if left.value == Symbol("t") else (TURNED.get(relation), ends[i])
    known = (r"\gt", r"\lt", r"\ge", r"\le", "=")
    if Symbol("t") not in (left.value, right.value) or (number is None and top is None) or relation not in known:
        raise NotUnderstood("a condition on t is read as t > 1", statement.place)
    off = {r"\gt": 1, r"\lt": -1}.get(relation, 0)
    if number is None:
        if relation in (r"\gt", r"\ge"):
            raise NotUnderstood("there is no step above T", statement.place)
        return replace(steps, below=min(steps.below, top + off))
    first = max(steps.first, number + off) if relation in (r"\gt", r"\ge", "=") else steps.first
    last = min(steps.last, number + off) if relation in (r"\lt", r"\le", "=") else steps.last
    return replace(steps, first=first, last=last)
