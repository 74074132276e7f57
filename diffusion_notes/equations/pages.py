"""The displayed equations of a page, Markdown or notebook, and which chapter it belongs to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from diffusion_notes.equations.verdicts.judge import Page, Verdict

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

DISPLAY = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|^```+\s*\{math\}[^\n]*\n(.+?)^```+\s*$", re.S | re.M)
CODE = re.compile(r"^(```+|~~~+)(?!\s*\{math\})[^\n]*\n.*?^\1\s*$|(?<!`)(`+)(?!`).*?(?<!`)\2(?!`)", re.S | re.M)
ANCHOR = re.compile(r'<a id="(eq-[^"]+)"></a>\s*$')


@dataclass(frozen=True)
class Equation:
    """A displayed equation of a page.

    Args:
        latex: What stands between the dollars.
        anchor: The id before it, for a link; or nothing.
        verdicts: What was found out about its relations.
    """

    latex: str
    anchor: str
    verdicts: tuple[Verdict, ...] = ()


def _texts(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return [text]
    cells = json.loads(text)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def displays(path: Path) -> list[Equation]:
    """All displayed equations of a page, in order.

    Args:
        path: A Markdown file or a notebook.
    """
    found = []
    for text in _texts(path):
        text = CODE.sub(lambda code: " " * len(code.group()), text)
        for match in DISPLAY.finditer(text):
            anchor = ANCHOR.search(text, 0, match.start())
            found.append(Equation(next(filter(None, match.groups())).strip(), anchor[1] if anchor else ""))
    return found


def chapter(path: Path) -> str:
    """The chapter whose notation a page uses: by its front matter, its name, or its first heading.

    Args:
        path: A Markdown file or a notebook.

    Returns:
        A key of `CHAINS`.

    Raises:
        ValueError: If nothing tells.
    """
    text = "\n".join(_texts(path))
    front = re.match(r"---\n(.*?)\n---", text, re.S)
    said = re.search(r"^(?:chapter|context|equations):\s*[\"']?(\w+)", front[1], re.M) if front else None
    if said and said[1] in STEMS | {"hvae": ""}:
        return STEMS.get(said[1], said[1])
    if path.stem in STEMS:
        return STEMS[path.stem]
    heading = re.search(r"^#+\s+(.+)$", text, re.M)
    for name, words in TITLES.items():
        if heading and re.search(words, heading[1], re.I):
            return name
    raise ValueError(
        f"{path}: which chapter's notation is this? Say `chapter: vae`, `hvae`, `diffusion`, `ddpm`, `samplers`, "
        "`score`, `conditioning`, `guidance` or `signals` in its front matter, or in its first heading."
    )


def judge_page(path: Path) -> list[Equation]:
    """All displayed equations of a page with their verdicts; what it defines holds from there on.

    Args:
        path: A Markdown file or a notebook.
    """
    page = Page(chapter(path))
    return [Equation(e.latex, e.anchor, tuple(page.judge(e.latex))) for e in displays(path)]
