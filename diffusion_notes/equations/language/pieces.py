r"""The pieces of LaTeX, and what each of them is: presentation, a sign, a letter, a word.

Presentation never changes what is said. It is of three kinds: what is dropped (`DROPPED`, `DROPPED_ARGUMENTS`), what
shows its last argument and changes only its looks (`SHOWING`), and remarks, which `layout.py` tells from what is said.
Everything else is a table of spellings: several pieces that print the same thing, or mean it, stand for one kind of
token. What is in no table is not skipped.
"""

from __future__ import annotations

import re

__all__ = [
    "ACCENTS",
    "ALPHABETS",
    "ARITY",
    "BRACKETS",
    "DECLARED",
    "DIGITS",
    "DROPPED",
    "DROPPED_ARGUMENTS",
    "ENVIRONMENTS",
    "LETTERS",
    "LIMITED",
    "LOOKS",
    "NAMED_SIGNS",
    "ORNAMENTS",
    "PIECE",
    "PLAIN_ALPHABETS",
    "RELATIONS",
    "SHOWING",
    "SIGNS",
    "TEXTS",
    "UPRIGHT",
    "WIDE",
    "WORDS_OF_LETTERS",
]

# How LaTeX falls into pieces

WORDS_OF_LETTERS = "log|ln|exp|ELBO|SNR|Var|Cov|const|Pr"
"""What is a word even where an author forgot to say so."""

PIECE = re.compile(
    rf"\\(?:operatorname|hspace|vspace|tag|norm|abs)\*|\\\\\*?(?:\s*\[\s*-?[\d.]+\s*[a-z]{{2}}\s*\])?"
    rf"|\\[a-zA-Z]+|\\.|(?<![a-zA-Z\\])(?:{WORDS_OF_LETTERS})(?![a-zA-Z])"
    r"|\|\||:=|=:|<=|>=|=>|\.\.\.|\d+(?:\.\d+)?|\.\d+|.",
    re.S,
)

# Presentation

_SIZES = "tiny|scriptsize|footnotesize|small|normalsize|large|Large|LARGE|huge|Huge"
_MODES = "displaystyle|textstyle|scriptstyle|scriptscriptstyle|limits|nolimits"
_SPACES = (
    "thinspace|medspace|thickspace|negthinspace|negmedspace|negthickspace|enspace|enskip|hfill?|hss|mathstrut|strut"
)
_BREAKS = (
    "begingroup|endgroup|nobreak|allowbreak|linebreak|nolinebreak|displaybreak|pagebreak|noindent|centering|relax|hline"
    "|qedhere"
)
_NUMBERS = "nonumber|notag|numberthis"

ENVIRONMENTS = (
    "aligned", "alignedat", "split", "gathered", "multlined", "align", "alignat", "flalign", "gather", "multline",
    "eqnarray", "equation", "dmath", "subequations", "empheq", "displaymath", "math", "array", "darray", "IEEEeqnarray",
    "subarray", "small", "footnotesize", "scriptsize", "tiny", "large", "center", "minipage",
)  # fmt: skip
"""The environments that only arrange what is said in them."""

DROPPED = re.compile(
    r"\\(?:[,;:! >/\t\r\n]"
    rf"|(?:middle|[bB]igg?m?|{_SIZES}|{_MODES}|{_SPACES}|{_BREAKS}|{_NUMBERS})(?![a-zA-Z])"
    rf"|begin\s*\{{(?:{'|'.join(ENVIRONMENTS)})\*?\}}(?:\s*\[[tcb]\])?(?:\s*\{{(?:[lcrLCR\s|@!>]|\{{[^{{}}]*\}}|\d)*\}})?"
    rf"|end\s*\{{(?:{'|'.join(ENVIRONMENTS)})\*?\}}"
    r"|[mk]?kern\s*-?[\d.]+\s*[a-z]{2}|(?:m|h)skip\s*-?[\d.]+\s*[a-z]{2})|~|\$|\s+|%.*"
)
"""What is dropped: it moves, sizes or arranges, and prints nothing."""

