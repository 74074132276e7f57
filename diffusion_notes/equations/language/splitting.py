"""Where one statement of a display ends and the next begins.

They are told apart by commas, semicolons and full stops, by words and arrows between them, by lines that begin
something new, and by wide spaces between two that both say something. A line that begins with a sign goes on.
"""

from __future__ import annotations

from diffusion_notes.equations.language.layout import WHOLE
from diffusion_notes.equations.language.normalisation import OPERATORS, bracket_depths, matching_bracket
from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Symbol
from diffusion_notes.equations.language.tokens import Token

__all__ = ["is_worded", "split"]

SAYING = ("REL", "SIM", "TO")
"""What makes a statement of some tokens."""

EQUIVALENT = (r"\iff", r"\Leftrightarrow", r"\Longleftrightarrow")
"""The arrows between statements of which neither need hold, but both or none. They stay with the statements."""

SEPARATORS = ("COMMA", "SEMI", "STOP", "IMPLIES")
GOING_ON = ("REL", "SIM", *OPERATORS)
"""With what a line begins that goes on."""

SPACES = ("QUAD", "NEWLINE")
INDENTED = {("NEWLINE", sign) for sign in OPERATORS}
"""Where a wide space is the beginning of a line that goes on."""

STEPS = (Symbol("t"), Symbol("s"), Symbol("T"))

LAWS = ("calN", "calU")
"""The laws of one variable: of several that are drawn from one of them, each is."""


def split(tokens: list[Token]) -> list[list[Token]]:
    """The tokens of each statement of a display, without brackets around it and without the sign "for all" before it.

    Args:
        tokens: The tokens of the display, every bracket with its partner. Where they cannot be told apart, a statement
            has a token of the kind `UNREAD` in it.
    """
    return _Splitter(tokens).statements()


