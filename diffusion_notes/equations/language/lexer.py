r"""The lexer: from LaTeX to tokens. Spacing is dropped, a letter and what hangs on it become one token.

What is invisible in print is invisible here: a pair of braces groups nothing, and neither does an underbrace, a colour
or bold type. What is not known is not skipped: an `UNREAD` token with the reason stands in its place, so that the rest
can still be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from diffusion_notes.equations.language.brackets import bracketed
from diffusion_notes.equations.language.characters import in_latex
from diffusion_notes.equations.language.layout import laid_out, says_nothing
from diffusion_notes.equations.language.pieces import (
    ACCENTS,
    ALPHABETS,
    BRACKETS,
    DECLARED,
    DIGITS,
    DROPPED_ARGUMENTS,
    LETTERS,
    LOOKS,
    NAMED_SIGNS,
    ORNAMENTS,
    PLAIN_ALPHABETS,
    RELATIONS,
    SHOWING,
    SIGNS,
    TEXTS,
    UPRIGHT,
    WIDE,
)
from diffusion_notes.equations.language.scanner import Scanner
from diffusion_notes.equations.language.scripts import read_index, with_index, word_of
from diffusion_notes.equations.language.spellings import canonical
from diffusion_notes.equations.language.structure import (
    TOO_DEEP,
    check_braces,
    check_environments,
    doubt_columns,
    partners,
)
from diffusion_notes.equations.language.syntax_tree import NotUnderstood, Place, Symbol
from diffusion_notes.equations.language.tokens import MOST, Named, Token

__all__ = ["MOST", "Named", "Token", "tokenise"]

_STYLES = r"(?:\s|\\[,;:! ]|\\(?:mathbf|boldsymbol|bm|pmb|vec|mathrm|bf|rm)(?![a-zA-Z])|\{)*"
FOLLOWING = re.compile(
    rf"{_STYLES}(?:[xyzutswhWB](?![a-zA-Z(])|\\(?:var)?epsilon|\\(?:kappa|lambda|tau|mu)(?![a-zA-Z])"
    r"|\\bar(?:\s|\{|\\(?:mathbf|boldsymbol|bm)(?![a-zA-Z]))*[wWB](?![a-zA-Z]))"
)
"""What makes a d before it a differential."""

BRACKET = re.compile(r"\s*(?:\\left|\\[bB]igg?l?)?\s*(?:[(\[]|\\\{|\\lbrack|\\lbrace)")
"""A bracket that opens."""

ENERGY = re.compile(r"\s*_\s*\{?\s*(?:\\(?:boldsymbol|bm|mathbf)\s*\{?\s*)?\\(?:theta|phi|psi)\s*\}*\s*(?:\\left)?\(")
"""What makes an E before it an energy, a function of its own."""

COUNTED = re.compile(r"\s*(?:\^\s*(?:\w|\{[^{}]*\})\s*)?_\s*\{[^{}]*[=<>]")
"""What makes a Π or a Σ before it a product or a sum: a letter that counts."""


@dataclass
class _Shared:
    """What the lexers of a display and of its parts know together.

    Args:
        partners: For each bracket that grows, by where it stands, the bracket that is its partner.
        named: The places of what the braces name.
        tag: The tag.
    """

    partners: dict[int, str]
    named: list[Named] = field(default_factory=list)
    tag: str = ""


class _Lexer:
    """Makes tokens of a stretch of LaTeX.

    Args:
        latex: The LaTeX, up to the end of the stretch.
        at: Where the stretch begins.
        shared: What is known of the whole display.
    """

    def __init__(self, latex: str, at: int, shared: _Shared) -> None:
        self.scanner = Scanner(latex, at)
        self.shared = shared

    def tokens(self) -> list[Token]:
        """All tokens of the stretch."""
        found: list[Token] = []
        while piece := self.scanner.peek():
            start = self.scanner.at
            self.scanner.take()
            try:
                if piece == r"\over":
                    return self._divided(found, start)
                found += self.piece(piece, start)
            except NotUnderstood as why:
                found.append(self._unread(why, start))
        return found

    def piece(self, piece: str, start: int) -> list[Token]:
        """The tokens of a piece and of its arguments; it began at `start` and has been passed."""
        if piece in _COMMANDS:
            return _COMMANDS[piece](self, piece, start)
        if piece in UPRIGHT:  # a word of which its author forgot to say that it is one
            return self._word(piece, start)
        if piece in RELATIONS:
            return [self._relation(Token("REL", RELATIONS[piece], (start, self.scanner.at)), start)]
        if piece in LETTERS or (len(piece) == 1 and piece.isalpha()):
            return self._letter(piece, start)
        if piece[0].isdigit() or (piece[0] == "." and piece[1:].isdigit()):
            return [self._token("NUMBER", start, piece if piece[0] != "." else f"0{piece}")]
        if piece in ORNAMENTS:
            return [self._token("TEXT", start, "()")]
        if piece in NAMED_SIGNS:
            return [self._token("SYMBOL", start, Symbol(NAMED_SIGNS[piece]))]
        if piece.startswith("\\\\"):  # a new line, with the distance to it
            return [self._token("NEWLINE", start)]
        if piece in SIGNS:
            return [self._token(SIGNS[piece], start, piece if piece == r"\cdot" or SIGNS[piece] == "IMPLIES" else None)]
        why = self.scanner.misplaced(piece, start)
        raise self.scanner.fail(why or f"{piece!r} is not in this book's notation", start)

    def _unread(self, why: NotUnderstood, start: int) -> Token:
        """What stands in the place of what was not understood; it is passed, with the arguments of a command."""
        self.scanner.pass_command(start)
        place = (start, self.scanner.at)
        return Token("UNREAD", NotUnderstood(why.why, why.place or place), place)

    def _token(self, kind: str, start: int, value: object = None) -> Token:
        return Token(kind, value, (start, self.scanner.at))

    def _inside(self, place: Place) -> list[Token]:
        """The tokens of a place that has been passed."""
        return _Lexer(self.scanner.latex[: place[1]], place[0], self.shared).tokens()

    def _group(self) -> list[Token]:
        """The argument that comes, between a mark where it opens and one where it closes."""
        start = self.scanner.at
        inner = self._inside(self.scanner.argument())
        return _grouped(inner, (start, self.scanner.at))

    # Commands that change only the looks

    def _shown(self, place: Place, start: int) -> list[Token]:
        """What stands in a place, as if nothing were around it: what follows one letter hangs on that letter."""
        text = self.scanner.text(place).strip()
        if text in UPRIGHT:
            return self._word(text, start)
        inner = self._inside(place)
        if [token.kind for token in inner] == ["E"]:
            return self._expectation(start)
        if len(inner) != 1 or inner[0].kind != "SYMBOL":
            return inner
        if inner[0].value == Symbol("d"):
            return self._letter("d", start)
        return self._scripted(inner[0].value, start)

    def _showing(self, piece: str, start: int) -> list[Token]:
        self.scanner.optional()
        for _ in range(SHOWING[piece]):
            self.scanner.argument()
        place = self.scanner.argument()
        if self.scanner.text(place).strip() == "1" and self.scanner.comes(BRACKET) and piece != r"\mathop":
            return [self._token("INDICATOR", start)]
        shown = self._shown(place, start)
        if piece == r"\substack":  # the rows below a sum or an expectation
            return [replace(token, kind="COMMA") if token.kind == "NEWLINE" else token for token in shown]
        return shown

    def _brace(self, piece: str, start: int) -> list[Token]:
        """A pair of braces, which is invisible in print."""
        self.scanner.at = start
        return self._shown(self.scanner.argument(), start)

    def _declared(self, piece: str, start: int) -> list[Token]:
        """What changes the looks of all that follows in its group."""
        command = DECLARED[piece]
        alone = command in ALPHABETS or self.scanner.peek() == "{"  # as in \cal{N}, which is meant for one letter
        place = self.scanner.argument() if alone else self.scanner.rest()
        if command in ALPHABETS:
            return self._in_alphabet(command, place, start)
        return self._of_text(place, start) if command in TEXTS else self._shown(place, start)

    def _coloured(self, piece: str, start: int) -> list[Token]:
        self.scanner.optional()
        self.scanner.argument()
        return []

    def _dropped(self, piece: str, start: int) -> list[Token]:
        self.scanner.optional()
        for _ in range(DROPPED_ARGUMENTS[piece]):
            self.scanner.argument()
        return []

    def _wide(self, piece: str, start: int) -> list[Token]:
        """A space: a wide one may part two statements, a narrow one is spacing."""
        width = self.scanner.text(self.scanner.argument())
        narrow = re.fullmatch(r"\s*(?:-.*|0?\.\d+\s*(?:em|ex|cm|in)|[\d.]+\s*(?:mu|mm|ex)|\d(?:\.\d+)?\s*pt)\s*", width)
        return [] if narrow and "hspace" in piece else [self._token("QUAD", start)]

    def _referred(self, piece: str, start: int) -> list[Token]:
        """A reference to another equation or to a source, which is part of a remark."""
        self.scanner.optional()
        self.scanner.argument()
        return [self._token("TEXT", start, "()")]

    def _tagged(self, piece: str, start: int) -> list[Token]:
        self.shared.tag = self.scanner.text(self.scanner.argument())
        return []

    def _named_brace(self, piece: str, start: int) -> list[Token]:
        place = self.scanner.argument()
        inner = self._inside(place)
        while self.scanner.peek() in ("_", "^"):
            self.scanner.take()
            name = self.scanner.argument()
            if [token.kind for token in inner] != ["REL"]:
                self._name(name, place)
        return inner

    def _name(self, name: Place, what: Place) -> None:
        """Write down what a brace names, unless its name is a remark."""
        inner = self._inside(name)
        is_prose = inner[:1] and inner[0].kind == "TEXT" and not any(token.kind == "REL" for token in inner)
        if not is_prose and not all(_is_remark(token) for token in laid_out(inner)):
            self.shared.named.append((name, what))

    def _environment(self, piece: str, start: int) -> list[Token]:
        """An environment that does more than arrange: all of it is passed."""
        name = self.scanner.text(self.scanner.argument())
        depth = 1
        for found in re.finditer(r"\\(begin|end)\s*\{[^}]*\}", self.scanner.latex[self.scanner.at :]):
            depth += 1 if found[1] == "begin" else -1
            if not depth:
                self.scanner.at += found.end()
                break
        raise self.scanner.fail(f"the environment {name} is not read", start)

    # Brackets

    def _growing(self, piece: str, start: int) -> list[Token]:
        r"""A bracket that grows, as after `\left` and `\bigl`; of bars it tells which side they are on."""
        bracket = self.scanner.take()
        if bracket not in BRACKETS:
            if piece.startswith((r"\big", r"\Big")):  # as in \bigl/
                return self.piece(bracket, start)
            raise self.scanner.fail(f"{piece} stands before a bracket", start)
        kind = BRACKETS[bracket]
        partner = self.shared.partners.get(start)
        if bracket == r"\{" and partner == "." and re.match(r"\s*\\begin", self.scanner.latex[self.scanner.at :]):
            end = re.search(r"\\right\s*\.", self.scanner.latex[self.scanner.at :])
            self.scanner.at += end.end() if end else 0
            raise self.scanner.fail("cases are not read", start)
        sided = {"MID": "ABS", "BARS": "NORM"}.get(kind)
        if sided and (partner is None or BRACKETS.get(partner) == kind):
            opens = piece == r"\left" or piece.endswith("l")
            kind = f"{'L' if opens else 'R'}{sided}"
        return [self._token(kind, start)] if kind else []

    def _between_bars(self, piece: str, start: int) -> list[Token]:
        """A norm or an absolute value whose bars are a command."""
        kind = "NORM" if piece.startswith(r"\norm") else "ABS"
        inner = self._inside(self.scanner.argument())
        end = self.scanner.at
        return [Token(f"L{kind}", None, (start, start)), *inner, Token(f"R{kind}", None, (end, end))]

    # Commands that build

    def _fraction(self, piece: str, start: int) -> list[Token]:
        return [self._token("FRAC", start), *self._group(), *self._group()]

    def _divided(self, above: list[Token], start: int) -> list[Token]:
        r"""A fraction as $a \over b$: all that stands before it in its group, over all that follows."""
        place = self.scanner.rest()
        below = self._inside(place)
        first = (above[0].place[0], start) if above else (start, start)
        return [Token("FRAC", None, (start, place[0])), *_grouped(above, first), *_grouped(below, place)]

    def _root(self, piece: str, start: int) -> list[Token]:
        degree = self.scanner.optional()
        if degree is not None and degree.strip() != "2":
            raise self.scanner.fail("roots other than the square root are not in this book", start)
        braced = self.scanner.peek() == "{"
        argument = self.scanner.argument()
        if not braced and self.scanner.peek() == "_":
            self.scanner.take()  # as in \sqrt\alpha_t, where the index is printed behind the root
            self.scanner.argument()
            argument = (argument[0], self.scanner.at)
            if self.scanner.peek() == "^":
                raise self.scanner.fail("is it the power of the root, or of what is under it? Put braces", start)
        return [self._token("SQRT", start), *_grouped(self._inside(argument), argument)]

    def _exponential(self, piece: str, start: int) -> list[Token]:
        r"""An exponential; where braces alone hold what it is of, as in `\exp{-x}`, they are its brackets."""
        sign = self._token("EXP", start)
        if self.scanner.peek() != "{":
            return [sign]
        place = self.scanner.argument()
        inner = self._inside(place)
        if inner and inner[0].kind in ("LP", "LB", "LC"):
            return [sign, *inner]
        return [sign, Token("LP", None, (place[0], place[0])), *inner, Token("RP", None, (place[1], place[1]))]

    def _script(self, piece: str, start: int) -> list[Token]:
        return [self._token("POWER" if piece in ("^", "**") else "BELOW", start), *self._group()]

    def _optimum(self, piece: str, start: int) -> list[Token]:
        sign = self.scanner.take() if piece == r"\arg" and self.scanner.peek() in (r"\min", r"\max") else piece[4:]
        if not piece.startswith(r"\arg") or sign.lstrip("\\") not in ("min", "max"):
            raise self.scanner.fail("an optimum is not looked for", start)
        return [self._token("ARG" + sign.lstrip("\\").upper(), start)]

    def _double_integral(self, piece: str, start: int) -> list[Token]:
        return [self._token("INT", start)] * 2

    def _under(self, piece: str, start: int) -> list[Token]:
        r"""What stands under an operator, as the laws under $\underset{q}{\mathbb{E}}$, or is a name under a brace."""
        place = self.scanner.argument()
        base = self.scanner.argument()
        if self.scanner.text(base).strip().startswith((r"\underbrace", r"\underline")):
            inner = self._inside(base)
            self._name(place, base)
            return inner
        return self._with_limit("BELOW", place, base, start)

    def _over(self, piece: str, start: int) -> list[Token]:
        place = self.scanner.argument()
        return self._with_limit("POWER", place, self.scanner.argument(), start)

    def _with_limit(self, script: str, place: Place, base: Place, start: int) -> list[Token]:
        """An operator with a limit; a relation with a remark."""
        on = self._inside(base)
        kinds = {token.kind for token in on}
        if on and on[0].kind in ("E", "SUM", "PROD", "INT", "LIM", "ARGMIN", "ARGMAX"):
            return [*on, self._token(script, start), *_grouped(self._inside(place), place)]
        if kinds == {"REL"} or kinds == {"SIM"} or kinds == {"IMPLIES"}:
            return [self._remarked(on[0], place, start)]
        raise self.scanner.fail("something over or under what is neither an operator nor a relation", start)

    def _relation(self, relation: Token, start: int) -> Token:
        """A relation, and what may hang on it: a remark, as in $=^{(a)}$."""
        while self.scanner.peek() in ("^", "_"):
            self.scanner.take()
            relation = self._remarked(relation, self.scanner.argument(), start)
        return relation

    def _remarked(self, relation: Token, place: Place, start: int) -> Token:
        """A relation with something over it: that it defines, or where it comes from."""
        text = self.scanner.text(place)
        here = (start, self.scanner.at)
        if relation.value == "=" and DEFINES.fullmatch(text):
            return replace(relation, value=":=", place=here)
        if says_nothing(text) or (relation.kind == "SIM" and INDEPENDENT.fullmatch(text)):
            return replace(relation, place=here)
        raise NotUnderstood("what stands over the sign may change what it says", here)

    def _long_equality(self, piece: str, start: int) -> list[Token]:
        under = self.scanner.optional()
        relation = Token("REL", "=", (start, self.scanner.at))
        if under is not None and not says_nothing(under):
            raise self.scanner.fail("what stands under the sign may change what it says", start)
        return [self._remarked(relation, self.scanner.argument(), start)]

    # Words

    def _upright(self, piece: str, start: int) -> list[Token]:
        place = self.scanner.argument()
        if "intertext" not in piece:
            return self._of_text(place, start)
        words = self.scanner.text(place)
        line = self._token("NEWLINE", start)
        return [line, self._token("TEXT", start, f"({words})"), line]

    def _of_text(self, place: Place, start: int) -> list[Token]:
        """Upright letters: a function, a label, a remark, or one letter that only looks different."""
        text = self._plain(place)
        bare = " ".join(text.split())
        if re.fullmatch(r"(?:[A-Za-z] )+[A-Za-z]", bare):  # as some converters set words
            bare = bare.replace(" ", "")
        if not bare:
            return []
        if bare in UPRIGHT:
            return self._word(bare, start)
        if "$" in bare:
            return self._mixed(place, start)
        if len(bare) == 1 and bare.isalpha():
            return self._letter(bare, start)
        if bare in (",", ".", ";"):
            return [self._token(SIGNS[bare], start)]
        if CONSTANT.fullmatch(bare) and (found := THETA.match(self.scanner.latex, self.scanner.at)):
            self.scanner.at = found.end()
            return [self._token("CONST", start)]
        if _is_formula(bare):
            return self._shown(place, start)
        if self.scanner.peek() in ("_", "^") and bare.isalpha():
            return self._scripted(Symbol(f"text {bare}"), start)
        return [self._token("TEXT", start, text)]

    def _plain(self, place: Place) -> str:
        """The words of a place without what only sets them."""
        text = re.sub(r"\\[,;:! ]|~", " ", self.scanner.text(place))
        if re.search(r"[$_^]", text):
            return text
        return re.sub(r"[{}]", "", LOOKS.sub("", text))

    def _mixed(self, place: Place, start: int) -> list[Token]:
        """Words with formulas between dollars."""
        found: list[Token] = []
        for part in re.finditer(r"\$([^$]*)\$|[^$]+", self.scanner.text(place)):
            here = (place[0] + part.start(), place[0] + part.end())
            if part[1] is not None:
                found += self._inside((here[0] + 1, here[1] - 1))
            elif part.group().strip():
                found.append(Token("TEXT", part.group(), here))
        is_statement = found[0].kind == "LP" and any(token.kind == "REL" for token in found)
        if is_statement or (found[0].kind == "TEXT" and re.match(r"\s*[(\[]", found[0].value)):
            return [self._token("TEXT", start, self.scanner.text(place))]
        return found

    def _word(self, word: str, start: int) -> list[Token]:
        kind, base = UPRIGHT[word]
        return self._scripted(Symbol(base), start) if kind == "SYMBOL" else [self._token(kind, start)]

    # Letters, and what hangs on them

    def _styled(self, piece: str, start: int) -> list[Token]:
        return self._in_alphabet(piece, self.scanner.argument(), start)

    def _in_alphabet(self, piece: str, place: Place, start: int) -> list[Token]:
        """A letter of another alphabet, which is another letter."""
        text = self.scanner.text(place).strip()
        if text in UPRIGHT:
            return self._word(text, start)
        if text == "1" and piece in DIGITS:
            return [self._token("INDICATOR", start)]
        if len(text) != 1 or not text.isalpha():
            return self._each_in_alphabet(piece, place, start)
        if text == "V" and piece in DIGITS:
            return [self._token("VAR", start)]
        if text in PLAIN_ALPHABETS and text != "V":
            return self._scripted(Symbol(text), start)
        return self._scripted(Symbol(f"{ALPHABETS[piece]}{text}"), start)

    def _each_in_alphabet(self, piece: str, place: Place, start: int) -> list[Token]:
        r"""A letter with scripts, as in $\mathcal{L_t}$, or one that is presented further."""
        found = self._inside(place)
        if len(found) != 1 or found[0].kind != "SYMBOL" or len(found[0].value.base) != 1:
            raise self.scanner.fail(f"{piece}{{{self.scanner.text(place)}}} is not in this book's notation", start)
        letter: Symbol = found[0].value
        base = PLAIN_ALPHABETS.get(letter.base, f"{ALPHABETS[piece]}{letter.base}")
        return self._scripted(replace(letter, base=base), start)

    def _accented(self, piece: str, start: int) -> list[Token]:
        found = self._inside(self.scanner.argument())
        for token in found:
            if token.kind == "UNREAD":
                raise token.value
        if len(found) != 1 or found[0].kind != "SYMBOL" or found[0].value.accent:
            raise self.scanner.fail("an accent belongs on one letter", start)
        return self._scripted(replace(found[0].value, accent=ACCENTS[piece]), start)

    def _letter(self, piece: str, start: int) -> list[Token]:
        scanner = self.scanner
        name = LETTERS.get(piece, piece)
        if not name.isalpha() or not name.isascii():
            raise scanner.fail(f"{piece!r} is not a letter", start)
        if name == "d" and scanner.comes(FOLLOWING):
            piece = scanner.peek()
            begin = scanner.at
            over, *more = self.piece(scanner.take(), begin)
            if more or over.kind != "SYMBOL":
                raise scanner.fail("something on a differential: put brackets", start)
            noise = replace(over.value, base="w") if over.value.base in ("W", "B") else over.value
            return [self._token("DIFFERENTIAL", start, noise)]
        if name == "K" and scanner.comes(re.compile(rf"\s*L{BRACKET.pattern}")):
            scanner.take()
            return [self._token("KL", start)]
        if name in ("Pi", "Sigma") and scanner.comes(COUNTED):
            return [self._token({"Pi": "PROD", "Sigma": "SUM"}[name], start)]
        return self._scripted(Symbol(name), start)

    def _scripted(self, letter: Symbol, start: int) -> list[Token]:
        """A letter, then what stands below it and above it, in any order."""
        scanner = self.scanner
        if letter == Symbol("bbE") or (letter == Symbol("E") and not scanner.comes(ENERGY)):
            return self._expectation(start)
        if letter == Symbol("calN"):  # what stands below it is its variable
            return [self._token("SYMBOL", start, letter)]
        power: list[Token] = []
        scripts: set[str] = set()
        while (sign := scanner.peek()) in ("_", "^", "'", r"\_"):
            sign = sign[-1]
            if sign in scripts:
                raise scanner.fail("two indices in the same place", start)
            scripts.add(sign)
            scanner.take()
            if sign == "'":
                letter = self._marked(letter, "prime", start)
            elif sign == "_":
                letter = self._with_index(letter, start)
            else:
                letter, power = self._with_upper(letter, start)
        return self._finished(letter, power, start)

    def _with_index(self, letter: Symbol, start: int) -> Symbol:
        """A letter with what comes below it: a name, or what counts."""
        place = self.scanner.argument()
        return with_index(letter, self._inside(place), (start, self.scanner.at), self.scanner.text(place))

    def _with_upper(self, letter: Symbol, start: int) -> tuple[Symbol, list[Token]]:
        """A letter with what comes above it: the number of a copy, a mark, a name, or a power."""
        place = self.scanner.argument()
        text = self.scanner.text(place)
        bare = re.sub(r"[\s{}]", "", text)
        if mark := MARKS.get(bare):
            return self._marked(letter, mark, start), []
        tokens = self._inside(place)
        if bare in TRANSPOSED:
            return letter, [Token("POWER", None, place), *_grouped([Token("TOP", None, place)], place)]
        if (word := word_of(text)) and not letter.label:
            return replace(letter, label=word), []
        if self._numbers_a_copy(letter, bare):
            return replace(letter, copy=read_index(tokens, place, text)), []
        return letter, [Token("POWER", None, place), *_grouped(tokens, place)]

    def _numbers_a_copy(self, letter: Symbol, text: str) -> bool:
        """Whether what stands above a letter numbers a sample, as in $z^k$, and is no power."""
        if re.fullmatch(r"\([a-zA-Z0-9]\)", text):
            return True
        if letter.base not in ("z", "x") or text == "T":
            return False
        squared = text == "2" and (letter.index is not None or not FIRST_COPY.search(self.scanner.latex))
        return not squared

    def _marked(self, letter: Symbol, mark: str, start: int) -> Symbol:
        if letter.accent:
            raise self.scanner.fail("two accents on one letter", start)
        return replace(letter, accent=mark)

    def _finished(self, letter: Symbol, power: list[Token], start: int) -> list[Token]:
        """The token of a letter with its scripts, and those of its power."""
        if letter.base in ("D", "calD", "bbD", "frakD", "d") and letter.label == "kl":
            if power or letter.accent:
                raise self.scanner.fail("something on the divergence: put brackets round it", start)
            return [self._token("KL", start)]
        return [self._token("SYMBOL", start, canonical(letter)), *power]

    def _expectation(self, start: int) -> list[Token]:
        """An expectation, with its laws if they come."""
        found = [self._token("E", start)]
        sign = self.scanner.peek()
        if sign in ("_", r"\_"):
            self.scanner.take()
            laws = self._group()
            found += [self._token("BELOW", start), *laws] if laws[1:-1] else []
            sign = self.scanner.peek()
        if sign in ("^", "'"):
            raise self.scanner.fail("is it the expectation of a power, or the power of an expectation?", start)
        return found


MARKS = {
    **dict.fromkeys(("*", r"\*", r"\ast", r"\star"), "star"), r"\dagger": "dagger", r"\prime": "prime", "'": "prime",
}  # fmt: skip
"""What stands above a letter and makes another letter of it."""

TRANSPOSED = (
    "T",
    r"\top",
    r"\intercal",
    r"\mathsfT",
    r"\mathrmT",
    r"\textT",
    r"\mathbfT",
    r"\rmT",
    r"\sfT",
    r"\mathtopT",
)
"""What stands above a letter and turns it over, without braces and spaces."""

FIRST_COPY = re.compile(r"[xz]\}*\s*\^\s*\{?\s*1\b(?!\s*/)")
"""Where samples are numbered, there is a first."""

DEFINES = re.compile(
    r"\s*(?:\\(?:text|mathrm|textrm|operatorname|rm|tiny|scriptsize|small|mathsf|mbox|textup|textnormal|textit|mathit)"
    r"\s*|\{|\s)*(?:def\.?|defn\.?|definition|by definition|\\(?:triangle|Delta|vartriangle)|∆|△)[}\s]*"
)
"""What stands over a sign of equality that defines."""

CONSTANT = re.compile(r"const\w*\.?\s+(?:w\.?\s?r\.?\s?t\.?|with respect to|in|independent of)", re.IGNORECASE)
THETA = re.compile(r"\s*(?:\\(?:boldsymbol|bm|mathbf)\s*)?\{?\s*\\theta(?![a-zA-Z])\s*\}?")
"""What calls a constant one that does not depend on the parameters θ."""

INDEPENDENT = re.compile(r"\W*(?:text|mathrm|textrm|rm)?\W*i\.?\s*i\.?\s*d\.?\W*")
"""What stands over a sign that draws more than one value."""

_Command = Callable[[_Lexer, str, int], list[Token]]

_COMMANDS: dict[str, _Command] = {
    **dict.fromkeys(SHOWING, _Lexer._showing),
    **dict.fromkeys(TEXTS, _Lexer._upright),
    **dict.fromkeys(DECLARED, _Lexer._declared),
    **dict.fromkeys(DROPPED_ARGUMENTS, _Lexer._dropped),
    **dict.fromkeys(WIDE, _Lexer._wide),
    **dict.fromkeys(ALPHABETS, _Lexer._styled),
    **dict.fromkeys(ACCENTS, _Lexer._accented),
    **dict.fromkeys((r"\underbrace", r"\overbrace", r"\underbracket", r"\overbracket"), _Lexer._named_brace),
    **dict.fromkeys((r"\frac", r"\tfrac", r"\dfrac", r"\cfrac", r"\nicefrac", r"\sfrac"), _Lexer._fraction),
    **dict.fromkeys(
        (r"\left", r"\right", *(f"\\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in "lr")),
        _Lexer._growing,
    ),
    **dict.fromkeys((r"\norm", r"\norm*", r"\abs", r"\abs*"), _Lexer._between_bars),
    **dict.fromkeys(("^", "_", r"\_"), _Lexer._script),
    **dict.fromkeys((r"\ref", r"\eqref", r"\cite", r"\citep", r"\citet", r"\autoref", r"\cref"), _Lexer._referred),
    **dict.fromkeys((r"\tag", r"\tag*"), _Lexer._tagged),
    **dict.fromkeys((r"\overset", r"\stackrel"), _Lexer._over),
    r"\underset": _Lexer._under,
    r"\xlongequal": _Lexer._long_equality,
    r"\color": _Lexer._coloured,
    r"\begin": _Lexer._environment,
    "{": _Lexer._brace,
    r"\sqrt": _Lexer._root,
    r"\exp": _Lexer._exponential,
    **dict.fromkeys((r"\arg", r"\max", r"\min", r"\argmin", r"\argmax", r"\sup", r"\inf"), _Lexer._optimum),
    r"\iint": _Lexer._double_integral,
}
"""The commands that take arguments, and what makes tokens of them."""


def _is_formula(text: str) -> bool:
    """Whether upright letters are a formula that is set upright, and no words."""
    has_letters = re.search(r"[^\W\d_]|[^\x00-\x7f]", text) or re.match(r"[(\[*]", text)
    commands = re.search(r"[\\_^{}]", text) and not re.match(r"\\(?:ref|eqref|cite)", text)
    return bool(commands) or not has_letters


def _is_remark(token: Token) -> bool:
    """Whether a token of what stands under a brace is one of its words."""
    is_word = token.kind == "SYMBOL" and token.value.base.startswith("text ")
    return is_word or token.kind in ("KL", "NEWLINE", "QUAD", "COMMA")


def _grouped(tokens: list[Token], place: Place) -> list[Token]:
    """Tokens between a mark where they open and one where they close."""
    start, end = place
    return [Token("OPEN", "{", (start, start)), *tokens, Token("CLOSE", "}", (end, end))]


def tokenise(latex: str) -> tuple[list[Token], str, list[Named]]:
    """The tokens of a formula, its tag, and what its braces name.

    Args:
        latex: A displayed equation without its dollars.

    Returns:
        The tokens, the tag, and for each brace the places of its name and of what it names. What is not in the book's
        notation is a token `UNREAD`, whose value says why.

    Raises:
        NotUnderstood: If braces or environments do not come in pairs: nothing can be told apart then.
    """
    spelt = in_latex(latex)
    try:
        shared = _Shared(partners(spelt.latex))
        check_environments(spelt.latex)
        check_braces(spelt.latex)
        found = _Lexer(spelt.latex, 0, shared).tokens()
    except NotUnderstood as why:
        raise spelt.doubt(why) from None
    except RecursionError:
        raise NotUnderstood(TOO_DEEP) from None
    tokens = bracketed(laid_out(doubt_columns(found, spelt.latex)))
    named = [(spelt.place(name), spelt.place(what)) for name, what in shared.named]
    return [spelt.token(token) for token in tokens], shared.tag, named
