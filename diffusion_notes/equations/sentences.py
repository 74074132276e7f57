"""The sentences of a display, and the words in them: where a statement ends, and what a letter or a bar is."""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.latex import Word
from diffusion_notes.equations.nesting import CLOSER, nesting
from diffusion_notes.equations.nodes import NotUnderstood, Symbol
from diffusion_notes.equations.tidying import tidied

__all__ = ["named", "paired", "span", "split"]

OPERATORS = ("PLUS", "MINUS", "TIMES", "SLASH")
PLAIN = {Symbol(base) for base in ("calN", "calU", "H", "I")} | {Symbol("I", label=law) for law in ("q", "p")}
LAWS = {("p", ""), ("p", "theta"), ("q", ""), ("q", "phi")}
FUNCTIONS = {"tr", "f", "f_phi", "c", "Phi", "C", "SNR", "x_theta", "v_theta", "tilde mu"}


def span(some: list[Word]) -> tuple[int, int]:
    """From where to where some words stand."""
    return (some[0].place[0], some[-1].place[1])


def paired(found: list[Word]) -> list[Word]:
    """Every bracket with its partner; what a bar means is decided by what is open around it."""
    stack: list[tuple[str, bool, int]] = []
    result: list[Word] = []
    for at, word in enumerate(found):
        kind = word.kind
        if kind == "BARS":
            if stack and stack[-1][1]:
                kind, stack[-1] = "PAR", (stack[-1][0], False, stack[-1][2])
            else:
                kind = "RNORM" if stack and stack[-1][0] == "RNORM" else "LNORM"
        if kind in CLOSER:
            stack.append((CLOSER[kind], at > 0 and found[at - 1].kind == "KL", at))
        elif kind in CLOSER.values():
            if not stack or stack[-1][0] != kind:
                raise NotUnderstood("a bracket is closed that was not opened", word.place)
            stack.pop()
        result.append(replace(word, kind=kind))
    if stack:
        raise NotUnderstood("a bracket is never closed", found[stack[-1][2]].place)
    return result


def split(found: list[Word]) -> list[list[Word]]:
    """Split at commas and at lines that begin something new; a line that begins with a sign goes on."""
    depths, sentences, current = nesting(found), [], []
    ended = True  # did the last sentence end with a comma or a full stop?

    def close() -> None:
        nonlocal current
        if current:
            sentences.append(current)
        current = []

    for at, word in enumerate(found):
        after = next((w for w in found[at + 1 :] if w.kind not in ("QUAD", "NEWLINE")), None)
        dots = "DOTS" in (after.kind if after else "", current[-1].kind if current else "")
        dots |= [w.kind for w in found[at + 1 : at + 4]] == ["NUMBER", "COMMA", "DOTS"]
        joined = current and current[-1].kind in (*OPERATORS, "REL", "SIM")
        goes_on = joined or (after is not None and after.kind in ("REL", *OPERATORS) and not ended)
        if depths[at]:
            if word.kind == "QUAD" and found[at - 1].kind not in ("COMMA", "SEMI"):
                raise NotUnderstood("a wide space between two things: is it a product?", word.place)
            if word.kind == "STOP":
                raise NotUnderstood("a full stop inside brackets", word.place)
            if word.kind not in ("QUAD", "NEWLINE"):
                current.append(word)
        elif word.kind == "COMMA" and dots:
            current.append(word)
        elif word.kind in ("COMMA", "IMPLIES", "STOP"):
            if word.kind == "STOP" and found[at + 1 : at + 2] and found[at + 1].kind not in ("NEWLINE", "QUAD"):
                raise NotUnderstood("a full stop in the middle", word.place)
            close()
            ended = True
            continue
        elif word.kind == "NEWLINE":
            if not goes_on:
                close()
            continue
        elif word.kind == "QUAD":
            if after is not None and after.kind == "LP" and _condition(found[at + 1 :]):
                close()
            elif (
                current and after is not None and not goes_on and found[at + 1].kind not in ("NEWLINE", "COMMA", "STOP")
            ):
                raise NotUnderstood("a wide space between two things: is it a product?", word.place)
            continue
        else:
            current.append(word)
        ended = False
    close()
    return [bare for sentence in sentences if (bare := _bare(sentence))]


