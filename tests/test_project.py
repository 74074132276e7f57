"""The house: what belongs together agrees."""

from __future__ import annotations

import importlib.util
import itertools
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from notebooks import NOTEBOOKS, ROOT, read
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import diffusion_notes

PACKAGE = ROOT / "diffusion_notes"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKED = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if line[0] != "#"]
PINS = {
    need.name: str(need.specifier).removeprefix("==") for need in LOCKED if not need.marker or need.marker.evaluate()
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_version_is_said_once():
    version = diffusion_notes.__version__
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_pinned_set_satisfies_the_loose_ranges():
    extras = PYPROJECT["project"]["optional-dependencies"]
    for text in PYPROJECT["project"]["dependencies"] + list(itertools.chain(*extras.values())):
        need = Requirement(text)
        if need.name != "diffusion-notes":
            assert PINS[canonicalize_name(need.name)] in need.specifier, text
    assert PINS["torch"] == "2.13.0"
    assert PINS["jupyter-book"].startswith("1.")


def test_every_version_is_pinned_and_none_asks_for_cuda_or_names_a_place():
    """With the ranges that pip takes on the systems that are tested: torch's several gigabytes of CUDA are left out."""
    assert all(re.fullmatch(r"==[\w.]+", str(need.specifier)) and not need.url for need in LOCKED)
    assert len(PINS) > 150
    assert not [need.name for need in LOCKED if re.match("nvidia|cuda|triton", need.name)]
    assert "--" not in (ROOT / "requirements.txt").read_text()


def test_hooks_run_the_pinned_tools():
    revisions = {
        repo["repo"].rsplit("/", 1)[-1]: repo["rev"].lstrip("v")
        for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        if repo["repo"] != "local"
    }
    assert revisions == {"ruff-pre-commit": PINS["ruff"], "nbstripout": PINS["nbstripout"]}


# pages about what the rooms hold: the loop of `fitting` and the sampler of `ddpm`, the runs of `experiment`
WITHOUT_MODULE = {"training", "ladder_details"}


def test_every_chapter_has_its_module_and_its_test():
    for name in {path.stem for path in NOTEBOOKS} - WITHOUT_MODULE:
        assert (PACKAGE / f"{name}.py").exists()
        assert (ROOT / "tests" / f"test_{name}.py").exists()


def test_every_module_has_its_test_and_its_reference():
    api = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "book").glob("api_*.md"))
    for path in PACKAGE.glob("*.py"):
        if path.stem != "__init__":
            named = f"test_{path.stem}.py", f"test_{path.stem}_*.py"  # one file, or several by what they are about
            assert any(list((ROOT / "tests").glob(name)) for name in named), path.stem
            assert f"automodule:: diffusion_notes.{path.stem}" in api


def test_every_page_is_in_the_table_of_contents():
    contents = (ROOT / "_toc.yml").read_text()
    pages = {p.stem for p in (ROOT / "book").iterdir() if p.suffix in {".md", ".ipynb"}}
    assert pages == set(re.findall(r"book/(\w+)", contents))


@pytest.mark.parametrize(
    "module", ["diffusion_notes", "diffusion_notes.explorables", "diffusion_notes.experiment.runs"]
)
def test_importing_is_cheap(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_modules_use_each_others_public_names_only():
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"^from diffusion_notes\S* import .*\b_\w", path.read_text(), re.MULTILINE), path


def test_pages_are_published_after_the_tests_and_long_work_is_done_at_night():
    workflows = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    publishing = {
        name: job
        for workflow in workflows.values()
        for name, job in workflow["jobs"].items()
        if "actions/deploy-pages" in str(job)
    }
    assert set(publishing) == {"publish"}
    assert {"lint", "test"} <= set(publishing["publish"]["needs"])
    for long in ("mutants-code", "test-stability", "test-colab"):
        assert [name for name, each in workflows.items() if f"make {long}" in str(each)] == ["nightly"]


def test_what_readme_contributing_and_workflows_call_exists():
    texts = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / ".ci" / "run",
        *(ROOT / ".github" / "workflows").glob("*.yml"),
    ]
    for path in texts:
        called = set(re.findall(r"(?:^|`|run: )make ([a-z-]+)", path.read_text(), re.MULTILINE))
        assert called <= TARGETS, path
        assert called


def test_the_picture_in_the_readme_is_the_notebooks():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "notebooks.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PICTURE.read_text() == tool.picture(read(ROOT / "book" / "training.ipynb"))
    assert "book/_assets/there_and_back.svg" in (ROOT / "README.md").read_text()


def test_links_from_readme_and_contributing_arrive():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = re.sub(r"`[^`\n]*`", "", (ROOT / name).read_text())
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (ROOT / target).exists(), target


def test_the_references_hold_every_work_the_source_cites():
    bibliography = (ROOT / "book" / "references.bib").read_text()
    arxiv = """1503.03585 2006.11239 1312.6114 2011.13456 1705.07120 2009.09761 2105.06337 2101.12072 1907.05600
    1706.03762 1903.12436 1605.08803 1711.05772 2106.06406 1505.05770 1606.05328 1711.00464 1810.00597"""
    assert [number for number in arxiv.split() if number not in bibliography] == []
    for title in ("What is wrong with", "From Autoencoder to Beta-", "What are diffusion models?", "A New Synthesis"):
        assert title in bibliography
