"""Write the book's public address, and the tag of its release, into every file that links to it.

`make repository URL=https://github.com/owner/name` sets the address, `URL=none` takes it out again,
and without a URL the files are written anew with the one they have: for a new release, say.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
COLAB = "https://colab.research.google.com"
BADGE = f"{COLAB}/assets/colab-badge.svg"
FROM, TO = "`make repository` writes from here", "`make repository` writes to here"

NO_COLAB = """\
**On Colab.** The book has no public address yet, so no page has a button that opens it there.
Open a notebook of `book/` on Colab.
Zip the folder `diffusion_notes/`, upload the zip file and run `!unzip diffusion_notes.zip`: the notebook finds it.
Colab's own torch, numpy and ipywidgets stay as they are.
Once the repository is on GitHub, `make repository URL=https://github.com/owner/name` writes its address everywhere.
"""
ON_COLAB = """\
**On Colab.** The rocket at the top of a chapter's page opens it there, and so does a badge in this table.
The first cell fetches the package at the tag `{release}`.
Colab's own torch, numpy and ipywidgets stay as they are.

| Chapter | |
| --- | --- |
"""


def checked(url: str) -> str:
    """The address in its one form, or a ValueError."""
    if not re.fullmatch(r"https://github\.com/[\w-]+/[\w.-]+?(\.git)?/?", url):
        raise ValueError(f"URL must be like https://github.com/owner/name, or none; it is {url!r}")
    return url.removesuffix("/").removesuffix(".git")


def release(root: Path) -> str:
    """The tag of the version that the package says."""
    init = (root / "diffusion_notes" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'__version__ = "(.+)"', init)
    return "v" + version


def address(root: Path) -> str:
    """The address that the book is built with, empty if it has none."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config.get("repository", {}).get("url", "")


def chapters(root: Path) -> dict[Path, nbformat.NotebookNode]:
    """The notebooks, in the order of the book."""
    names = re.findall(r"book/\w+", (root / "_toc.yml").read_text(encoding="utf-8"))
    paths = [path for name in names if (path := root / f"{name}.ipynb").exists()]
    return {path: nbformat.read(path, as_version=4) for path in paths}


def passages(root: Path, url: str) -> dict[str, list[str]]:
    """What stands between the marks of each file, in their order."""
    if not url:
        return {"_config.yml": [""], "CITATION.cff": [""], "pyproject.toml": [""], "README.md": ["", f"\n{NO_COLAB}\n"]}
    tag = release(root)
    table = ON_COLAB.format(release=tag)
    for path, notebook in chapters(root).items():
        title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
        opened = f"{COLAB}/github/{url.removeprefix('https://github.com/')}/blob/{tag}/book/{path.name}"
        table += f"| {title} | [![Open in Colab]({BADGE})]({opened}) |\n"
    workflow = f"{url}/actions/workflows/tests.yml"
    return {
        "_config.yml": [f"  colab_url: {COLAB}\nrepository:\n  url: {url}\n  branch: {tag}\n"],
        "CITATION.cff": [f"repository-code: {url}\n"],
        "pyproject.toml": [f'[project.urls]\nRepository = "{url}"\n'],
        "README.md": [f"\n[![tests]({workflow}/badge.svg)]({workflow})\n\n", f"\n{table}\n"],
    }


def written(text: str, passages: list[str]) -> str:
    """A file's text with these passages between its marks."""
    left = iter(passages)
    text, found = re.subn(rf"(.*{FROM}.*\n)(?:.*\n)*?(.*{TO})", lambda marks: marks[1] + next(left) + marks[2], text)
    if found != len(passages):
        raise ValueError(f"{len(passages)} passages for {found} pairs of marks")
    return text


def write(root: Path, url: str) -> None:
    """Write the address everywhere."""
    for name, texts in passages(root, url).items():
        path = root / name
        path.write_text(written(path.read_text(encoding="utf-8"), texts), encoding="utf-8")
    for path, notebook in chapters(root).items():
        cell = next(cell for cell in notebook.cells if cell.id == "colab")
        cell.source = re.sub(r'(?m)^REPOSITORY = ".*"$', f'REPOSITORY = "{url}"', cell.source)
        cell.source = re.sub(r'(?m)^RELEASE = ".*"$', f'RELEASE = "{release(root)}"', cell.source)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    asked = "".join(sys.argv[1:])
    try:
        write(ROOT, address(ROOT) if not asked else "" if asked == "none" else checked(asked))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    print("The book's address is", address(ROOT) or "not set")
