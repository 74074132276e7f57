"""The displays of Markdown, in the dialects that authors use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.rules_inline import StateInline, backtick
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin

from diffusion_notes.equations.language.macros import definitions
from diffusion_notes.equations.sources.delimiters import OPENS, delimited
from diffusion_notes.equations.sources.equation import Piece

__all__ = ["front_matter", "pieces"]

FRONT = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.S)
ANCHOR = re.compile(r'<a id="(eq-[^"]+)"></a>\s*$')
AFTER = re.compile(r"[ \t]*(?:\([^()\n]*\)|\{#[^{}\n]*\}|[.,;])?[ \t]*(?:\n|$)")
"""What may follow a display on its last line: its label, or the sign that ends the sentence."""
DIRECTIVE = re.compile(r"\s*\{([^{}]*)\}[ \t]*(.*)", re.S)
CODE = re.compile(r"(?:code|literalinclude|sourcecode|raw|mermaid|graphviz|r$|python|julia|bash|js|ojs|sql)", re.I)
"""Directives that hold code."""
OPTIONS = re.compile(r"\s*---\n.*?\n---[ \t]*(?:\n|$)|(?:\s*:[\w-]+:[^\n]*(?:\n|$))+", re.S)
HIDING = re.compile(r"<!--|<(?:pre|script|style|textarea)\b", re.I)
HIDDEN = re.compile(r"<!--.*?(?:-->|$)|<(pre|script|style|textarea)\b.*?(?:</\1\s*>|$)", re.S | re.I)
IN_LINE = re.compile(r"\$(?![\s$])((?:\\.|[^$\\])+?)(?<!\s)\$(?!\$)|\\\((.+?)\\\)", re.S)
DEFINES = re.compile(r"\\(?:(?:re)?new|provide)command|\\def(?![a-z])|\\Declare(?:MathOp|Paired)")
SAYS = re.compile(r"[\\^_=<>]")
BLANK_LINES = re.compile(r"\n[ \t]*\n")
IN_RST = re.compile(r"^([ \t]*)\.\. math::[ \t]*([^\n]*\n(?:\1[ \t]+[^\n]*\n|[ \t]*\n)*)", re.M)

DEEPEST = 60  # quotations and lists within one another
UNCLOSED = "a display begins here that nothing ends"
IN_CODE = "this stands between backticks, as code does: is it a display?"
TOO_DEEP = "there are displays here, in too many quotations and lists to follow"
OPEN_FENCE = "code begins here that nothing ends, and there are displays in it"


def front_matter(text: str) -> dict[str, Any]:
    """What a page says about itself before it begins; nothing, if that cannot be read."""
    found = FRONT.match(text)
    try:
        said = yaml.safe_load(found[1]) if found else None
    except (yaml.YAMLError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {}


def pieces(text: str) -> Iterator[Piece]:
    """All mathematics of a text, in order.

    Args:
        text: Markdown.
    """
    front = FRONT.match(text)
    begin = front.end() if front else 0
    return _pieces(text[begin:], text.count("\n", 0, begin))


def _pieces(text: str, above: int) -> Iterator[Piece]:
    """The mathematics of a text that has so many lines above it."""
    lines = text.split("\n")
    for token in _markdown().parse(text):
        first = token.map[0] if token.map else 0
        if token.type == "display":
            anchor = ANCHOR.search("\n".join(lines[max(0, first - 3) : first]))
            yield _display(token.content, above + first, anchor)
        elif token.type == "inline":
            yield from _running(token, above + first)
        elif token.type == "html_block":
            shown = HIDDEN.sub(lambda hidden: "\n" * hidden.group().count("\n"), token.content)
            yield from _running(_markdown().parseInline(shown)[0], above + first)
        elif token.type == "deep":
            yield Piece("display", token.content, above + first + 1, trouble=TOO_DEEP)
        elif token.type in ("fence", "colon_fence"):
            yield from _fenced(token, above + first)


def _display(latex: str, above: int, anchor: re.Match[str] | None = None) -> Piece:
    """A display without the space around it."""
    space = latex[: len(latex) - len(latex.lstrip())]
    return Piece("display", latex.strip(), above + space.count("\n") + 1, anchor[1] if anchor else "")


def _running(inline: Token, above: int) -> Iterator[Piece]:
    """The mathematics in the run of a paragraph."""
    text = inline.content
    for token in inline.children or []:
        at = token.meta.get("at", 0)
        line = above + text.count("\n", 0, at)
        if token.type == "display":
            begin = line + text.count("\n", at, text.find(token.content, at))
            yield _display(token.content, begin, ANCHOR.search(text, 0, at))
        elif token.type == "formula":
            yield Piece("formula", token.content, line + 1)
        elif token.type == "unclosed":
            yield Piece("display", token.content, line + 1, trouble=UNCLOSED)
        elif token.type == "code_inline" and _holds_more_than_a_display(token.content):
            yield Piece("display", token.content, line + 1, trouble=IN_CODE)


def _holds_more_than_a_display(code: str) -> bool:
    """Whether there is a display in code, and something beside it, as where backticks are lost."""
    found = next(filter(None, (delimited(code, opens.start()) for opens in OPENS.finditer(code))), None)
    return found is not None and bool(code[: found.begin].strip() or code[found.end :].strip())


def _fenced(token: Token, above: int) -> Iterator[Piece]:
    """The mathematics between the lines of a fence."""
    directive = DIRECTIVE.fullmatch(token.info)
    if token.info.strip() == "math":
        yield from _equations(token.content, above + 1)
    elif directive and directive[1] == "math":
        yield from _equations(directive[2] + "\n" + _without_options(token.content), above)
    elif directive and directive[1] == "eval-rst":
        for found in IN_RST.finditer(token.content):
            content = found[2].partition("\n")[0] + "\n" + _without_options(found[2].partition("\n")[2])
            yield from _equations(content, above + 1 + token.content.count("\n", 0, found.start()))
    elif token.type == "colon_fence" or (directive and not CODE.match(directive[1])):
        yield from _pieces(token.content, above + 1)
    elif _is_open(token) and OPENS.search(token.info + token.content):
        yield Piece("display", token.content.strip(), above + 1, trouble=OPEN_FENCE)


def _is_open(fence: Token) -> bool:
    """Whether nothing ends a fence: it has no last line."""
    first, last = fence.map or (0, 0)
    return last - first == 1 + fence.content.count("\n") + (fence.content[-1:] not in ("", "\n"))


def _without_options(content: str) -> str:
    """What a directive holds, with blank lines for what it says about itself."""
    options = OPTIONS.match(content)
    return "\n" * options.group().count("\n") + content[options.end() :] if options else content


def _equations(content: str, above: int) -> Iterator[Piece]:
    """What a directive displays: blank lines stand between equations."""
    at = 0
    for blank in [*BLANK_LINES.finditer(content), None]:
        stop = blank.start() if blank else len(content)
        if content[at:stop].strip():
            yield _display(content[at:stop], above + content.count("\n", 0, at))
        at = stop


# Markdown as it is, with displays


@cache
def _markdown() -> MarkdownIt:
    """A parser that tells displays from code, and leaves all else as it is."""
    markdown = MarkdownIt("commonmark", {"maxNesting": 200}).use(colon_fence_plugin)
    markdown.disable(["reference", "emphasis", "link", "image", "autolink", "entity", "newline"])
    before_all: Any = {"alt": ["paragraph", "blockquote", "list"]}
    markdown.block.ruler.before("code", "display", _block, before_all)
    markdown.block.ruler.at("html_block", _hidden, before_all)
    markdown.inline.ruler.before("escape", "display", _inline)
    markdown.inline.ruler.at("backticks", _code)
    return markdown


def _block(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """A display that begins a line and ends one."""
    if state.level > DEEPEST:
        return _too_deep(state, first, end, silent)
    begin = state.bMarks[first] + state.tShift[first]
    if not OPENS.match(state.src, begin):
        return False
    found = delimited(state.src, begin)
    last = first + state.src.count("\n", begin, found.end) if found else end
    if last >= end:
        return False
    text = state.getLines(first, last + 1, state.sCount[first], False)
    found = delimited(text, 0)
    if found is None or not AFTER.match(text, found.end):
        return False
    if not silent:
        state.line = last + 1
        token = state.push("display", "", 0)
        token.content = text[found.content]
        token.map = [first, state.line]
    return True


def _too_deep(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """What stands in more quotations and lists than anybody follows."""
    text = state.getLines(first, end, 0, False)
    if silent or not OPENS.search(text):
        return False
    state.line = end
    state.push("deep", "", 0).content = text.strip()
    state.tokens[-1].map = [first, end]
    return True


def _hidden(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """HTML that is not shown; all other HTML stands around what is."""
    begin = state.bMarks[first] + state.tShift[first]
    return bool(HIDING.match(state.src, begin)) and html_block(state, first, end, silent)


def _inline(state: StateInline, silent: bool) -> bool:
    """A display, or a formula, in the run of a paragraph."""
    found = _mathematics(state.src, state.pos)
    if found is None:
        return False
    kind, content, end = found
    if not silent:
        token = state.push(kind, "", 0)
        token.content = content
        token.meta = {"at": state.pos}
    state.pos = end
    return True


def _mathematics(text: str, at: int) -> tuple[str, str, int] | None:
    """What mathematics stands at a place: its kind, its LaTeX, and where it ends."""
    if DEFINES.match(text, at) and (defined := next(definitions(text[at:], {}), None)) and not defined[0][0]:
        end = at + defined[0][1]
        return "formula", text[at:end], end
    opens = OPENS.match(text, at)
    if not opens:
        formula = IN_LINE.match(text, at)
        return ("formula", formula[1] or formula[2], formula.end()) if formula else None
    found = delimited(text, at)
    content = text[found.content] if found else text[at:].partition("\n")[0]
    if opens.group().endswith("[") and not SAYS.search(content.removeprefix(opens.group())):
        return None  # a bracket, escaped
    return ("display", content, found.end) if found else ("unclosed", content, opens.end())


def _code(state: StateInline, silent: bool) -> bool:
    """Code, and where it stands."""
    begin = state.pos
    found = backtick(state, silent)
    if found and not silent and state.tokens and state.tokens[-1].type == "code_inline":
        state.tokens[-1].meta.setdefault("at", begin)
    return found
