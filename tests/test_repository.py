"""The public address: in every file that names it the same, set by one command, and unset by the same."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from notebooks import NOTEBOOKS, ROOT, code_cells
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project_copies import commit
from small_books import build, extensions_from

import diffusion_notes

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ONE, OTHER = "https://github.com/owner/name", "https://github.com/somebody-else/other.name"
NAMES = ["_config.yml", "_toc.yml", "CITATION.cff", "pyproject.toml", "README.md", "diffusion_notes/__init__.py"]

spec = importlib.util.spec_from_file_location("repository", ROOT / "tools" / "repository.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


def said(root: Path) -> set[tuple[str, str]]:
    """What each place says, read without the tool: the address and, where there is one, the tag."""
    config = yaml.safe_load((root / "_config.yml").read_text())
    readme = (root / "README.md").read_text()
    repository = config.get("repository", {"url": "", "branch": None})
    links = re.findall(r"https://colab\.research\.google\.com/github/(.+?)/blob/(.+?)/book/(\w+)\.ipynb\)", readme)
    places = {
        (repository["url"], repository["branch"]),
        (yaml.safe_load((root / "CITATION.cff").read_text()).get("repository-code", ""), None),
        (tomllib.loads((root / "pyproject.toml").read_text())["project"].get("urls", {}).get("Repository", ""), None),
        ("".join(re.findall(r"\[!\[tests\]\((.+?)/actions/", readme)), None),
        *((f"https://github.com/{name}", tag) for name, tag, _ in links),
    }
    for path in NOTEBOOKS:
        source = code_cells(root / "book" / path.name)[0].source
        values = re.findall('^(?:REPOSITORY|RELEASE) = "(.*)"$', source, re.M)
        places.add(tuple(values))
    assert bool(repository["url"]) == ("colab_url" in config["launch_buttons"])
    assert {name for *_, name in links} == ({path.stem for path in NOTEBOOKS} if repository["url"] else set())
    return places


def agreed(url: str) -> set[tuple[str, str | None]]:
    tag = f"v{diffusion_notes.__version__}"
    return {(url, None), (url, tag)}


@pytest.fixture
def copy(tmp_path) -> Path:
    """Those files of this repository, with no address."""
    for name in [*NAMES, *(f"book/{path.name}" for path in NOTEBOOKS)]:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    tool.write(tmp_path, "")
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_every_file_says_the_same_address_and_release():
    assert said(ROOT) == agreed(tool.address(ROOT))
    for path in NOTEBOOKS:
        assert code_cells(path)[0].source == code_cells(NOTEBOOKS[0])[0].source


def test_an_address_is_set_changed_and_taken_out_again(copy):
    unset = contents(copy)
    assert said(copy) == agreed("")
    tool.write(copy, ONE)
    once = contents(copy)
    assert said(copy) == agreed(ONE)
    tool.write(copy, ONE)
    assert contents(copy) == once
    tool.write(copy, OTHER)
    assert said(copy) == agreed(OTHER)
    tool.write(copy, "")
    assert contents(copy) == unset


def test_a_new_release_is_written_with_the_address_there_is(copy):
    tool.write(copy, ONE)
    init = copy / "diffusion_notes" / "__init__.py"
    init.write_text(init.read_text().replace(diffusion_notes.__version__, "7.8.9"))
    tool.write(copy, tool.address(copy))
    assert {tag for _, tag in said(copy)} == {None, "v7.8.9"}
    assert {url for url, _ in said(copy)} == {ONE}


NO_ADDRESS = [
    "owner/name",
    "http://github.com/a/b",
    "https://github.com/a",
    "https://example.org/a/b",
    'https://github.com/a/b"',
]


@pytest.mark.parametrize("url", NO_ADDRESS)
def test_what_is_no_address_is_refused(url):
    message = f"URL must be like https://github.com/owner/name, or none; it is {url!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tool.checked(url)


def test_the_command_says_so_too():
    command = [sys.executable, "tools/repository.py", NO_ADDRESS[0]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "URL must be like https://github.com/owner/name, or none; it is 'owner/name'\n"


def test_an_address_has_one_form():
    for url in (ONE, f"{ONE}/", f"{ONE}.git", f"{ONE}.git/"):
        assert tool.checked(url) == ONE


def test_lost_marks_are_noticed(copy):
    readme = copy / "README.md"
    readme.write_text(readme.read_text().replace(tool.TO, "", 1))
    with pytest.raises(ValueError, match="marks"):
        tool.write(copy, ONE)


@pytest.mark.parametrize("url", ["", ONE])
def test_a_chapter_has_a_launch_button_if_there_is_an_address(copy, url):
    tool.write(copy, url)
    config = yaml.safe_load((copy / "_config.yml").read_text())
    small = {key: config[key] for key in ("title", "execute", "launch_buttons", "repository") if key in config}
    extensions = dict.fromkeys(("diffusion_book", "downloads"), extensions_from(copy))
    small |= {"only_build_toc_files": True, "sphinx": {"local_extensions": extensions}}
    (copy / "_config.yml").write_text(yaml.safe_dump(small))
    (copy / "_toc.yml").write_text("format: jb-book\nroot: book/swiss_roll\n")
    status, log = build(copy, "-q")
    assert status == 0, log
    page = (copy / "_build" / "html" / "book" / "swiss_roll.html").read_text()
    buttons = re.findall(r'href="(https://colab[^"]*)"', page)
    opened = (
        f"https://colab.research.google.com/github/owner/name/blob/v{diffusion_notes.__version__}/book/swiss_roll.ipynb"
    )
    assert buttons == ([opened] if url else [])
    assert "google.colab" not in page
    handed_out = (copy / "_build" / "html" / "_sources" / "book" / "swiss_roll.ipynb").read_text()
    assert ("](https://owner.github.io/name/book/vae.html" in handed_out) == bool(url)
    assert "](vae.ipynb" not in handed_out


def first_cell(folder: Path, *, colab: bool, url: str = "", package: bool = False, git: str = "") -> dict:
    """Run the first cell in a Python that has the standard library only, and say what came of it."""
    source = code_cells(NOTEBOOKS[0])[0].source
    source = re.sub('REPOSITORY = ".*"', f'REPOSITORY = "{url}"', source)
    source = re.sub('RELEASE = ".*"', 'RELEASE = "v1.2.3"', source)
    code = f"""