DROPPED_ARGUMENTS = {
    r"\label": 1, r"\vphantom": 1, r"\vspace": 1, r"\vspace*": 1, r"\mspace": 1, r"\require": 1, r"\setcounter": 2,
    r"\definecolor": 3, r"\rule": 2, r"\raisetag": 1, r"\mathchoice": 4,
}  # fmt: skip
"""What is dropped with so many arguments."""

WIDE = (r"\hspace", r"\hspace*", r"\phantom", r"\hphantom")
"""A space as wide as its argument."""

SHOWING = {
    r"\mathrel": 0, r"\mathbin": 0, r"\mathop": 0, r"\mathord": 0, r"\mathopen": 0, r"\mathclose": 0, r"\mathpunct": 0,
    r"\mathinner": 0, r"\boxed": 0, r"\fbox": 0, r"\framebox": 0, r"\tcboxmath": 0, r"\tcbhighmath": 0, r"\Aboxed": 0,
    r"\smash": 0, r"\mathclap": 0, r"\mathllap": 0, r"\mathrlap": 0, r"\clap": 0, r"\rlap": 0, r"\llap": 0,
    r"\ensuremath": 0, r"\hbox": 0, r"\vcenter": 0, r"\vec": 0, r"\boldsymbol": 0, r"\bm": 0, r"\mathbf": 0,
    r"\pmb": 0, r"\bold": 0, r"\mathbfit": 0, r"\symbf": 0, r"\symbfit": 0, r"\symup": 0, r"\vb": 0, r"\mathsf": 0,
    r"\mathtt": 0, r"\mathit": 0, r"\mathnormal": 0, r"\substack": 0, r"\textcolor": 1, r"\colorbox": 1,
    r"\fcolorbox": 2, r"\class": 1, r"\cssId": 1, r"\style": 1, r"\href": 1, r"\bbox": 0, r"\htmlClass": 1,
    r"\htmlId": 1, r"\htmlStyle": 1, r"\htmlData": 1, r"\hl": 0, r"\highlight": 0, r"\scalebox": 1,
    r"\resizebox": 2,
    **dict.fromkeys((r"\red", r"\blue", r"\green", r"\orange", r"\purple", r"\gray", r"\cyan", r"\magenta"), 0),
}  # fmt: skip
"""What changes only the looks of its last argument, and how many arguments come before that one."""

DECLARED = {
    r"\rm": r"\mathrm", r"\bf": r"\mathbf", r"\it": r"\mathit", r"\sf": r"\mathsf", r"\tt": r"\mathtt",
    r"\cal": r"\mathcal", r"\mit": r"\mathit", r"\boldmath": r"\boldsymbol", r"\bfseries": r"\mathbf",
    r"\rmfamily": r"\mathrm", r"\sffamily": r"\mathsf", r"\scr": r"\mathscr", r"\frak": r"\mathfrak",
}  # fmt: skip
"""What changes the looks of all that follows in its group, and the command that does so to an argument."""

TEXTS = (
    r"\text", r"\operatorname", r"\operatorname*", r"\mathrm", r"\textrm", r"\mbox", r"\textnormal", r"\textup",
    r"\textbf", r"\textit", r"\textsl", r"\textsf", r"\texttt", r"\textsc", r"\emph", r"\textmd", r"\intertext",
    r"\shortintertext",
)  # fmt: skip
"""What sets words."""

LOOKS = re.compile(
    r"\\(?:"
    + "|".join(re.escape(piece[1:]) for piece in (*TEXTS, *SHOWING, *DECLARED, r"\mathbb", r"\mathcal"))
    + rf"|{_SIZES}|{_MODES})(?![a-zA-Z])|\\color\s*\{{[^{{}}]*\}}"
)
"""What changes only the looks of a word."""

