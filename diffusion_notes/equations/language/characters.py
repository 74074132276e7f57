r"""Characters that are not LaTeX, said in LaTeX: α is `\alpha`, ₜ is `_{t}`, 𝔼 is `\mathbb{E}`, `&lt;` is `<`.

Pages hold them where an editor, a converter or an author put them. Every place in the LaTeX is known in what was
written.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Place
from diffusion_notes.equations.language.tokens import Token

__all__ = ["Spelt", "in_latex"]

_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi"
    " omega Gamma Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega Delta"
)
_GREEK = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΘΛΞΠΣΥΦΨΩΔ", _NAMES.split(), strict=True))
_SIGNS = {
    "ϵ": "epsilon", "ϕ": "phi", "ϑ": "theta", "µ": "mu", "ς": "sigma", "ℓ": "ell", "∆": "Delta", "∇": "nabla",
    "∂": "partial", "∑": "sum", "∏": "prod", "∫": "int", "∬": "iint", "√": "sqrt", "∞": "infty", "∅": "varnothing",
    "≤": "le", "⩽": "le", "≥": "ge", "⩾": "ge", "≠": "neq", "≈": "approx", "≃": "simeq", "≡": "equiv",
    "∝": "propto", "∼": "sim", "≜": "triangleq", "≝": "triangleq", "≔": "coloneqq", "∈": "in", "→": "to",
    "⟶": "to", "⇒": "Rightarrow", "⟹": "implies", "⇔": "iff", "⟺": "iff", "∴": "therefore", "∵": "because",
    "∀": "forall", "×": "times", "·": "cdot", "⋅": "cdot", "∙": "cdot", "⊙": "odot", "÷": "div", "…": "dots",
    "⋯": "cdots", "⟨": "langle", "⟩": "rangle", "‖": "Vert", "∥": "parallel", "∣": "mid", "⊤": "top", "′": "prime",
}  # fmt: skip
_PLAIN = {
    "−": "-",
    "–": "-",
    "∗": "*",
    "／": "/",
    "｜": "|",
    "（": "(",
    "）": ")",
    "，": ",",
    "＝": "=",
    "∶": ":",
    "＋": "+",
}
_COMBINING = {"\u0304": "bar", "\u0305": "bar", "\u0303": "tilde", "\u0302": "hat", "\u0307": "dot", "\u20d7": "vec"}
_SPACES = "\u00a0\u2009\u200a\u2002\u2003\u2005\u202f\u200b\u2061\u2062\u2063\ufeff\u00ad\u200c\u200d\u2060"

SPELLINGS = {
    **{character: f"\\{name}" for table in (_GREEK, _SIGNS) for character, name in table.items()},
    **_PLAIN,
    **dict.fromkeys(_SPACES, " "),
}
"""Characters, and the piece of LaTeX that each of them is."""

ENTITY = re.compile(r"&(?:[a-zA-Z]+|#\d+|#x[0-9a-fA-F]+);")
"""A character as HTML writes it."""


@dataclass(frozen=True)
class Spelt:
    """LaTeX, and where each of its characters comes from.

    Args:
        latex: The LaTeX.
        places: For each of its characters the first and the last character of what was written.
    """

    latex: str
    places: tuple[Place, ...] | None = None

    def place(self, place: Place) -> Place:
        """A place of the LaTeX, in what was written."""
        if self.places is None or not self.places:
            return place
        last = len(self.places) - 1
        start = self.places[place[0]][0] if place[0] <= last else self.places[last][1]
        return start, max(start, self.places[min(place[1] - 1, last)][1]) if place[1] > place[0] else start

    def doubt(self, why: NotUnderstood) -> NotUnderstood:
        """A doubt about the LaTeX, with its place in what was written."""
        return NotUnderstood(why.why, self.place(why.place) if why.place else None)

    def token(self, token: Token) -> Token:
        """A token of the LaTeX, with its place in what was written."""
        if self.places is None:
            return token
        value = self.doubt(token.value) if isinstance(token.value, NotUnderstood) else token.value
        return replace(token, value=value, place=self.place(token.place))


def in_latex(written: str) -> Spelt:
    """What an author wrote, in LaTeX alone."""
    if written.isascii() and not ENTITY.search(written):
        return Spelt(written)
    latex: list[str] = []
    places: list[Place] = []
    for text, place in _spelt(written):
        latex.append(text)
        places += [place] * len(text)
    return Spelt("".join(latex), tuple(places))


def _spelt(written: str) -> Iterator[tuple[str, Place]]:
    """Stretches of LaTeX, and where each was written."""
    at = 0
    while at < len(written):
        end, text = _next(written, at)
        if text.startswith("\\") and text[-1].isalpha() and written[end : end + 1].isascii():
            text += " " if written[end : end + 1].isalpha() else ""
        yield text, (at, end)
        at = end


def _next(written: str, at: int) -> tuple[int, str]:
    """Where the character that comes ends, and how LaTeX spells it."""
    if found := ENTITY.match(written, at):
        character = html.unescape(found.group())
        return found.end(), "".join(_next(character, i)[1] for i in range(len(character)))
    if found := SCRIPTS.match(written, at):
        below = unicodedata.decomposition(found.group()[0]).startswith("<sub>")
        inner = "".join(_next(unicodedata.normalize("NFKC", letter), 0)[1] for letter in found.group())
        return found.end(), f"{'_' if below else '^'}{{{inner}}}"
    end = at + 1
    parts = unicodedata.normalize("NFD", written[at])
    marks = parts[1:]
    while end < len(written) and written[end] in _COMBINING:
        marks += written[end]
        end += 1
    if marks and all(mark in _COMBINING for mark in marks):
        inner = _letter(parts[0])
        for mark in marks:
            inner = f"\\{_COMBINING[mark]}{{{inner}}}"
        return end, inner
    return end, _letter(written[at])


SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉₊₋₌ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼᵣᵤᵥᵦᵧᵨᵩᵪ"
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵀᵗⁿⁱʲᵏᵐᵈ"
SCRIPTS = re.compile(f"[{SUBSCRIPTS}]+|[{SUPERSCRIPTS}]+")
"""Letters and numbers that stand below or above the line by themselves."""


def _letter(character: str) -> str:
    """How LaTeX spells a character; a letter of a mathematical alphabet is that letter, in its alphabet."""
    if character.isascii():
        return character
    if character in SPELLINGS:
        return SPELLINGS[character]
    name = unicodedata.name(character, "")
    plain = unicodedata.normalize("NFKC", character)
    if not unicodedata.decomposition(character).startswith("<font>") or len(plain) != 1:
        return character
    if "DOUBLE-STRUCK" in name:
        return rf"\mathbb{{{plain}}}"
    if "SCRIPT" in name:
        return rf"\mathcal{{{plain}}}"
    return SPELLINGS.get(plain, plain)
