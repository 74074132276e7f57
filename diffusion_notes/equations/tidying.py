"""Habits of writing that mean nothing of their own, put into one form."""

from __future__ import annotations

from dataclasses import replace

from diffusion_notes.equations.latex import Word
from diffusion_notes.equations.nesting import matching
from diffusion_notes.equations.nodes import Index, NotUnderstood, Symbol

__all__ = ["tidied"]

START, NOISE, THETA = Symbol("x", index=Index(None, 0)), Symbol("eps"), Symbol("theta")


def tidied(some: list[Word]) -> list[Word]:
    r"""The same words in the form that the grammar knows.

    $x_t(x_0, \varepsilon)$ is $x_t$; $L(\theta)$ is $L$; $\int\int$ is one integral over two variables,
    $\int_z \dots dz$ one over $z$; $\lVert v \rVert_2$ is $\lVert v \rVert$; $\sigma_\phi^2(x)$ is $\sigma_\phi(x)^2$.
    """
    result: list[Word] = []
    at = 0
    while at < len(some):
        word, rest = some[at], some[at + 1 :]
        kinds, values = [w.kind for w in rest[:6]], [w.value for w in rest[:6]]
        at += 1
        if word.kind == "INT":
            at += _integral(word, rest, result)
            continue
        if word.kind == "FRAC" and kinds[:5] == ["OPEN", "PARTIAL", "CLOSE", "OPEN", "PARTIAL"]:
            result += [replace(word, kind="NABLA"), replace(word, kind="BELOW"), rest[0], *rest[5:7]]
            at += 7
            continue
        result.append(word)
        if word.kind == "RNORM" and kinds[:2] == ["BELOW", "OPEN"] and kinds[3:4] == ["CLOSE"]:
            at += 4 if values[2] in ("2", Symbol("F")) else 0
        if word.kind != "SYMBOL":
            continue
        symbol: Symbol = word.value
        if symbol == Symbol("x", index=Index("t")) and kinds[:5] == ["LP", "SYMBOL", "COMMA", "SYMBOL", "RP"]:
            at += 5 if (values[1], values[3]) == (START, NOISE) else 0
        elif symbol.base == "L" and kinds[:3] == ["LP", "SYMBOL", "RP"] and values[1] == THETA:
            at += 3
        elif symbol.label in ("theta", "phi") and kinds[:1] == ["POWER"]:
            end = at + matching(some[at:], 1) + 1
            if end < len(some) and some[end].kind == "LP":
                last = matching(some, end)
                result += some[end : last + 1] + some[at:end]
                at = last + 1
    return result


def _integral(word: Word, rest: list[Word], result: list[Word]) -> int:
    """Read the signs of an integral that stand side by side; the word's value says over how many variables it goes."""
    count, named, at = 1, [], 0
    while True:
        kinds = [w.kind for w in rest[at : at + 5]]
        if kinds[:4] == ["BELOW", "OPEN", "SYMBOL", "CLOSE"] and kinds[4:] != ["POWER"]:
            named.append(rest[at + 2].value)
            at += 4
        if at < len(rest) and rest[at].kind == "INT":
            count, at = count + 1, at + 1
            continue
        break
    if named and len(named) != count:
        raise NotUnderstood("some of the integrals name their variable and some do not", word.place)
    result.append(replace(word, value=(count, tuple(named))))
    return at