ORNAMENTS = (r"\blacksquare", r"\square", r"\qed", r"\qedsymbol", r"\Box", r"\checkmark", r"\downarrow",
             r"\uparrow", r"\Downarrow", r"\Uparrow")  # fmt: skip
"""What ends a proof, or points to what is said elsewhere."""

# Signs

RELATIONS = {
    "=": "=", ":=": ":=", "=:": "=:", r"\coloneqq": ":=", r"\coloneq": ":=", r"\colonequals": ":=", r"\eqqcolon": "=:",
    r"\triangleq": ":=", r"\doteq": ":=", r"\eqdef": ":=", r"\defeq": ":=",
    r"\leftarrow": ":=", r"\gets": ":=", r"\longleftarrow": ":=", r"\equiv": "=",
    r"\approx": r"\approx", r"\simeq": r"\approx", r"\approxeq": r"\approx",
    r"\propto": r"\propto", r"\varpropto": r"\propto", r"\in": r"\in",
    r"\le": r"\le", r"\leq": r"\le", r"\leqslant": r"\le", r"\leqq": r"\le", "<=": r"\le",
    r"\ge": r"\ge", r"\geq": r"\ge", r"\geqslant": r"\ge", r"\geqq": r"\ge", ">=": r"\ge",
    "<": r"\lt", r"\lt": r"\lt", ">": r"\gt", r"\gt": r"\gt",
}  # fmt: skip
"""Every relation, and the one spelling by which it is known from here on."""

_SPELT = {
    "LAPLACE": r"\Delta", "FORALL": r"\forall", "PARTIAL": r"\partial", "LOG": r"\log \ln", "EXP": r"\exp",
    "SUM": r"\sum", "PROD": r"\prod", "INT": r"\int \intop", "NABLA": r"\nabla \triangledown",
    "TIMES": r"\cdot \times \odot * \cdotp",
    "SLASH": r"/ \div \slash", "PLUS": "+", "MINUS": "-", "SIM": r"\sim \thicksim", "SEMI": ";", "COMMA": ",",
    "MID": r"| \mid \vert \shortmid", "BARS": r"\Vert \| || \parallel \shortparallel",
    "DOTS": r"\dots \ldots \cdots \dotsb \dotsc \dotsm \dotsi \dotso \hdots ...", "VDOTS": r"\vdots",
    "LP": r"( \lparen", "RP": r") \rparen", "LB": r"[ \lbrack", "RB": r"] \rbrack",
    "LC": r"\{ \lbrace", "RC": r"\} \rbrace", "LANGLE": r"\langle", "RANGLE": r"\rangle",
    "LNORM": r"\lVert", "RNORM": r"\rVert", "LABS": r"\lvert", "RABS": r"\rvert",
    "TOP": r"\top \intercal", "COS": r"\cos", "SIN": r"\sin", "DET": r"\det", "LIM": r"\lim",
    "QUAD": r"\quad \qquad", "NEWLINE": r"\\ \cr \newline \tabularnewline", "STOP": ".",
    "COLON": r": \colon \vcentcolon", "COLUMN": "&", "TO": r"\to \rightarrow \longrightarrow",
    "IMPLIES": r"\Longrightarrow \Rightarrow \implies \therefore \because \iff \Leftrightarrow \Longleftrightarrow"
    r" \Leftarrow \Longleftarrow \impliedby \leadsto =>",
}  # fmt: skip
SIGNS = {piece: kind for kind, pieces in _SPELT.items() for piece in pieces.split()}
"""Every sign, and the kind of token that it is."""

BRACKETS = {
    **{piece: kind for piece, kind in SIGNS.items() if re.fullmatch("[LR](P|B|C|ANGLE)", kind)},
    "<": "LANGLE", ">": "RANGLE", r"\lt": "LANGLE", r"\gt": "RANGLE", ".": "",
    **dict.fromkeys(("|", r"\vert", r"\mid", r"\lvert", r"\rvert"), "MID"),
    **dict.fromkeys((r"\|", r"\Vert", r"\lVert", r"\rVert", "||", r"\parallel"), "BARS"),
}  # fmt: skip
"""Before what a bracket that grows may stand: its kind, or nothing for the bracket that is not printed."""