import json, subprocess, sys, types
if {colab}: sys.modules["google.colab"] = types.ModuleType("colab")
calls, run = [], subprocess.run
subprocess.run = lambda *a, **k: calls.append(a) or run(*a, **k)
before, error = list(sys.path), None
try: exec({source!r})
except Exception as e: error = f"{{type(e).__name__}}: {{e}}"
added = [path for path in sys.path if path not in before]
try: import diffusion_notes; version = diffusion_notes.__version__
except ImportError: version = None
print(json.dumps(dict(calls=len(calls), added=added, error=error, version=version)))
"""
    if package:
        (folder / "diffusion_notes").mkdir(parents=True)
        (folder / "diffusion_notes" / "__init__.py").write_text('__version__ = "here"\n')
    place = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{git}.insteadOf", "GIT_CONFIG_VALUE_0": url}
    environment = os.environ | {"GIT_ALLOW_PROTOCOL": "file"} | (place if git else {})
    command = [sys.executable, "-S", "-E", "-c", code]  # whatever PYTHONPATH has, too
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # so the cell has printed nothing


@pytest.fixture
def released(tmp_path) -> str:
    """A package of the same name under git, with a tag."""
    package = tmp_path / "origin" / "diffusion_notes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "1.2.3"\n')
    commit(package.parent, "v1.2.3")
    return package.parent.as_uri()


NOTHING = {"calls": 0, "added": [], "error": None}


@pytest.mark.parametrize("colab", [True, False])
@pytest.mark.parametrize("url", ["", ONE])
def test_a_package_that_is_there_is_used(tmp_path, url, colab):
    assert first_cell(tmp_path, colab=colab, url=url, package=True) == NOTHING | {"version": "here"}


@pytest.mark.parametrize(
    ("url", "package"),
    [("", "FOLDER[notebooks]"), (ONE, f"diffusion-notes[notebooks] @ git+{ONE}@v1.2.3")],
)
def test_elsewhere_it_says_what_to_install_and_fetches_nothing(tmp_path, url, package):
    done = first_cell(tmp_path, colab=False, url=url)
    assert (done["calls"], done["added"]) == (0, [])
    assert done["error"].startswith(f'ModuleNotFoundError: the package behind the book. Run %pip install "{package}"')
    assert canonicalize_name(Requirement(package.replace("FOLDER", PROJECT["name"])).name) == PROJECT["name"]
    assert "notebooks" in PROJECT["optional-dependencies"]


def test_on_colab_without_an_address_it_says_what_to_do_and_fetches_nothing(tmp_path):
    done = first_cell(tmp_path, colab=True)
    assert (done["calls"], done["added"]) == (0, [])
    assert "upload the zip file and run !unzip diffusion_notes.zip" in done["error"]


def test_on_colab_it_fetches_the_release_once(tmp_path, released):
    content = tmp_path / "content"
    content.mkdir()
    done = first_cell(content, colab=True, url=ONE, git=released)
    assert done == {"calls": 1, "added": [str(content / "diffusion-notes-v1.2.3")], "error": None, "version": "1.2.3"}
    assert first_cell(content, colab=True, url=ONE, git=released) == done | {"calls": 0}


def test_on_colab_what_a_killed_run_left_is_no_package(tmp_path, released):
    content = tmp_path / "content"
    (content / "diffusion-notes-v1.2.3.part" / "diffusion_notes").mkdir(parents=True)
    (content / "diffusion-notes-v1.2.3.part" / "diffusion_notes" / "__init__.py").write_text("half = ")
    assert first_cell(content, colab=True, url=ONE, git=released)["version"] == "1.2.3"
    assert [path.name for path in content.iterdir()] == ["diffusion-notes-v1.2.3"]


def test_on_colab_a_run_that_is_killed_leaves_nothing_that_passes_for_the_package(tmp_path, released, monkeypatch):
    """A git that dies in the middle: the next run fetches it whole."""
    content, broken = tmp_path / "content", tmp_path / "broken"
    content.mkdir()
    broken.mkdir()
    (broken / "git").write_text('#!/bin/sh\nfor last; do :; done\nmkdir -p "$last/diffusion_notes"\nexit 137\n')
    (broken / "git").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{broken}{os.pathsep}{os.environ['PATH']}")
        assert first_cell(content, colab=True, url=ONE)["version"] is None
    assert first_cell(content, colab=True, url=ONE, git=released)["version"] == "1.2.3"


def test_on_colab_a_release_that_is_not_there_is_named(tmp_path, released):
    content = tmp_path / "content"
    content.mkdir()
    subprocess.run(["git", "tag", "-d", "v1.2.3"], cwd=tmp_path / "origin", check=True, capture_output=True)
    done = first_cell(content, colab=True, url=ONE, git=released)
    assert done["error"].startswith(f"ConnectionError: {ONE}: ")
    assert "Remote branch v1.2.3 not found" in done["error"]  # git's own words
    assert done["version"] is None
    assert not list(content.iterdir())