class _Splitter:
    """Goes through the tokens of a display.

    Args:
        tokens: The tokens of the display.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.depths = bracket_depths(tokens)
        self.done: list[list[Token]] = []
        self.current: list[Token] = []
        self.tie: list[Token] = []  # the arrow of an equivalence before it
        self.asides: list[list[Token]] = []  # that stand beside lines of the statement at hand
        self.variables: list[Token] = []  # with a comma behind each, that may be drawn together
        self.ended = True  # did the last statement end with a comma or a full stop?

    def statements(self) -> list[list[Token]]:
        """The tokens of each statement."""
        for at, token in enumerate(self.tokens):
            self._take(at, token)
        self._close()
        return [bare for tokens in self.done if (bare := _bare(tokens))]

    def _take(self, at: int, token: Token) -> None:
        if self.depths[at]:
            self._take_inner(at, token)
            self.ended = False
        elif token.kind in SEPARATORS and not self._beside_dots(at):
            self._end(at, token)
        elif token.kind == "NEWLINE":
            if self._after(at) in GOING_ON:
                self._leave_asides()
            if not self._goes_on(at):
                self._close()
        elif token.kind == "QUAD":
            self._wide_space(at, token)
        else:
            if token.kind == "FORALL" or (self._closes_a_bracket() and _is_condition(self.tokens, at)):
                self._close()
            if token.kind == "SIM":
                self._begin_draw()
            self.current.append(token)
            self.ended = False

    def _take_inner(self, at: int, token: Token) -> None:
        """A token within brackets."""
        before, after = (self.tokens[at + i].kind for i in (-1, 1))
        if token.kind == "QUAD" and before not in ("COMMA", "SEMI") and (before, after) not in INDENTED:
            self._doubt("a wide space between two things: is it a product?", token)
        if token.kind == "STOP":
            self._doubt("a full stop inside brackets", token)
        elif token.kind not in SPACES:
            self.current.append(token)

    def _doubt(self, why: str, token: Token) -> None:
        """What is not understood here makes the statement around it one that is not read."""
        self.current.append(Token("UNREAD", NotUnderstood(why, token.place), token.place))

    # Ends

    def _end(self, at: int, token: Token) -> None:
        following = self.tokens[at + 1 : at + 2]
        if token.kind == "STOP" and following and following[0].kind not in SPACES:
            self._doubt("a full stop in the middle", token)
            return
        if token.kind == "COMMA" and _is_variable(self.current):
            self.variables += [*self.current, token]
            self.current = []
        tie = [token] if token.value in EQUIVALENT else []
        self.current += tie if self.current else []
        self._close()
        self.tie = tie
        self.ended = True

    def _close(self) -> None:
        """The statement at hand is complete; variables that wait for a law are drawn from it, each by itself."""
        if not self.current:
            return
        drawn = _drawn(self.current)
        if self.done and self.done[-1][0].kind == "FORALL":  # for all x, t
            self.variables = []
            self.done += [] if _is_variable(self.current) else [self.current]
        elif drawn:
            variable, law = drawn
            self.done += [[one, *law] for one in (*self.variables[::2], variable)]
        else:
            self.done.append([*self.tie, *self.variables, *self.current])
        self.done += self.asides
        self.asides = []
        self.tie = []
        self.variables = []
        self.current = []

    def _begin_draw(self) -> None:
        """What is equal to something and drawn from a law says both: x = a + b ∼ N(0, I)."""
        kinds = [token.kind for token in self.current]
        if kinds[:2] == ["SYMBOL", "REL"]:
            variable = self.current[0]
            self._close()
            self.current = [variable]

    def _leave_asides(self) -> None:
        """A line that goes on does so from the chain before it, not from what stands beside that."""
        if not self.current and self.done and _is_aside(self.done[-1]):
            self.current = self.done.pop()
        asides: list[list[Token]] = []
        while self.done and self.current and _is_aside(self.current):
            asides.insert(0, self.current)
            self.current = self.done.pop()
            self.ended = False
        self.asides += asides

    def _wide_space(self, at: int, token: Token) -> None:
        """A wide space stands between two statements, or it means nothing; between two factors it is not understood."""
        start = next((i for i in range(at + 1, len(self.tokens)) if self.tokens[i].kind != "QUAD"), len(self.tokens))
        behind = self._piece(start)
        if not self.current or not behind:
            return
        both = _says(self.current) and _says(behind)
        if self._goes_on(at):
            if both and behind[0].kind in ("PLUS", "MINUS") and self.tokens[at - 1].kind not in SPACES:
                self._doubt("a wide space before a sign: does a new statement begin with it?", token)
        elif both or behind[0].kind == "FORALL" or _is_condition(self.tokens, start):
            self._close()
        else:
            self._doubt("a wide space between two things: is it a product?", token)

    def _piece(self, start: int) -> list[Token]:
        """The tokens from a place to the next space or the next end of a statement."""
        ends = (i for i in range(start, len(self.tokens)) if not self.depths[i] and self._parts(i))
        return self.tokens[start : next(ends, len(self.tokens))]

    def _parts(self, at: int) -> bool:
        kind = self.tokens[at].kind
        return kind in SPACES or (kind in SEPARATORS and not self._beside_dots(at))

    # What stands beside

    def _after(self, at: int) -> str:
        """The kind of the next token that can be seen."""
        return next((token.kind for token in self.tokens[at + 1 :] if token.kind not in SPACES), "")

    def _closes_a_bracket(self) -> bool:
        return bool(self.current) and self.current[-1].kind in ("RP", "RB", "RC", "CLOSE", "RNORM")

    def _beside_dots(self, at: int) -> bool:
        """Whether a comma belongs to a range: dots before it, after it, or after the number that follows."""
        kinds = [token.kind for token in self.tokens[at + 1 : at + 4]]
        before = self.current[-1].kind if self.current else ""
        near = "DOTS" in (self._after(at), before) or kinds == ["NUMBER", "COMMA", "DOTS"]
        return self.tokens[at].kind == "COMMA" and near

    def _goes_on(self, at: int) -> bool:
        """Whether what follows belongs to what came before: a sign ends it, or begins what follows."""
        joined = bool(self.current) and self.current[-1].kind in (*OPERATORS, "REL", "SIM")
        return joined or (self._after(at) in GOING_ON and not self.ended)


def _says(tokens: list[Token]) -> bool:
    """Whether there is a relation in some tokens, outside all brackets."""
    depths = bracket_depths(tokens)
    return any(token.kind in SAYING and not depth for token, depth in zip(tokens, depths, strict=True))


def _is_aside(tokens: list[Token]) -> bool:
    """Whether a statement draws something, is about a step, or stands in brackets."""
    kinds = [token.kind for token in tokens]
    drawn = kinds[:2] == ["SYMBOL", "SIM"] or kinds[:4] == ["SYMBOL", "COMMA", "DOTS", "SIM"]
    steps = kinds[:2] == ["SYMBOL", "REL"] and tokens[0].value in STEPS
    return (
        drawn
        or steps
        or kinds[0] == "FORALL"
        or (_is_condition(tokens, 0) and matching_bracket(tokens, 0) == len(tokens) - 1)
    )


def _is_condition(tokens: list[Token], at: int) -> bool:
    """Does a condition in brackets stand here, as in (t > 1), and then nothing more of this statement?"""
    if tokens[at].kind != "LP":
        return False
    end = matching_bracket(tokens, at)
    following = tokens[end + 1].kind if end + 1 < len(tokens) else "NEWLINE"
    return _says(tokens[at + 1 : end]) and following in (*SPACES, *SEPARATORS)


def _is_variable(tokens: list[Token]) -> bool:
    return [token.kind for token in tokens] == ["SYMBOL"]


def _drawn(tokens: list[Token]) -> tuple[Token, list[Token]] | None:
    r"""What is drawn from a law of one variable, and the rest; the dots of $x, \dots \sim N(0, I)$ add nothing."""
    kinds = [token.kind for token in tokens]
    if "SIM" not in kinds:
        return None
    sign = kinds.index("SIM")
    listed = tokens[: sign - 2] if kinds[:sign][1:] == ["COMMA", "DOTS"] else tokens[:sign]
    law = tokens[sign + 1 : sign + 2]
    if not _is_variable(listed) or not _is_variable(law) or law[0].value.base not in LAWS:
        return None
    return listed[0], tokens[sign:]


def _is_space(tokens: list[Token]) -> bool:
    r"""Whether a variable is only said to be in a space, as in $x \in \mathbb{R}^d$."""
    kinds = [token.kind for token in tokens]
    named = tokens[0].value == r"\in" and tokens[1].value.base in WHOLE
    return named and kinds[2:] in ([], ["POWER", "OPEN", "SYMBOL", "CLOSE"], ["POWER", "OPEN", "NUMBER", "CLOSE"])


def _bare(tokens: list[Token]) -> list[Token]:
    """A statement without brackets around it, or the sign "for all" before it; "for all x" says nothing more."""
    if tokens[0].kind == "FORALL":
        tokens = tokens[1:]
        return [] if _is_variable(tokens) else tokens
    if [token.kind for token in tokens[:3]] == ["SYMBOL", "REL", "SYMBOL"] and _is_space(tokens[1:]):
        return []
    if not _is_condition(tokens, 0) or matching_bracket(tokens, 0) < len(tokens) - 1:
        return tokens
    return tokens[1 + is_worded(tokens[1]) : -1]


def is_worded(token: Token) -> bool:
    """Whether a token is some words that are no name of anything known."""
    return token.kind == "SYMBOL" and token.value.base.startswith("text ")
