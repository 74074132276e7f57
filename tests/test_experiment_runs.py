"""Runs that are stored and gone on with: killed in the middle, side by side, with a file that is broken."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diffusion_notes.experiment import runs as module
from diffusion_notes.experiment.runs import Runs, finite, write_whole

# Each run notes its beginning and its end in a file that all processes share.
SERIES = """
import os, sys, time
from pathlib import Path
from diffusion_notes.experiment.runs import Runs

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])

def note(what, key):
    with (folder / "noted").open("a") as file:
        file.write(f"{what} {key} {os.getpid()}\\n")

def run(key):
    note("begun", key)
    time.sleep(seconds)
    note("ended", key)
    return {"key": key}

for key in "abcdef":
    Runs(folder / "runs").once(key, run, key)
"""


def series(folder: Path, seconds: float) -> subprocess.Popen:
    """A process that makes six runs, each of so many seconds."""
    return subprocess.Popen([sys.executable, "-c", SERIES, str(folder), str(seconds)])


def noted(folder: Path) -> list[tuple[str, str, str]]:
    """What has begun and ended, which run it is, and in which process."""
    path = folder / "noted"
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(line.split()) for line in lines]


def wait_until(look) -> None:
    """Until it is so, which it soon is."""
    for _ in range(3000):
        if look():
            return
        time.sleep(0.01)
    pytest.fail("it never came")


def test_a_series_that_was_killed_goes_on_where_it_was(tmp_path):
    process = series(tmp_path, 0.2)
    wait_until(lambda: ("begun", "c", str(process.pid)) in noted(tmp_path))
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.json")}
    assert sorted(path.stem for path in before) == ["a", "b"]
    assert series(tmp_path, 0).wait() == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [what[:2] for what in noted(tmp_path) if what[2] != str(process.pid)] == [
        (what, key) for key in "cdef" for what in ("begun", "ended")
    ]
    runs = Runs(tmp_path / "runs")
    assert {key: runs[key] for key in runs} == {key: {"key": key} for key in "abcdef"}
    assert sorted(os.listdir(tmp_path / "runs")) == [f"{key}.json" for key in "abcdef"]


def test_two_processes_share_a_series_and_make_no_run_twice(tmp_path):
    both = [series(tmp_path, 0.1) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    done = noted(tmp_path)
    assert sorted(key for what, key, _ in done if what == "begun") == list("abcdef")
    assert sorted(key for what, key, _ in done if what == "ended") == list("abcdef")
    assert list(Runs(tmp_path / "runs")) == list("abcdef")


def test_what_another_process_is_making_is_left_to_it(tmp_path):
    process = series(tmp_path, 60)
    try:
        wait_until(lambda: noted(tmp_path))
        runs = Runs(tmp_path / "runs")
        assert not runs.once("a", pytest.fail, "it is being made")
        assert runs.once("b", dict)
    finally:
        process.kill()
        process.wait()
    assert runs.once("a", dict)  # the lock of a process that is gone holds nobody


def test_a_broken_file_is_named_and_left_alone(tmp_path):
    runs = Runs(tmp_path)
    (tmp_path / "seed 3.json").write_text('{"gap": 0.')
    assert "seed 3" in runs
    assert not runs.once("seed 3", pytest.fail, "it is there")
    with pytest.raises(ValueError, match=r"seed 3\.json must be JSON \(.*\); remove it to have its run made again"):
        runs["seed 3"]
    assert (tmp_path / "seed 3.json").read_text() == '{"gap": 0.'


def test_a_run_that_fails_stores_nothing_and_may_be_made_again(tmp_path):
    runs = Runs(tmp_path / "runs")

    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.once("a", fails)
    with pytest.raises(TypeError, match="not JSON serializable"):
        runs.once("a", object)
    assert list(runs) == []
    assert runs.once("a", lambda: [1])
    assert runs["a"] == [1]


def test_a_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "found.json"
    write_whole(path, "before")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "after")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["found.json"]


def test_what_is_stored_is_strict_json(tmp_path):
    runs = Runs(tmp_path)
    runs.once("a", lambda: {"gap": math.nan, "terms": (1, -math.inf), "name": "µ"})
    stored = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert stored == {"gap": None, "terms": [1, None], "name": "µ"}
    assert finite(True) is True


def test_a_run_that_is_not_there_is_a_key_error(tmp_path):
    assert list(Runs(tmp_path / "nowhere")) == []
    with pytest.raises(KeyError, match="seed 3"):
        Runs(tmp_path / "nowhere")["seed 3"]


@pytest.mark.parametrize("key", ["", ".hidden", "../up", "data/clusters"])
def test_a_key_that_is_no_name_of_a_file_is_refused(tmp_path, key):
    with pytest.raises(ValueError, match="key must be the name of a file"):
        Runs(tmp_path).once(key, dict)
