"""Run notebooks and store their outputs in a form that depends on nothing but what they show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PICTURE = Path(__file__).resolve().parents[1] / "book" / "_assets" / "there_and_back.svg"
WIDGET = "application/vnd.jupyter.widget-view+json"


def normalise(outputs: list) -> list:
    """Join what a cell printed in pieces, and leave out what names a widget of a kernel that is gone."""
    joined: list = []
    for output in outputs:
        output.get("data", {}).pop(WIDGET, None)
        before = joined[-1] if joined else nbformat.NotebookNode()
        if output.output_type == "stream" == before.get("output_type") and output.name == before.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


def picture(notebook: nbformat.NotebookNode, tag: str = "there-and-back") -> str:
    """The still picture of a notebook's film, as a file of its own: the README shows it."""
    (cell,) = (cell for cell in notebook.cells if tag in cell.metadata.get("tags", []))
    html = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
    svg = html[html.index("<svg") : html.index("</svg>") + len("</svg>")]
    svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return svg.replace("currentColor", "#808080") + "\n"  # seen on white and on black


def run(path: Path) -> None:
    """Run a notebook from top to bottom, in place."""
    notebook = nbformat.read(path, as_version=4)
    print(path, end=" ... ", flush=True)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = normalise(cell.outputs)
            cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, path)
    keep = ["--keep-output", "--keep-count", "--keep-id", "--extra-keys", "metadata.language_info.version"]
    subprocess.run([sys.executable, "-m", "nbstripout", *keep, str(path)], check=True)
    if path.name == "training.ipynb":
        PICTURE.write_text(picture(notebook), encoding="utf-8")
    print("done")


if __name__ == "__main__":
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar tells the time; conftest.py does the same
    if len(sys.argv) < 2:
        raise SystemExit("usage: python tools/notebooks.py NOTEBOOK...")
    for name in sys.argv[1:]:
        run(Path(name))