def _condition(rest: list[Word]) -> bool:
    """Does a condition in brackets follow, as in (t > 1), and then nothing more of this statement?"""
    rest = [word for word in rest if word.kind not in ("QUAD", "NEWLINE", "STOP")]
    depths = nesting(rest)
    return any(w.kind == "REL" and d == 1 for w, d in zip(rest, depths, strict=True)) and 0 not in depths[1:-1]


def _bare(sentence: list[Word]) -> list[Word]:
    """A condition without the brackets around it, or the sign "for all" before it; "for all t" says nothing more."""
    if sentence[0].kind == "FORALL":
        sentence = sentence[1:]
        return [] if [w.value for w in sentence] == [Symbol("t")] else sentence
    return sentence[1:-1] if sentence[0].kind == "LP" and _condition(sentence) else sentence


def named(some: list[Word]) -> list[Word]:
    """Tell the letters apart: laws, functions, variables; and log(a) b, which nobody can read, from log(ab)."""
    result: list[Word] = []
    some = tidied(some)
    for at, word in enumerate(some):
        after = some[at + 1].kind if at + 1 < len(some) else ""
        kind = word.kind
        if kind == "SYMBOL":
            symbol: Symbol = word.value
            if symbol.base in ("p", "q") and not symbol.accent and symbol.index is None:
                if (symbol.base, symbol.label) not in LAWS:
                    raise NotUnderstood(f"{symbol.base} has parameters of its own, not these", word.place)
                kind = "LAW"
            elif symbol.base in ("calN", "calU", "H", "I") and symbol not in PLAIN:
                raise NotUnderstood(f"{symbol.base} with something on it is not in this book's notation", word.place)
            elif symbol.base in ("calN", "calU"):
                kind = {"calN": "NORMAL", "calU": "UNIFORM"}[symbol.base]
            elif symbol.base in ("H", "I") and after in ("LP", "LB"):
                kind = {"H": "ENTROPY", "I": "MUTUAL"}[symbol.base]
            elif after == "LP" and (
                symbol.name in FUNCTIONS or symbol.base == "calL" or symbol.label in ("theta", "phi")
            ):
                kind = "FUNCTION"
        elif kind in ("LOG", "E"):
            kind = _reach(some, at)
        elif kind in ("COMMA", "SEMI", "MID"):
            kind = "_" + kind
        result.append(replace(word, kind=kind))
    return result


def _reach(some: list[Word], at: int) -> str:
    """Do brackets end what a logarithm or an expectation is taken of?"""
    kind, start = some[at].kind, at + 1
    depths = nesting(some)
    if kind == "E" and start < len(some) and some[start].kind == "BELOW":
        start = (
            next(i for i in range(start + 2, len(some)) if depths[i] == depths[start] and some[i].kind == "CLOSE") + 1
        )
    if start >= len(some) or some[start].kind not in ("LP", "LB", "LC"):
        return kind
    end = next(i for i in range(start + 1, len(some)) if depths[i] == depths[start])
    after = some[end + 1].kind if end + 1 < len(some) else ""
    if after == "POWER" and (kind == "LOG" or some[start].kind != "LB"):  # E[x]² has one reading, log(x)² has two
        raise NotUnderstood(
            "is the power taken before or after? Put it where only one reading is left", some[end + 1].place
        )
    ends = (*OPERATORS[:2], *CLOSER.values(), "", "COMMA", "SEMI", "MID", "PAR", "REL", "BELOW", "DIFFERENTIAL")
    if kind == "LOG" and after not in ends:
        raise NotUnderstood(
            "log(a) b may be log(ab) or b log(a): add brackets, or turn the factors round", some[at].place
        )
    return "ECALL" if kind == "E" else kind
