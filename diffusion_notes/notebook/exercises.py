"""Cells that tell a reader whether an answer is right, without telling the answer.

A numeric answer is judged by `check`, a line of a derivation by `check_line`. Both give a hint first: a sign, a factor,
a condition. In a rendered page, where no cell runs, a question that `check` is given can be answered in the page: a
script there, ``book/_assets/exercises.js``, judges as `check` does, with the same tolerance and in the same words.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from IPython import get_ipython
from IPython.display import HTML, display
from torch import Tensor

from diffusion_notes import equations
from diffusion_notes._arguments.tensors import check_finite, check_has_values, check_tensor
from diffusion_notes._arguments.values import check_choice, check_kind, check_list, check_number, check_positive
from diffusion_notes.equations.language.parser import read_whole
from diffusion_notes.equations.language.syntax_tree import Node
from diffusion_notes.equations.mutants import CHANGES
from diffusion_notes.equations.worlds.world import CHAINS

__all__ = ["check", "check_line"]

# -- a number ----------------------------------------------------------------------------------------

FACTORS = (2.0, 4.0, math.pi, 2 * math.pi, math.sqrt(2), math.sqrt(math.pi), math.sqrt(2 * math.pi))
"""Those that are lost most often; each may also be there once too often."""

UNANSWERED = "Replace ... with your answer and run the cell again."
"""What is said while there is no answer; a page, where nobody can run a cell, leaves it out."""

MOST_ENTRIES = 6
"""So many fields a page shows for one question."""


def check(
    answer: object,
    expected: float | Tensor,
    tolerance: float = 1e-6,
    *,
    relative: bool = False,
    question: str = "",
    entries: Sequence[str] = (),
) -> None:
    r"""Print whether ``answer``, a number or a tensor, is what is expected; if it is not, a hint.

    The hint names the kind of the error where it can be told: the sign, a factor such as 2 or π, bits for nats, the
    square or the reciprocal, the order of magnitude. It never says what the right answer is, or how far it is away.

    With a ``question`` the same exercise can be answered in the rendered page, without Python. Ask for numbers there,
    not for a function: say for which values, and give a tolerance that fits an answer typed by hand, ``0.01`` rather
    than the default. The cell as it runs in Jupyter is the same, with or without it.

    Arguments:
        answer: the reader's; ``...`` if there is none yet.
        expected: what it should be. Compare the answer itself, not its ratio to the truth, or the hints are of the
            ratio.
        tolerance: how far off it may be, in each entry.
        relative: whether the tolerance is a part of what is expected, ``0.01`` for one per cent.
        question: what the page asks; it may hold maths, ``"The variance of $x_3$, if $\\beta_t = 0.1$"``. Only for a
            number or up to six.
        entries: what stands before each field, ``("mean", "variance")``, if several numbers are expected.

    Raises:
        TypeError: ``expected`` is neither a number nor a floating-point tensor, or another argument of another kind.
        ValueError: ``expected`` is not finite, ``tolerance`` not positive and finite, or a question has too many
            numbers as its answer, or not as many as ``entries``.

    >>> check(..., 0.5)
    Replace ... with your answer and run the cell again.
    >>> check(-0.5, 0.5)
    Not yet: the size is right, the sign is not.
    >>> check(0.25, 0.5)
    Not yet: it is off by a simple factor, such as 2 or π.
    >>> check(1e6, 33.0, tolerance=0.01, relative=True)
    Not yet: it is too large, by about 4 orders of magnitude.
    >>> check(0.5, 0.5)
    Right.
    """
    tolerance = check_positive("tolerance", tolerance)
    check_kind("relative", relative, bool, "True or False")
    check_kind("question", question, str, "a string")
    check_list("entries", entries, "a tuple of strings", str, "a string")
    if isinstance(expected, Tensor):
        check_tensor("expected", expected)
        check_has_values("expected", expected)
        check_finite("expected", expected)
    else:
        check_number("expected", expected)
    expected = torch.as_tensor(expected, dtype=torch.float64, device="cpu")  # where every machine has doubles
    if question:
        _show_question(question, expected, tolerance, relative, entries)
    if not _is_missing(answer):
        print(_judged(answer, expected, tolerance, relative))


def _judged(answer: object, expected: Tensor, tolerance: float, relative: bool) -> str:
    """What is said about an answer, of whatever kind it is."""
    try:
        if torch.as_tensor(answer, device="cpu").is_complex():  # torch would drop the imaginary part
            raise TypeError
        given = torch.as_tensor(answer, dtype=torch.float64, device="cpu")
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return f"Not yet: the answer should be a number or a tensor, and is a {type(answer).__name__}."
    if given.shape != expected.shape:
        return f"Not yet: the answer should have shape {tuple(expected.shape)}, and has {tuple(given.shape)}."
    return feedback(given.flatten().tolist(), expected.flatten().tolist(), tolerance, relative)


def feedback(given: list[float], expected: list[float], tolerance: float, relative: bool) -> str:
    """What is said about numbers: ``Right.``, or the first hint that fits; the page's script says the same.

    Arguments:
        given: the reader's numbers.
        expected: as many that are right.
        tolerance: how far off each may be.
        relative: whether this is a part of the right one.
    """
    allowed = [tolerance * abs(right) if relative else tolerance for right in expected]

    def fits(numbers: list[float], times: float = 1.0) -> bool:
        triples = zip(numbers, expected, allowed, strict=True)
        return all(abs(number - right) <= times * most for number, right, most in triples)

    if not all(map(math.isfinite, given)):
        return "Not yet: it is not finite."
    if fits(given):
        return "Right."
    if fits([-number for number in given]):
        return "Not yet: the size is right, the sign is not."
    if hint := _rule(given, expected, allowed, fits):
        return f"Not yet: {hint}"
    if fits(given, times=10):
        return "Not yet: it is close, but not close enough."
    return f"Not yet: {_direction(given, expected, allowed)}"


def _rule(given: list[float], expected: list[float], allowed: list[float], fits: Callable[[list[float]], bool]) -> str:
    """The one mistake that turns the right numbers into those that are given, if it is one of the usual ones."""
    # where the tolerance is wide, something nearly always fits
    if any(most > 0.05 * abs(right) for most, right in zip(allowed, expected, strict=True)) or 0.0 in given:
        return ""
    if fits([number * math.log(2) for number in given]):
        return "it is right in bits; the book counts in nats."
    if any(fits([number * k for number in given]) or fits([number / k for number in given]) for k in FACTORS):
        return "it is off by a simple factor, such as 2 or π."
    if fits([1 / number for number in given]):
        return "it is upside down, one over the right answer."
    if fits([math.sqrt(abs(number)) for number in given]) or fits([number * number for number in given]):
        return "a square or a root is missing, or is one too many."
    ratios = [right / number for number, right in zip(given, expected, strict=True)]
    if len(given) > 1 and fits([number * ratios[0] for number in given]):
        return "all entries are off by the same factor."
    return ""


def _direction(given: list[float], expected: list[float], allowed: list[float]) -> str:
    """Which way to go, from the first entry that is not right."""
    triples = list(zip(given, expected, allowed, strict=True))
    right = [abs(number - truth) <= most for number, truth, most in triples]
    first = right.index(False)
    number, truth, _ = triples[first]
    several = len(given) > 1
    count = (
        f"{sum(right)} of {len(given)} entries {'is' if sum(right) == 1 else 'are'} right; the first of the others"
        if several
        else "it"
    )
    if number * truth < 0:
        return f"{count} has the wrong sign."
    which = "large" if abs(number) > abs(truth) else "small"
    which = f"too {which}" if truth >= 0 and number >= 0 else f"too {which} in size"
    if number == 0 or truth == 0:
        return f"{count} is {which}."
    orders = math.floor(abs(math.log10(number / truth)) + 0.5)
    if orders == 0:
        return f"{count} is {which}."
    return f"{count} is {which}, by about {orders} order{'s' if orders > 1 else ''} of magnitude."


def _show_question(question: str, expected: Tensor, tolerance: float, relative: bool, entries: Sequence[str]) -> None:
    """Store with the cell what the page needs to ask the question; Jupyter shows nothing of it."""
    numbers = [float(f"{number:.12g}") for number in expected.flatten().tolist()]
    if len(numbers) > MOST_ENTRIES:
        raise ValueError(f"question must have at most {MOST_ENTRIES} numbers as its answer, got {len(numbers)}")
    if len(entries) not in (0, len(numbers)):
        raise ValueError(f"entries must be one for each of {len(numbers)} numbers, got {len(entries)}")
    if get_ipython() is None:
        return
    about = {"expected": numbers, "tolerance": tolerance, "relative": relative}
    # not to be read at a glance: who looks it up does so on purpose
    hidden = base64.b64encode(json.dumps(about).encode()).decode()
    fields = "".join(f"<span>{html.escape(entry)}</span>" for entry in entries)
    display(HTML(f'<form data-question="{hidden}" hidden><p>{html.escape(question)}</p>{fields}</form>'))


# -- a line of a derivation --------------------------------------------------------------------------

OPERATIONS = {
    r"D_{KL}": "divergence", r"\mathbb{E}": "expectation", r"\int": "integral", r"\log": "log", r"\sum": "total",
    "H": "entropy", "I": "mutual",
}  # fmt: skip
"""What may be forbidden or asked for as such, whatever is in it, beside expressions: a divergence, an expectation …"""

ALGEBRA = {"add", "sub", "neg", "same", "mul", "div", "beside", "frac", "group", "number", "product", "power", "given"}
"""What a rearrangement changes."""

REPAIRS = {
    "sign": "one sign in it is wrong",
    "index": "one index in it is wrong",
    "limit": "a limit of a sum is wrong",
    "letter": "one letter stands for another",
    "law": "one density is that of the wrong model, p for q or q for p",
    "lost": "there is something too many in it: a square, a factor, a condition, a logarithm or an expectation",
    "root": "there is a root too many",
    "relation": "a relation points the wrong way",
    "factor": "a factor is wrong",
    "swap": "two things are interchanged, in a divergence or a fraction",
}
"""A hint for each kind of change that would make a line right; of `equations.mutants`."""

LAW = r"([pq](?:_\\theta|_\\phi)?\([^()]*?"
SQUARES = [(r"(\\rVert)(?!\s*\^)", r"\1^2")]
CONDITIONS = {
    chapters: [
        (LAW + r"(?:\\mid|\||\\vert)[^()]*?)\s*\)", rf"\1, {data})"),
        (LAW + r")\s*\)", rf"\1 \\mid {data})"),
    ]
    for chapters, data in ((("vae", "hvae"), "x"), (("diffusion", "ddpm"), "x_0"))
}
"""To give the data in a density that has conditions, or none."""

TRIED = 60
"""So many changes of a wrong line are tried, for a hint; a few seconds."""


class Advice(equations.Report):
    """The verdicts on a line that is not right yet: they come with a counterexample, which stands folded."""

    def __repr__(self) -> str:
        """Only that there is more; ``print`` shows it."""
        return "There is a counterexample, should you want it: print what check_line returned."

    def _repr_markdown_(self) -> str:
        """The verdicts, folded."""
        return f"<details>\n<summary>Show me where it fails</summary>\n\n{super()._repr_markdown_()}\n\n</details>"


def check_line(
    answer: object,
    left: str,
    chapter: str,
    without: tuple[str, ...] = (),
    must_contain: tuple[str, ...] = (),
) -> equations.Report | None:
    r"""Let the book judge a line of a derivation: a right side that is equal to the left one, and says something new.

    A line can be true and dodge the question. So the left side may not come back, nor a mere rearrangement of it; what
    else would dodge, the exercise says: ``without`` is what may not occur, ``must_contain`` what has to.

    If the line is false, a hint comes first: what has to occur and does not, a sign or a factor of the whole, a missing
    condition, one wrong symbol. The counterexample is folded away below.

    Arguments:
        answer: the reader's right side, in LaTeX; ``...`` if there is none yet.
        left: the left side.
        chapter: whose notation it is, `vae`, `hvae`, `diffusion` or `ddpm`.
        without: what may not occur in the answer, beside the left side itself: expressions, or operations such as
            ``r"D_{KL}"`` or ``r"\mathbb{E}"``, whatever is in them.
        must_contain: what has to occur in it, in the same way; ``"x_0"`` occurs wherever the letter does, in a
            condition too.

    Returns:
        What was found out about the line, for the notebook to show; nothing, if there is no line, or it dodges.

    Raises:
        TypeError: ``left`` is not a string, or ``without`` or ``must_contain`` not a tuple of them.
        ValueError: there is no such chapter.

    >>> check_line(..., r"\bar\alpha_t", "ddpm")
    Replace ... with your answer and run the cell again.
    >>> check_line(r"\bar\alpha_t", r"\bar\alpha_t", "ddpm")
    Not yet: it is to be written without \bar\alpha_t.
    >>> check_line(r"\bar\alpha_{t-1} (1 + \beta_t)", r"\bar\alpha_t", "ddpm")
    Not yet: one sign in it is wrong.
    There is a counterexample, should you want it: print what check_line returned.
    >>> check_line(r"\bar\alpha_{t-1} \alpha_t", r"\bar\alpha_t", "ddpm", must_contain=(r"\beta_t",))
    Not yet: it holds, but without \beta_t it does not answer the question.
    >>> check_line(r"\bar\alpha_{t-1} (1 - \beta_t)", r"\bar\alpha_t", "ddpm")
    Right.
    ✓ proved: proved symbolically
        \bar\alpha_t = \bar\alpha_{t-1} (1 - \beta_t)
    """
    check_kind("left", left, str, "a string")
    check_choice("chapter", chapter, CHAINS)
    check_list("without", without, "a tuple of strings", str, "a string")
    check_list("must_contain", must_contain, "a tuple of strings", str, "a string")
    if _is_missing(answer):
        return None
    if not isinstance(answer, str):
        print(f"Not yet: the answer should be LaTeX, as in r'\\beta_t', and is a {type(answer).__name__}.")
        return None
    answer = answer.strip().strip("$").strip().removeprefix("=")
    report = equations.check(f"{left} = {answer}", chapter, hints=False)
    if any(verdict.kind == "not understood" for verdict in report.verdicts):
        print("Not yet.")
        return report
    dodge = _dodge(report.latex, (left, *without), must_contain, holds=bool(report))
    if dodge:
        print(f"Not yet: {dodge}.")
        return None
    if report:
        print("Right.")
        return report
    hint = next(_hints(left, answer, chapter), "")
    print(f"Not yet: {hint}." if hint else "Not yet: the two sides differ.")
    return Advice(report.latex, report.verdicts)


def _dodge(latex: str, without: Sequence[str], must_contain: Sequence[str], holds: bool) -> str:
    """Why a line does not answer the question, whether or not it is true."""
    for part in without:
        if _occurs(part, latex):
            return f"it is to be written without {part}"
    for part in must_contain:
        if not _occurs(part, latex):
            return f"it holds, but without {part} it does not answer the question" if holds else f"{part} is not in it"
    if holds and _is_rearranged(latex):
        return "it holds, but is the left side, arranged differently"
    return ""


def _occurs(part: str, latex: str) -> bool:
    """Whether an expression or an operation occurs on the right side."""
    if part in OPERATIONS:
        return any(node.kind == OPERATIONS[part] for side in _right_sides(latex) for node in side.walk())
    return equations.contains(latex, part)


def _right_sides(latex: str) -> list[Node]:
    first, *others = read_whole(latex).statements
    return first.expressions[1:] + [side for statement in others for side in statement.expressions]


def _is_rearranged(latex: str) -> bool:
    """Whether both sides are made of the same things, but for the algebra that joins them."""
    left, *right = read_whole(latex).statements[0].expressions
    return any(_ingredients(left) == _ingredients(side) for side in right)


def _ingredients(node: Node) -> set[str]:
    inner = (part for part in node.walk() if part.kind not in ALGEBRA)
    return {
        f"{part.kind} {part.value} {[given.value for given in part.parts if given.kind == 'given']}" for part in inner
    }


def _hints(left: str, answer: str, chapter: str) -> Iterator[str]:
    """What would make a false line true: the whole with another sign or factor, or one symbol changed."""

    def holds(line: str) -> bool:
        return bool(equations.check(f"{left} = {line}", chapter, hints=False))

    if holds(rf"-\bigl( {answer} \bigr)"):
        yield "the whole of it has the wrong sign"
    for factor in ("2", r"\frac{1}{2}"):
        if holds(rf"{factor} \bigl( {answer} \bigr)"):
            yield "a factor is missing, or there is one too many"
    for hint, line in islice(_repaired(answer, chapter), TRIED):
        if holds(line):
            yield hint


def _repaired(answer: str, chapter: str) -> Iterator[tuple[str, str]]:
    """A line with one change at a time, and what is wrong with it if the change makes it right."""
    for name, changes in CONDITIONS.items():
        if chapter in name:
            yield from (("a condition is missing in one of the densities", line) for line in _changed(answer, changes))
    yield from (("a square is missing", line) for line in _changed(answer, SQUARES))
    for kind, pattern, replacement in sorted(CHANGES, key=lambda change: list(REPAIRS).index(change[0])):
        yield from ((REPAIRS[kind], line) for line in _changed(answer, [(pattern, replacement)]))


def _changed(latex: str, changes: Sequence[tuple[str, str]]) -> Iterator[str]:
    for pattern, replacement in changes:
        for match in re.finditer(pattern, latex, re.DOTALL):
            yield latex[: match.start()] + match.expand(replacement) + latex[match.end() :]


def _is_missing(answer: object) -> bool:
    missing = answer is None or answer is ...
    if missing:
        print(UNANSWERED)
    return missing
