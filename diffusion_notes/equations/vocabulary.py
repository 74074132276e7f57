"""The pieces of LaTeX that the book uses, and what each of them is."""

from __future__ import annotations

import re

__all__ = [
    "ACCENTS",
    "BOLD",
    "CANONICAL",
    "DROPPED",
    "LETTERS",
    "NAMED",
    "PIECE",
    "RELATIONS",
    "STYLES",
    "TAKING",
    "WORDS",
]

GREEK = "alpha beta gamma delta epsilon varepsilon lambda mu sigma phi theta tau pi ell Phi nu eta rho Sigma Lambda"
LETTERS = {letter: letter for letter in GREEK.split()} | {"epsilon": "eps", "varepsilon": "eps", "ell": "ell"}
DROPPED = re.compile(
    r"\\(?:[,;:! >]|left\s*\.|right\s*\."
    r"|(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nonumber|notag)(?![a-zA-Z])"
    r"|(?:begin|end)\s*\{(?:aligned|alignedat|split|gathered|(?:align|gather|multline|eqnarray|equation)\*?)\}"
    r"|begin\s*\{array\}\s*\{[lcr\s]*\}|end\s*\{array\})|~|&|\s+|%.*"
)
RELATIONS = {
    **dict.fromkeys(
        [
            "=",
            ":=",
            "=:",
            r"\coloneqq",
            r"\eqqcolon",
            r"\le",
            r"\leq",
            r"\leqslant",
            r"\ge",
            r"\geq",
            r"\geqslant",
            "<",
            ">",
        ]
    ),
    **dict.fromkeys([r"\approx", r"\propto", r"\lt", r"\gt", r"\in"]),
}
CANONICAL = {
    r"\coloneqq": ":=", r"\eqqcolon": "=:",
    r"\leq": r"\le", r"\leqslant": r"\le", r"\geq": r"\ge", r"\geqslant": r"\ge",
    "<": r"\lt", ">": r"\gt",
}  # fmt: skip
WORDS = {
    r"\forall": "FORALL", r"\partial": "PARTIAL",
    r"\log": "LOG", r"\ln": "LOG", r"\exp": "EXP", r"\sum": "SUM", r"\prod": "PROD", r"\int": "INT", r"\nabla": "NABLA",
    r"\cdot": "TIMES", r"\times": "TIMES", r"\odot": "TIMES",
    "/": "SLASH", "+": "PLUS", "-": "MINUS", r"\sim": "SIM", ";": "SEMI",
    r"\frac": "FRAC", r"\tfrac": "FRAC", r"\dfrac": "FRAC", r"\sqrt": "SQRT", ",": "COMMA", r"\mid": "MID",
    "|": "MID", r"\vert": "MID", r"\dots": "DOTS", r"\ldots": "DOTS", r"\cdots": "DOTS",
    "(": "LP", ")": "RP", "[": "LB", "]": "RB", r"\{": "LC", r"\}": "RC", r"\langle": "LANGLE", r"\rangle": "RANGLE",
    r"\lVert": "LNORM", r"\rVert": "RNORM", r"\lbrack": "LB", r"\rbrack": "RB", r"\top": "TOP", r"\cos": "COS",
    r"\sin": "SIN", r"\quad": "QUAD", r"\qquad": "QUAD", r"\\": "NEWLINE", ".": "STOP", r"\Longrightarrow": "IMPLIES",
}  # fmt: skip
NAMED = {
    "log": "LOG", "ln": "LOG", "exp": "EXP", "Var": "VAR", "Cov": "VAR", "KL": "KL",
    "const": "CONST", "const.": "CONST",
}  # fmt: skip
BRACKETS = ("(", ")", "[", "]", ".", "|", r"\{", r"\}", r"\lVert", r"\rVert", r"\Vert", r"\|", r"\langle", r"\rangle",
            r"\lbrack", r"\rbrack", r"\vert", r"\lvert", r"\rvert", r"\mid")  # fmt: skip
BOLD = (r"\mathbf", r"\boldsymbol", r"\bm")
ACCENTS = {r"\bar": "bar", r"\overline": "bar", r"\tilde": "tilde", r"\widetilde": "tilde", r"\hat": "hat"}
STYLES = {(r"\mathbb", "E"): "calE", (r"\mathbb", "V"): "VAR", (r"\mathbb", "H"): "H", (r"\mathcal", "H"): "H",
          (r"\mathcal", "N"): "calN", (r"\mathcal", "L"): "calL", (r"\mathcal", "U"): "calU"}  # fmt: skip
TAKING = (r"\text", r"\mathrm", r"\operatorname", r"\bar", r"\tilde", r"\hat", r"\mathbf", r"\boldsymbol", r"\bm",
          r"\mathcal", r"\overline")  # fmt: skip
PIECE = re.compile(r"\\[a-zA-Z]+\*?|\\.|\|\||:=|=:|\d+(?:\.\d+)?|.", re.S)
