"""Maths as a line of plain text that says the same: ``\\frac{1}{2} z^2`` is ``1/2 z²``, ``\\bar\\alpha_t`` ``ᾱₜ``."""

from __future__ import annotations

import re
import unicodedata

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "epsilon": "ε", "theta": "θ",
    "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "psi": "ψ",
    "chi": "χ", "eta": "η", "zeta": "ζ", "kappa": "κ", "omega": "ω", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Gamma": "Γ",
    "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Omega": "Ω",
}  # fmt: skip
SIGNS = {
    "mid": " | ", "vert": "|", "Vert": " ‖ ", "lVert": "‖", "rVert": "‖", "le": " ≤ ", "ge": " ≥ ", "to": " → ",
    "infty": "∞", "cdot": " · ", "times": " × ", "approx": " ≈ ", "sim": " ∼ ", "pm": " ± ", "ne": " ≠ ", "in": " ∈ ",
    "propto": " ∝ ", "ll": " ≪ ", "gg": " ≫ ", "dots": "…", "ldots": "…", "cdots": "…", "ell": "ℓ", "nabla": "∇",
    "partial": "∂", "top": "⊤", "int": " ∫", "sum": " ∑", "prod": " ∏", "quad": " ", "qquad": " ", "circ": "∘",
    "lbrace": "{", "rbrace": "}", "langle": "⟨", "rangle": "⟩", "equiv": " ≡ ", "odot": " ⊙ ", "implies": " ⇒ ",
    "left": "", "right": "", "bigl": "", "bigr": "", "Bigl": "", "Bigr": "", "big": "", "Big": "", "biggl": "",
    "biggr": "", "displaystyle": "", "textstyle": "", "middle": "", "lvert": "|", "rvert": "|", "notag": "",
}  # fmt: skip
WORDS = {"log", "exp", "max", "min", "arg", "lim", "tanh", "sinh", "cosh", "sin", "cos", "tan", "det", "ln", "Pr"}
MARKS = {"bar": "\u0304", "tilde": "\u0303", "hat": "\u0302", "overline": "\u0304", "dot": "\u0307"}
AS_THEY_ARE = {"mathbb", "mathcal", "mathrm", "mathbf", "text", "operatorname", "boldsymbol", "textbf", "mathit"}
BELOW = dict(zip("0123456789+-−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
ABOVE = dict(zip("0123456789+-−=()nix", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱˣ", strict=True))
PLAIN = {
    **GREEK, **SIGNS, **{word: word for word in WORDS}, **dict.fromkeys((",", ";", ":", " ", "\\", ">"), " "),
    **{sign: sign for sign in "{}%_#&$"}, "!": "", "/": "", "|": "‖",
}  # fmt: skip
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\s+|.", re.DOTALL)
ONE = re.compile(r"\w(?:_\w+)?[\u0300-\u036f₀-ₜᵢ-ᵪ⁰-ⁿ²³¹]*|\d+(?:\.\d+)?|[\w.]*\([^()]*\)|√\([^()]*\)")


class UnreadError(ValueError):
    """A command that has no plain text yet."""


def plain(latex: str) -> str:
    """The text of a formula.

    Raises:
        UnreadError: It has a command that is not known here: what is left out could make a true formula a false one.

    >>> plain(r"\\tfrac{1}{2} \\sqrt{1 - \\bar\\alpha_{t-1}}\\, \\log p_\\theta(x \\mid z)")
    '1/2 √(1 − ᾱₜ₋₁) log p_θ(x | z)'
    """
    text = tidy(_Reader(latex).upto(""))
    return unicodedata.normalize("NFC", text)


def tidy(text: str) -> str:
    """One space where there are several, and none inside of brackets."""
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"(?<=[(\[]) | (?=[)\],.;])", "", text)


class _Reader:
    """Reads a formula from left to right."""

    def __init__(self, latex: str) -> None:
        self.tokens = TOKEN.findall(latex)
        self.place = 0

    def next(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1] if self.place <= len(self.tokens) else ""

    def argument(self) -> str:
        """A group in braces, or the one thing that comes next."""
        token = self.next()
        while token.isspace():
            token = self.next()
        return self.upto("}") if token == "{" else self.read(token)

    def upto(self, end: str) -> str:
        """The text of all up to a brace, or up to the end."""
        text = ""
        while (token := self.next()) != end and token:
            piece = self.read(token)
            word = token[1:] in WORDS and token[0] == "\\"
            if (word and re.search(r"[\w)\]}\u0300-\u036f₀-ₜ]\Z", text)) or (
                re.search(r"(?:log|exp|max|min|arg|lim|tanh|ln)\Z", text) and re.match(r"[\w√]", piece)
            ):
                text += " "
            text += piece
        return text

    def read(self, token: str) -> str:
        """The text of one thing."""
        if token == "{":
            return self.upto("}")
        if token == "_":
            return lowered(tidy(self.argument()))
        if token == "^":
            return raised(tidy(self.argument()))
        if token == "-":
            return "−"
        if token == "~" or token == "&":
            return " "
        if token[0] != "\\" or len(token) == 1:
            return token
        return self.command(token[1:])

    def command(self, name: str) -> str:
        """The text of a command."""
        if name in PLAIN:
            return PLAIN[name]
        if name in {"frac", "tfrac", "dfrac"}:
            above = grouped(self.argument())
            return f"{above}/{grouped(self.argument())}"
        if name == "sqrt":
            return f"√{grouped(self.argument())}"
        if name in {"underbrace", "overbrace"}:
            return self.without_its_name()
        if name in MARKS:
            marked = self.argument()
            return marked[:1] + MARKS[name] + marked[1:]
        if name in AS_THEY_ARE:
            return self.argument()
        raise UnreadError(f"there is no plain text for \\{name}")

    def without_its_name(self) -> str:
        """What is above or below a brace; what the brace calls it is left out."""
        text = self.argument()
        if self.place < len(self.tokens) and self.tokens[self.place] in {"_", "^"}:
            self.next()
            self.argument()
        return text


def grouped(text: str) -> str:
    """In brackets, unless it is one thing anyway."""
    text = tidy(text)
    return text if ONE.fullmatch(text) else f"({text})"


def lowered(text: str) -> str:
    """An index."""
    if text and all(letter in BELOW for letter in text):
        return "".join(BELOW[letter] for letter in text)
    text = text.replace(" ", "")
    return f"_{text}" if re.fullmatch(r"\w+", text) else f"_{{{text}}}"


def raised(text: str) -> str:
    """A power."""
    if text and all(letter in ABOVE for letter in text):
        return "".join(ABOVE[letter] for letter in text)
    if text == "⊤":
        return "ᵀ"
    return f"^{text}" if re.fullmatch(r"\w", text) else f"^({text})"
