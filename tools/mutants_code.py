"""Would the tests see it? The modules that carry the maths, with one operator, number, condition or loop changed.

    python tools/mutants_code.py [MODULE ...]      such as schedule or chains/protocol

cosmic-ray makes the changes, in a copy of the project, and its session remembers what became of each, so a sitting that
is interrupted goes on where it was, until the module or its tests do something else. They run in a fork, which has
torch already. [tool.mutants] in pyproject.toml says which modules are meant and which changes are left out.
"""

from __future__ import annotations

import difflib
import gc
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from contextlib import chdir, suppress
from importlib import import_module
from importlib.metadata import entry_points
from multiprocessing import get_context
from pathlib import Path
from threading import RLock

import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult
from filelock import FileLock
from syntax import fingerprint, tree
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
SESSIONS = ROOT / "_build" / "mutants"
RECORD = ROOT / "benchmarks" / "mutants.json"
EXPLAINED = Path(__file__).with_name("mutants_explained.toml")
CHOSEN = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
OPTIONS = ("-q", "-x", "--ff", "--assert=plain", "--hypothesis-profile=verdict")
MEMORY = 6 * 2**30  # bytes: a changed number may ask for all there is


def modules() -> list[str]:
    """The modules that carry the maths, as paths in the package."""
    package = ROOT / "diffusion_notes"
    paths = sorted(path for pattern in CHOSEN["modules"] for path in package.glob(f"{pattern}.py"))
    names = [path.relative_to(package).with_suffix("").as_posix() for path in paths if path.stem != "__init__"]
    return [name for name in names if name not in CHOSEN["without"]]


def sources(module: str) -> list[str]:
    """The file of a module, where its examples are, and those of its tests, whose names begin with its path."""
    name = module.replace("/", "_")
    paths = [*ROOT.glob(f"tests/test_{name}.py"), *sorted(ROOT.glob(f"tests/test_{name}_*.py"))]
    found = [path.relative_to(ROOT).as_posix() for path in paths]
    if not found or not (ROOT / "diffusion_notes" / f"{module}.py").exists():
        raise SystemExit(f"MODULE must be a module with tests of its own, such as {modules()[0]}, got {module}")
    return [f"diffusion_notes/{module}.py", *found]


def meaning(module: str) -> str:
    """One name for what a module and its tests do."""
    return fingerprint(*(tree((ROOT / path).read_text(encoding="utf-8")) for path in sources(module)))


def examine(module: str) -> list[WorkResult]:
    """What became of each change that is not left out, in this sitting or an earlier one."""
    code, *tests = sources(module)
    SESSIONS.mkdir(parents=True, exist_ok=True)
    session = SESSIONS / f"{module.replace('/', '.')}-{meaning(module)}.sqlite"
    with FileLock(f"{session}.lock", blocking=False), tempfile.TemporaryDirectory() as copy, chdir(copy):
        copy_here()
        start = time.perf_counter()
        if not passes([*tests, code], timeout=1800):
            raise SystemExit(f"{module}: the tests fail before anything is changed:\n{Path('said').read_text()}")
        timeout = 30 + 5 * (time.perf_counter() - start)
        with use_db(session) as db:
            if not db.num_work_items:
                init([Path(code)], db, {})
            for item in db.pending_work_items:
                (change,) = item.mutations
                if not re.match(CHOSEN["left-out"], change.operator_name):
                    db.set_result(item.job_id, outcome(change, [*tests, code], timeout))
            return [result for _, result in db.completed_work_items if result.test_outcome]


def copy_here() -> None:
    """What a module and its tests need of the project, into the working directory."""
    for part in ("benchmarks", "diffusion_notes", "tests"):
        shutil.copytree(ROOT / part, part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / part, part)


def outcome(change: MutationSpec, tests: list[str], timeout: float) -> WorkResult:
    """Make a change, run the tests, and take the change back."""
    operator = get_operator(change.operator_name)(**change.operator_args)
    with use_mutation(change.module_path, operator, change.occurrence) as (before, after):
        if after is None:
            return WorkResult(WorkerOutcome.NO_TEST)
        seen = not passes(tests, timeout)
    difference = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm=""))[3:]
    test_outcome = TestOutcome.KILLED if seen else TestOutcome.SURVIVED
    return WorkResult(WorkerOutcome.NORMAL, test_outcome=test_outcome, diff="\n".join(difference))


def passes(tests: list[str], timeout: float) -> bool:
    """Whether the tests pass in the working directory; what they say is in the file ``said`` there."""
    process = get_context("fork").Process(target=_test, args=(tests,))
    process.start()
    assert process.pid is not None
    try:
        process.join(timeout)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and with it whatever it has started
        process.join()
    return process.exitcode == 0


def _test(tests: list[str]) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with open("said", "wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    tqdm.set_lock(RLock())  # its own is shared with other forks, and who is killed keeps it
    os.environ["PYTHONPATH"] = os.getcwd()
    sys.path.insert(0, os.getcwd())
    sys.dont_write_bytecode = True  # two changes within a second may look alike to Python
    code = pytest.main([*OPTIONS, *tests])
    sys.stdout.flush()
    os._exit(code)


def summary(results: list[WorkResult], reasons: dict[str, list[str]]) -> dict:
    """How many changes were seen, and which were not: the line, what it became, and why that makes no difference."""
    why = {line: reason for reason, lines in reasons.items() for line in lines}
    survivors = []
    for result in (each for each in results if each.test_outcome == TestOutcome.SURVIVED):
        lines = [(line[0], line[1:].strip()) for line in result.diff.splitlines() if line[1:].strip()]
        before = " ".join(line for sign, line in lines if sign == "-")
        after = " ".join(line for sign, line in lines if sign == "+") or f"without {before} {lines[-1][1]}"
        survivors.append({"code": before, "changed": after, "why": why.get(after)})
    survivors.sort(key=lambda survivor: (survivor["code"], survivor["changed"]))
    killed = len(results) - len(survivors)
    return {"mutants": len(results), "killed": killed, "share": round(killed / len(results), 3), "survivors": survivors}


def warm() -> None:
    """Import what pytest and the tests import, once for all the forks; nothing of the project, which is changed."""
    for plugin in entry_points(group="pytest11"):
        plugin.load()
    for name in CHOSEN["warm"]:
        import_module(name)
    gc.freeze()  # or every fork goes over all of it


def main() -> int:
    """Examine, and note what was found; 1 if too little is seen, or something is not seen and not explained."""
    warm()
    reasons = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))
    failed = 0
    for module in sys.argv[1:] or modules():
        found = {"sources": meaning(module)} | summary(examine(module), reasons)
        with FileLock(SESSIONS / "record.lock"):
            record = json.loads(RECORD.read_text(encoding="utf-8")) | {module: found}
            if not sys.argv[1:]:  # those of modules that are gone
                record = {name: each for name, each in record.items() if name in modules()}
            RECORD.write_text(json.dumps(dict(sorted(record.items())), indent=1) + "\n", encoding="utf-8")
        unexplained = [survivor["changed"] for survivor in found["survivors"] if not survivor["why"]]
        failed += found["share"] < CHOSEN["at-least"] or bool(unexplained)
        print(f"{module}: {found['killed']} of {found['mutants']}", *unexplained, sep="\n  not seen: ", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
