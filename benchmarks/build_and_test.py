"""How long it takes to build the book, to run the tests, and to run each notebook.

    python benchmarks/build_and_test.py

In a fresh clone of what is committed, with nothing installed, one thing after the other: so leave the machine alone
meanwhile, for half an hour. The times are stored beside this file, and the table that is printed stands in
CONTRIBUTING.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from diffusion_notes.experiment.results import provenance
from diffusion_notes.experiment.runs import write_whole

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).with_suffix(".json")


def seconds(folder: Path, *command: str) -> float:
    """How long a command takes that ends well; what it says is shown if it does not."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return round(time.perf_counter() - start, 1)


def measured(folder: Path) -> dict[str, float]:
    """Everything in its order, each beginning where the one before has ended."""
    found = {"`make book`, nothing installed": seconds(folder, "make", "book")}
    found["`make book`, nothing changed"] = seconds(folder, "make", "book")
    (folder / "book" / "vae.ipynb").touch()
    found["`make book`, a page changed"] = seconds(folder, "make", "book")
    found["`make test MODULE=ddpm`"] = seconds(folder, "make", "test", "MODULE=ddpm")
    found["`make quick`"] = seconds(folder, "make", "quick")
    found["`make test`, book built"] = seconds(folder, "make", "test")
    for path in sorted(folder.glob("book/*.ipynb")):
        name = path.relative_to(folder).as_posix()
        found[f"`{name}`"] = seconds(folder, ".venv/bin/python", "tools/notebooks.py", name)
    return found


def table(found: dict[str, float]) -> str:
    """The times as a table, in seconds.

    >>> print(table({"`make book`, nothing changed": 0.4}))
    | What | Seconds |
    | --- | ---: |
    | `make book`, nothing changed | 0 |
    """
    rows = [f"| {name} | {took:.0f} |" for name, took in found.items()]
    return "\n".join(["| What | Seconds |", "| --- | ---: |", *rows])


def main() -> None:
    """Measure, store, and print the table."""
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "book"
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        found = measured(folder)
    stored = {"provenance": provenance("python benchmarks/build_and_test.py"), "seconds": found}
    write_whole(RECORD, json.dumps(stored, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
