"""The verdicts on the displayed equations of a page, and which chapter it belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffusion_notes.equations.language.macros import expand, without_comments
from diffusion_notes.equations.language.syntax_tree import NotUnderstood
from diffusion_notes.equations.sources import Equation, about, displays, heading_text
from diffusion_notes.equations.verdicts.judge import Verdict
from diffusion_notes.equations.verdicts.page import Page

__all__ = ["Equation", "chapter", "displays", "judge_page"]

STEMS = {
    "vae": "vae", "hierarchical_vae": "hvae", "diffusion": "diffusion", "ddpm": "ddpm", "swiss_roll": "diffusion",
    "training": "ddpm", "ladder": "ddpm", "ladder_details": "ddpm", "measured": "diffusion",
    "samplers": "samplers", "score": "score",
    "conditioning": "conditioning", "guidance": "guidance", "signals": "signals",
}  # fmt: skip
TITLES = {
    "hvae": r"hvae|hierarch|two layers|several layers",
    "ddpm": r"ddpm|denoising|predict\w* the noise|epsilon|ε",
    "diffusion": r"diffusion|forward process|swiss roll",
    "vae": r"vae|variational auto",
    "samplers": r"fewer steps|sampler|ddim",
    "score": r"score|without steps|\bsdes?\b|flow matching",
    "conditioning": r"given something|condition|posterior|inpainting",
    "guidance": r"guidance|classifier",
    "signals": r"signals|time series|priors? from data",
}
"""The words of a heading that tell the chapter; the first that fits."""


def chapter(path: Path) -> str | None:
    """The chapter whose notation a page uses: by its front matter, its name, or its first heading.

    Args:
        path: A Markdown file or a notebook.

    Returns:
        A key of `CHAINS`; or `None` if nothing tells, and the letters of each display have to.
    """
    about_it = about(path)
    said = next(
        (about_it[key] for key in ("chapter", "context", "equations") if isinstance(about_it.get(key), str)), ""
    )
    if said in STEMS | {"hvae": ""}:
        return STEMS.get(said, said)
    if path.stem in STEMS:
        return STEMS[path.stem]
    heading = re.search(r"^#+\s+(.+)$", heading_text(path), re.M)
    for name, words in TITLES.items():
        if heading and re.search(words, heading[1], re.I):
            return name
    return None


def judge_page(path: Path, conventions: Sequence[str] | None = None, patience: float = 0.0) -> list[Equation]:
    """All displayed equations of a page with their verdicts; what it defines holds from there on.

    Args:
        path: Markdown, a notebook, or a LaTeX source.
        conventions: The names of the conventions that it uses; none of them, `()`, is the book's own reading; `None`
            takes those that the page states, and tries all of `verdicts/conventions.py` where it states none.
        patience: For how many seconds it looks for what would make the wrong lines of the page true.

    Raises:
        OSError: If there is no such file, or none that may be read.
        ValueError: If it is none of these, or states a convention that there is not.
    """
    stated = _stated_conventions(path) if conventions is None else conventions
    page = Page(chapter(path), conventions=stated, patience=patience)
    return [replace(equation, verdicts=tuple(_judged(equation, page))) for equation in displays(path)]


def _stated_conventions(path: Path) -> list[str] | None:
    """The conventions that a page states, `[]` if it says `book`; nothing, if it states none."""
    said = about(path).get("conventions")
    if not isinstance(said, (str, list)):
        return None
    names = re.findall(r"[\w-]+", said) if isinstance(said, str) else [str(name) for name in said]
    return [name for name in names if name != "book"]


def _judged(equation: Equation, page: Page) -> list[Verdict]:
    """The verdicts on an equation, which point at what its author typed."""
    if equation.trouble:
        return [Verdict("not understood", " ".join(equation.latex.split()), equation.trouble)]
    try:
        latex, origins = expand(without_comments(equation.latex), equation.macros)
    except NotUnderstood as why:
        return [Verdict("not understood", " ".join(equation.latex.split()), why.why, "", why.place)]
    verdicts = page.judge(latex)
    return [replace(v, place=origins.place(v.place)) if v.place else v for v in verdicts]
