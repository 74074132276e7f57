"""What the package needs, by its rooms: light without models, and what is missing is named with what brings it."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
import yaml
from notebooks import ROOT
from packaging.requirements import Requirement

from diffusion_notes.equations.__main__ import main

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize(
    ("module", "named", "library", "extra"),
    [
        *(("equations", "equations", library, "equations") for library in ("lark", "scipy", "sympy")),
        *(("equations.pages", "equations.sources", library, "equations") for library in ("markdown_it", "yaml")),
        ("ddpm", "ddpm", "torch", "models"),
    ],
)
def test_what_is_not_installed_is_named_with_what_brings_it(module, named, library, extra):
    code = f"import sys; sys.modules[{library!r}] = None; import diffusion_notes.{module}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    said = f"diffusion_notes.{named} needs {library}, which is not installed: pip install 'diffusion-notes[{extra}]'"
    assert done.stderr.splitlines()[-1].endswith(f"Error: {said}")


def test_it_runs_without_torch():
    code = "import sys, diffusion_notes.equations as e; e.check('1 = 1'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_equations_are_checked_where_only_their_extra_is_installed(tmp_path):
    models = [Requirement(need).name for need in PROJECT["optional-dependencies"]["models"]]
    page = tmp_path / "page.md"
    page.write_text("# DDPM\n\n$$\\beta_t = 1 - \\alpha_t$$\n")
    code = f"import sys; sys.modules.update(dict.fromkeys({models})); "
    code += f"from diffusion_notes.equations.__main__ import main; sys.exit(main([{str(page)!r}]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 display, 1 relation: 1 proved" in done.stdout


def test_the_command_and_the_hook_are_those_that_are_installed():
    assert PROJECT["scripts"] == {"check-derivation": f"{main.__module__}:main"}
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["id"] == hook["entry"].split()[0] == "check-derivation"
    assert hook["additional_dependencies"] == [".[equations]"]


def test_the_base_is_light_and_the_notebooks_have_all():
    extras = PROJECT["optional-dependencies"]
    assert [Requirement(need).name for need in PROJECT["dependencies"]] == ["numpy"]
    assert "diffusion-notes[equations,models]" in extras["notebooks"]
    assert not [need for need in extras["equations"] if "torch" in need]
