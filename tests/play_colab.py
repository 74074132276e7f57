"""Colab, played: `make test-colab` runs every notebook with Colab's versions and without the package.

The first cell fetches it, from a copy of this repository which stands where the public address would.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from notebooks import NOTEBOOKS, ROOT
from project_copies import commit, copy_project, git

PYTHON = ROOT / ".venv-colab" / "bin" / "python"
VERSIONS = ROOT / "tests" / "colab_versions.txt"
STARTUP = ROOT / "tests" / "colab_startup.py"
URL = "https://github.com/owner/name"
WIDGET = "application/vnd.jupyter.widget-view+json"
LAST_CELL = """
import json, importlib.metadata, diffusion_notes
print(json.dumps([diffusion_notes.__file__, {
    package.metadata["Name"]: package.version for package in importlib.metadata.distributions()
}]))
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """A copy of this repository that has an address, released: the notebooks that a reader opens."""
    book = copy_project(tmp_path_factory.mktemp("released") / "book")
    subprocess.run([sys.executable, "tools/repository.py", URL], cwd=book, check=True)
    commit(book, re.search(r"branch: (\S+)", (book / "_config.yml").read_text())[1])
    git("clone", "--bare", book, book.with_suffix(".git"), folder=book)
    return book


@pytest.fixture
def colab(book, tmp_path, monkeypatch) -> Path:
    """The empty folder in which Colab starts a kernel, and an environment in which kernels are Colab's."""
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    kernel = tmp_path / "jupyter" / "kernels" / "colab"
    content = tmp_path / "content"
    for folder in (startup, kernel, content):
        folder.mkdir(parents=True)
    shutil.copy(STARTUP, startup)
    start = {"argv": [str(PYTHON), "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Colab"}
    (kernel / "kernel.json").write_text(json.dumps(start | {"language": "python"}))
    for name, value in {
        "IPYTHONDIR": tmp_path / "ipython",
        "JUPYTER_PATH": tmp_path / "jupyter",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_CONFIG_COUNT": 1,
        "GIT_CONFIG_KEY_0": f"url.{book.with_suffix('.git').as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": URL,
        "PYTHONNOUSERSITE": 1,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return content


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="colab", resources=resources).execute()


def shown(cell: nbformat.NotebookNode) -> dict[str, str]:
    """What a cell prints and shows, pictures and views of widgets left out: by kind, joined."""
    kinds: dict[str, str] = {}
    for output in cell.outputs:
        data = {output.name: output.text} if output.output_type == "stream" else output.data
        for kind in data.keys() - {WIDGET, "image/png"}:
            kinds[kind] = kinds.get(kind, "") + data[kind]
    return kinds


@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_a_notebook_runs_on_colab(name, book, colab):
    notebook = nbformat.read(book / "book" / name, as_version=4)
    stored = nbformat.read(book / "book" / name, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(LAST_CELL))
    run(notebook, colab)
    for cell, before in zip(notebook.cells, stored.cells, strict=False):
        if cell.cell_type == "code" and "nbval-ignore-output" not in cell.metadata.get("tags", []):
            assert shown(cell) == shown(before), cell.id
        for output in cell.get("outputs", []):
            if "data-explorable" in output.get("data", {}).get("text/html", ""):
                assert "manager.min.js" in output.metadata[WIDGET]["colab"]["custom_widget_manager"]["url"]
    where, installed = json.loads(notebook.cells[-1].outputs[0].text)
    assert Path(where).is_relative_to(colab)
    assert "diffusion-notes" not in installed
    listed = dict(line.split("==") for line in VERSIONS.read_text().splitlines() if line[0] != "#")
    canonical = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in installed.items()}
    different = {n for n, v in listed.items() if canonical[re.sub(r"[-_.]+", "-", n).lower()].split("+")[0] != v}
    assert different == set()


def test_without_an_address_the_first_cell_says_what_to_do(colab):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id == "colab"]
    notebook.cells[0].source = re.sub('REPOSITORY = ".*"', 'REPOSITORY = ""', notebook.cells[0].source)
    with pytest.raises(Exception, match="upload the zip"):
        run(notebook, colab)
    assert not list(colab.iterdir())
