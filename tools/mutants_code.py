"""Would the tests see it? The modules that carry the maths, with one operator, number, condition or loop changed.

    python tools/mutants_code.py [MODULE ...]

cosmic-ray makes the changes, in a copy of the project, and runs the module's own tests and its examples on each. A
sitting that is interrupted goes on where it was, until the module or its tests change. Of the arithmetic operators
only the nearest relatives are tried, since hardly a test lets a product pass for a shift of bits; and none for "|",
which nearly always stands in an annotation, where it is not evaluated. What survives is listed in the record, with
the reason if mutants_explained.toml has one: it is to be killed, or explained where it changes nothing.
"""

from __future__ import annotations

import fcntl
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from fork_tests import CLIENT, serving

ROOT = Path(__file__).resolve().parents[1]
SESSIONS = ROOT / "_build" / "mutants"
RECORD = ROOT / "benchmarks" / "mutants.json"
EXPLAINED = Path(__file__).with_name("mutants_explained.toml")
TOOLS = ROOT / ".venv-mutants" / "bin"
MATHS = (
    "best_levels", "bound", "chain", "clusters", "ddpm", "diffusion", "distributions", "hierarchical_vae",
    "ladder", "layerwise", "linear_gaussian", "neural_chain", "parameterisations", "quadrature", "quality",
    "rungs", "scalar_latent", "swiss_roll", "tables", "vae",
)  # fmt: skip
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "--assert=plain", "--hypothesis-profile=verdict")
LEFT_OUT = [
    r"core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_Div|Mul_Add|Div_Mul|Pow_Mul|FloorDiv_Div|Mod_Mul)",
    r"core/ReplaceUnaryOperator_(?!Delete_Not|Delete_USub)",  # "+1" is what "1" is
]
CONFIGURATION = """\
[cosmic-ray]
module-path = "diffusion_notes/{module}.py"
timeout = {timeout}
excluded-modules = []
test-command = "{command}"
distributor.name = "local"

[cosmic-ray.filters.operators-filter]
exclude-operators = {left_out}
"""


def copy(to: Path) -> Path:
    """The project as it stands, where it may be changed."""
    for part in ("benchmarks", "diffusion_notes", "tests"):
        shutil.copytree(ROOT / part, to / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / part, to / part)
    return to


def sources_of(module: str) -> str:
    """One name for a module and its tests as they stand."""
    sources = [ROOT / "diffusion_notes" / f"{module}.py", ROOT / "tests" / f"test_{module}.py"]
    return sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def examine(module: str) -> dict:
    """Try all the mutants of a module that have not been tried."""
    sources = sources_of(module)
    session = SESSIONS / f"{module}-{sources}.sqlite"
    tests = [*OPTIONS, f"tests/test_{module}.py", f"diffusion_notes/{module}.py"]
    with alone(module), tempfile.TemporaryDirectory() as folder:
        project = copy(Path(folder) / "copy")
        with serving(project, tests):
            tried = changed(module, session, project)
    return {"sources": sources} | verdict(tried, reasons(module))


@contextmanager
def alone(module: str) -> Iterator[None]:
    """Two processes would both write down what each mutant did, and so count it twice."""
    SESSIONS.mkdir(parents=True, exist_ok=True)
    with (SESSIONS / f"{module}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{module} is being examined by another process") from None
        yield


def changed(module: str, session: Path, project: Path) -> list:
    """What cosmic-ray tells of each mutant."""
    command, timeout = shlex.join(CLIENT), 30 + 5 * seconds(project)
    configuration = project / "mutants.toml"
    text = CONFIGURATION.format(module=module, timeout=timeout, command=command, left_out=json.dumps(LEFT_OUT))
    configuration.write_text(text, encoding="utf-8")

    def cosmic_ray(tool: str, *arguments: str | Path) -> str:
        command = [TOOLS / tool, *arguments]
        return subprocess.run(command, cwd=project, check=True, stdout=subprocess.PIPE, text=True).stdout

    if not session.exists():
        whole = session.with_suffix(".part")  # one that is interrupted here would lack its filter for ever
        whole.unlink(missing_ok=True)
        cosmic_ray("cosmic-ray", "init", configuration, whole)
        cosmic_ray("cr-filter-operators", whole, configuration)
        whole.rename(session)
    cosmic_ray("cosmic-ray", "exec", configuration, session)
    return [json.loads(line) for line in cosmic_ray("cosmic-ray", "dump", session).splitlines()]


def seconds(project: Path) -> float:
    """How long the tests take before anything is changed, all that is imported included."""
    start = time.perf_counter()
    done = subprocess.run(CLIENT, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the tests fail before anything is changed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def reasons(module: str) -> dict[str, str]:
    """Why a changed line does what the line did, for those of which somebody has found out."""
    explained = tomllib.loads(EXPLAINED.read_text(encoding="utf-8")).get(module, {})
    return {line: why for why, lines in explained.items() for line in lines}


def verdict(tried: list, why: dict[str, str]) -> dict:
    """How many were killed, and what became of the lines where they were not."""
    tried = [(item["mutations"][0], result) for item, result in tried if result["worker_outcome"] != "skipped"]
    counts = Counter(result["test_outcome"] for _, result in tried)
    killed = counts["killed"] + counts["incompetent"]
    survivors = []
    for mutation, result in tried:
        if result["test_outcome"] == "survived":
            before, after = (changed_line(result["diff"], sign) for sign in "-+")
            after = after or f"without {before}"
            survivor = {"line": mutation["start_pos"][0], "code": before, "changed": after}
            survivors.append(survivor | ({"why": why[after]} if after in why else {}))
    survivors.sort(key=lambda survivor: (survivor["line"], survivor["changed"]))
    return {"mutants": len(tried), "killed": killed, "share": round(killed / len(tried), 3), "survivors": survivors}


def changed_line(diff: str, sign: str) -> str:
    """The line that a difference takes away, or puts there."""
    found = [line[1:].strip() for line in diff.splitlines() if line.startswith(sign) and line[1:3] != sign * 2]
    return " ".join(line for line in found if line)


def main() -> None:
    """Examine, and note what was found."""
    unknown = set(sys.argv[1:]) - set(MATHS)
    if unknown:
        raise SystemExit(f"MODULE must be one of {', '.join(MATHS)}, got {', '.join(sorted(unknown))}")
    for module in sys.argv[1:] or MATHS:
        found = examine(module)
        record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
        record = dict(sorted((record | {module: found}).items()))
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(module, {key: value for key, value in found.items() if key != "survivors"}, flush=True)


if __name__ == "__main__":
    main()