LIMITED = re.compile(r"\\(?:sum|prod|int|iint|min|max|sup|inf|lim)\s*$|\}\s*$")
r"""After what `\limits` may stand."""

# Letters and words

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi"
    " omega Gamma Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
LETTERS = {
    r"\Pr": "p",
    **{f"\\{letter}": letter for letter in _GREEK.split()},
    r"\epsilon": "eps", r"\varepsilon": "eps", r"\ell": "ell", r"\varphi": "phi", r"\vartheta": "theta",
    r"\varkappa": "kappa", r"\varrho": "rho", r"\varsigma": "sigma", r"\varpi": "pi",
}  # fmt: skip
"""The letters that have a name."""

NAMED_SIGNS = {r"\infty": "infty", r"\varnothing": "empty", r"\emptyset": "empty"}
ACCENTS = {
    r"\bar": "bar", r"\overline": "bar", r"\tilde": "tilde", r"\widetilde": "tilde", r"\hat": "hat", r"\widehat": "hat",
    r"\dot": "dot", r"\ddot": "ddot", r"\check": "check", r"\breve": "breve", r"\underline": "underline",
    r"\mathring": "ring",
}  # fmt: skip

PLAIN_ALPHABETS = {"H": "H", "I": "I", "O": "O", "V": "VAR"}
"""The letters that mean the same in every alphabet."""

ALPHABETS = {r"\mathcal": "cal", r"\mathscr": "cal", r"\mathfrak": "frak", r"\mathbb": "bb", r"\mathds": "bb",
             r"\mathbbm": "bb", r"\Bbb": "bb"}  # fmt: skip
"""The alphabets in which a letter is another letter, and what then stands before its name."""

DIGITS = {r"\mathbb", r"\mathds", r"\mathbbm", r"\Bbb"}
"""The alphabets whose one is an indicator."""

_SYMBOLS = {
    "tr": "tr Tr trace Trace", "diag": "diag Diag",
    "SNR": "SNR snr", "calL": "ELBO elbo VLB", "calN": "Normal Norm", "p": "Pr", "calU": "Uniform Unif Uni",
    "I": "MI",
}  # fmt: skip
UPRIGHT: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("log", "ln"), ("LOG", "")),
    **dict.fromkeys(("Var", "var", "VAR", "Cov", "cov"), ("VAR", "")),
    **dict.fromkeys(("KL", "kl", "Kl", "KLD"), ("KL", "")),
    **dict.fromkeys(
        ("const", "const.", "Const", "Const.", "constant", "constants", "Constant", "cst", "cst."), ("CONST", "")
    ),
    **dict.fromkeys(("argmin", "arg min", "argmin_"), ("ARGMIN", "")),
    **dict.fromkeys(("argmax", "arg max", "argmax_"), ("ARGMAX", "")),
    "exp": ("EXP", ""), "det": ("DET", ""), "sin": ("SIN", ""), "cos": ("COS", ""), "lim": ("LIM", ""),
    **{word: ("SYMBOL", base) for base, words in _SYMBOLS.items() for word in words.split()},
}  # fmt: skip
"""What words in upright letters are: the kind of token, and the letter for which they stand."""

ARITY = {
    **dict.fromkeys((*TEXTS, *ACCENTS, *ALPHABETS, r"\sqrt", r"\underbrace", r"\overbrace"), 1),
    **{piece: before + 1 for piece, before in SHOWING.items()},
    **dict.fromkeys((r"\frac", r"\dfrac", r"\tfrac", r"\underset", r"\overset", r"\stackrel"), 2),
}
r"""How many arguments a command takes where it is an argument itself, as in $L_\text{simple}$."""
