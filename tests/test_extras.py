"""What the package needs, by its rooms: light without models, and what is missing is named with what brings it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from notebooks import ROOT


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
