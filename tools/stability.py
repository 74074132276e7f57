"""Do the notebooks give their stored outputs every time? Twenty runs of `pytest --nbval` for each, no two alike.

    python tools/stability.py [RUNS [NOTEBOOK ...]]

The runs differ in torch's threads, in the seed of Python's hashes, and in whether torch may use algorithms that are not
deterministic. Each is noted in the notebook's file as soon as it has ended, so that a series that is interrupted goes
on where it was; a change of the package, or of a cell that is run, begins another. Processes with different notebooks
may stand side by side.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "benchmarks" / "stability"
# what a kernel does when it starts, where torch may not choose
STRICT = "import torch\n\ntorch.use_deterministic_algorithms(True)\n"
ENDING = re.compile(r"(?:(\d+) failed, )?(\d+) passed")


def settings(runs: int = 20) -> list[dict]:
    """How each run differs from the others: every pair of threads and algorithms in turn, and a new hash seed."""
    pairs = list(product([1, 2, 4], [False, True]))
    return [
        {"threads": pairs[i % len(pairs)][0], "deterministic": pairs[i % len(pairs)][1], "hash seed": i}
        for i in range(runs)
    ]


def sources(notebook: Path, root: Path = ROOT) -> str:
    """One name for all that the outputs of a notebook depend on, and for the outputs; a sentence may change."""
    code = cells(notebook)
    whole = hashlib.sha256(code)
    for path in sorted([*root.glob("diffusion_notes/**/*.*"), root / "requirements.txt"]):
        if path.suffix != ".pyc" and matters(path, code):
            whole.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def matters(path: Path, code: bytes) -> bool:
    """Stored results matter where a cell names them, an explorable's own files where it is shown, all others always."""
    if path.parent.name == "results":
        return rf"results(\"{path.stem}\")".encode() in code
    if path.parent.name == "explorables" and all(path.with_suffix(end).exists() for end in (".py", ".js")):
        return rf"data-explorable=\"{path.stem}\"".encode() in code
    return True


def cells(notebook: Path) -> bytes:
    """The cells of a notebook that are run, with what they show."""
    every = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return json.dumps([cell for cell in every if cell["cell_type"] == "code"], sort_keys=True).encode()


def run(how: dict, notebook: Path) -> dict:
    """A notebook once."""
    with tempfile.TemporaryDirectory() as folder:
        startup = Path(folder, "profile_default", "startup", "00-strict.py")
        startup.parent.mkdir(parents=True)
        startup.write_text(STRICT if how["deterministic"] else "", encoding="utf-8")
        environment = os.environ | {
            "IPYTHONDIR": folder,
            "OMP_NUM_THREADS": str(how["threads"]),
            "OMP_WAIT_POLICY": "passive",  # a thread that waits leaves its core to others: they may be more than cores
            "PYTHONHASHSEED": str(how["hash seed"]),
        }
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "--tb=short", notebook]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    ending = ENDING.search(done.stdout)
    failed, passed = (int(number or 0) for number in ending.groups()) if ending else (1, 0)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return how | {"passed": passed, "failed": failed or int(done.returncode != 0)}


def load(notebook: Path) -> dict:
    """The record of a notebook as it stands, or a new one if it is of other sources or another kind of machine."""
    about = {
        "sources": sources(notebook),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "torch": version("torch"),
    }
    path = RECORDS / f"{notebook.stem}.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return record if record.get("about") == about else {"about": about, "runs": []}


def main() -> int:
    """Do what is still to be done; 1 if anything failed."""
    runs, *names = sys.argv[1:] or ["20"]
    RECORDS.mkdir(exist_ok=True)
    failed = 0
    for notebook in map(Path, names or sorted(ROOT.glob("book/*.ipynb"))):
        record = load(notebook)
        for how in settings(int(runs)):
            if not any(how.items() <= done.items() for done in record["runs"]):
                record["runs"].append(run(how, notebook))
                text = json.dumps(record, indent=1) + "\n"
                (RECORDS / f"{notebook.stem}.json").write_text(text, encoding="utf-8")
        broken = [done for done in record["runs"] if done["failed"]]
        failed += len(broken)
        print(f"{notebook.stem}: {len(record['runs'])} runs, {len(broken)} with a failure", *broken, flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
