"""Do the notebooks give their stored outputs every time? Twenty runs of `pytest --nbval` for each, no two alike.

    python tools/stability.py [RUNS [NOTEBOOK ...]]

The runs differ in torch's threads, in the seed of Python's hashes, and in whether torch may use algorithms that are not
deterministic. Each is kept as soon as it has ended, so that a series that is interrupted goes on where it was, and
several processes may share it. A series belongs to what the package and the cells do: a comment, a docstring or a
sentence may change, but another line of code begins another series. The notebook's record in benchmarks/stability says
what was found last.
"""

from __future__ import annotations

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

from syntax import fingerprint, tree

from diffusion_notes.experiment.runs import Runs, write_whole

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "_build" / "stability"
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
    """One name for what the outputs of a notebook depend on: what its cells and the package do, and stored numbers.

    Stored results are among them where a cell names them. Scripts of explorables are not: they run in the page.
    """
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    code = ["".join(cell["source"]) for cell in cells]
    parts: list[str | bytes] = [tree(cell) for cell in code]
    package = root / "diffusion_notes"
    parts += [tree(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))]
    parts += [path.read_bytes() for ending in ("lark", "safetensors") for path in sorted(package.rglob(f"*.{ending}"))]
    for path in sorted(package.rglob("stored/*.json")):
        if any(f'load_results("{path.stem}")' in cell for cell in code):
            parts.append(path.read_bytes())
    return fingerprint(*parts, (root / "requirements.txt").read_bytes())


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
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "--tb=short"]
        done = subprocess.run(
            [*command, str(notebook)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    ending = ENDING.search(done.stdout)
    failed, passed = (int(number or 0) for number in ending.groups()) if ending else (1, 0)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return how | {"passed": passed, "failed": failed or int(done.returncode != 0)}


def about(notebook: Path) -> dict[str, str]:
    """What a series of runs belongs to: the sources and the kind of machine."""
    return {
        "sources": sources(notebook),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "torch": version("torch"),
    }


def series(notebook: Path, runs: int) -> dict:
    """Make the runs that are still to be made, and note after each what there is."""
    belongs = about(notebook)
    made = Runs(RUNS / f"{notebook.stem}, {fingerprint(*belongs.values())}")
    path = RECORDS / f"{notebook.stem}.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = record["runs"] if record.get("about") == belongs else []
    for how in settings(runs):
        if not any(how.items() <= done.items() for done in known):
            made.once(f"{how['hash seed']:03}", run, how, notebook)
            known += [done for done in made.values() if done not in known]  # those of other processes too
            known.sort(key=lambda done: done["hash seed"])
            path.parent.mkdir(exist_ok=True)
            write_whole(path, json.dumps({"about": belongs, "runs": known}, indent=1) + "\n")
    return {"about": belongs, "runs": known}


def main() -> int:
    """Do what is still to be done; 1 if anything failed."""
    runs, *names = sys.argv[1:] or ["20"]
    failed = 0
    notebooks = [Path(name) for name in names] or sorted(ROOT.glob("book/*.ipynb"))
    for notebook in notebooks:
        record = series(notebook, int(runs))
        broken = [done for done in record["runs"] if done["failed"]]
        failed += len(broken)
        print(f"{notebook.stem}: {len(record['runs'])} runs, {len(broken)} with a failure", *broken, flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
