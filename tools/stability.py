"""Do the notebooks give their stored outputs every time? Twenty runs of `pytest --nbval`, no two alike.

    python tools/stability.py [RUNS]

The runs differ in torch's threads, in the seed of Python's hashes, and in whether torch may use algorithms that are not
deterministic. Each is noted in a file as soon as it has ended, so that a series that is interrupted goes on where it
was; a change of the package or of a notebook begins another.
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
RECORD = ROOT / "benchmarks" / "stability.json"
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


def sources(root: Path = ROOT) -> str:
    """One name for all that the outputs depend on."""
    whole = hashlib.sha256()
    for path in sorted([*root.glob("book/*.ipynb"), *root.glob("diffusion_notes/**/*.*"), root / "requirements.txt"]):
        if path.suffix != ".pyc":
            whole.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def run(how: dict, notebooks: list[str]) -> dict:
    """All the notebooks once."""
    with tempfile.TemporaryDirectory() as folder:
        startup = Path(folder, "profile_default", "startup", "00-strict.py")
        startup.parent.mkdir(parents=True)
        startup.write_text(STRICT if how["deterministic"] else "", encoding="utf-8")
        environment = os.environ | {
            "IPYTHONDIR": folder,
            "OMP_NUM_THREADS": str(how["threads"]),
            "PYTHONHASHSEED": str(how["hash seed"]),
        }
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "--tb=short", *notebooks]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    ending = ENDING.search(done.stdout)
    failed, passed = (int(number or 0) for number in ending.groups()) if ending else (1, 0)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return how | {"passed": passed, "failed": failed or int(done.returncode != 0)}


def load() -> dict:
    """The record as it stands, or a new one if it is of other sources or another machine's kind."""
    about = {
        "sources": sources(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "torch": version("torch"),
    }
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return record if record.get("about") == about else {"about": about, "runs": []}


def main() -> int:
    """Do what is still to be done; 1 if anything failed."""
    record = load()
    notebooks = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("book/*.ipynb"))]
    for how in settings(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
        if not any(how.items() <= done.items() for done in record["runs"]):
            record["runs"].append(run(how, notebooks))
            RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(next(done for done in record["runs"] if how.items() <= done.items()), flush=True)
    return int(any(done["failed"] for done in record["runs"]))


if __name__ == "__main__":
    raise SystemExit(main())
