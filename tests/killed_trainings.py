"""Training runs that are killed, starved of disk or in each other's way: what test_fitting_survival.py looks at.

``python killed_trainings.py FOLDER [DISK]`` plays them all, those that fill a disk in DISK, and says what came of each.
Each run is a fork, so that torch is imported once; the kills are SIGKILL.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from test_fitting_loop import small_data, small_model

from diffusion_notes.fitting import train
from diffusion_notes.fitting.checkpoints import _read
from diffusion_notes.fitting.loop import tqdm

# tqdm's own lock is shared with forks, and whoever is killed while holding it holds it for ever; its thread that
# watches the bars could hold any lock at the moment of a fork
tqdm.set_lock(threading.RLock())
tqdm.monitor_interval = 0

STEPS = 200
KILLS = 25
STAGES = ["nothing written", "half written", "written", "not yet moved", "moved"]


def run(path: Path | None = None, *, steps: int = STEPS, save_every: int = 1, stop_after: int = 0) -> torch.Tensor:
    """All parameters at the end of a run, the averaged ones too."""
    model = small_model()
    generator = torch.Generator().manual_seed(2)
    settings = {"steps": steps, "batch_size": 16, "save_every": save_every, "progress": False}
    for state in train(model, small_data(), generator=generator, checkpoint=path, **settings):
        if state.step == stop_after:
            break
    return torch.cat([p.detach().flatten() for m in (model, state.average) for p in m.parameters()])


def fork(work: Callable[[], object]) -> int:
    """The process in which this is done."""
    process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return process


def end(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at_random(folder: Path) -> dict:
    """Many kills of one run, each at a random moment in or after its first few saves, and then its end."""
    path = folder / "run"
    moments = random.Random(0)
    ends = []
    for _ in range(KILLS):
        saved, saves = os.pipe()
        process = fork(lambda saves=saves: run_and_tell(saves, path))
        os.close(saves)
        for _ in range(moments.randint(1, 3)):
            os.read(saved, 1)
        time.sleep(moments.uniform(0, 0.01))  # about as long as a step and its save
        os.kill(process, signal.SIGKILL)
        ends.append(end(process))
        os.close(saved)
    header, _ = _read(path)
    return {
        "killed": ends.count(-signal.SIGKILL),
        "on its way": KILLS <= header["step"] < STEPS,
        "same": torch.equal(run(), run(path)),
        "left": sorted(os.listdir(folder)),
    }


def run_and_tell(saves: int, path: Path) -> None:
    """A run that writes a byte for each save."""
    replace = os.replace

    def telling_replace(source: Path, target: Path) -> None:
        replace(source, target)
        os.write(saves, b"s")

    os.replace = telling_replace
    run(path)


def killed_while_saving(folder: Path) -> dict:
    """A kill in each stage of the seventh save, and then the run's end."""
    straight = run(steps=10)
    same = {}
    for stage in STAGES:
        assert end(fork(lambda stage=stage: run_until(stage, folder / stage))) == -signal.SIGKILL, stage
        same[stage] = torch.equal(straight, run(folder / stage, steps=10))
    return {"same": same, "left": sorted(os.listdir(folder))}


def run_until(stage: str, path: Path) -> None:
    """A run that is killed in this stage of its seventh save."""
    saves = 0
    fsync = os.fsync
    replace = os.replace

    def dying_fsync(descriptor: int) -> None:
        nonlocal saves
        saves += 1
        if saves == 7 and stage in ("nothing written", "half written"):
            whole = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, whole // 2 if stage == "half written" else 0)
            die()
        fsync(descriptor)
        if saves == 7 and stage == "written":
            die()

    def dying_replace(source: Path, target: Path) -> None:
        if saves == 7 and stage == "not yet moved":
            die()
        replace(source, target)
        if saves == 7 and stage == "moved":
            die()

    os.fsync = dying_fsync
    os.replace = dying_replace
    run(path, steps=10)


def together(folder: Path) -> dict:
    """Four processes at once on one checkpoint, and a reader that finds it whole whenever it looks."""
    path = folder / "run"
    processes = [fork(lambda: run(path, steps=60)) for _ in range(4)]
    waiting = set(processes)
    looks = 0
    while waiting:
        waiting -= {p for p in waiting if os.waitid(os.P_PID, p, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None}
        if path.exists():
            _read(path)  # which must not mix two files, one of them replaced while it is read
            looks += 1
        time.sleep(0.001)
    ends = [end(process) for process in processes]
    return {
        "ends": ends,
        "looks": looks > 0,
        "same": torch.equal(run(steps=60), run(path, steps=60)),
        "left": sorted(os.listdir(folder)),
    }


def without_room(folder: Path, take_room: Callable[[Path], None]) -> dict:
    """A run is gone on with where there is no room for a second checkpoint."""
    path = folder / "run"
    run(path, steps=20, save_every=5, stop_after=5)
    good = path.read_bytes()
    take_room(path)
    try:
        run(path, steps=20, save_every=5)
        said = "nothing"
    except OSError as error:
        said = os.strerror(error.errno)
    return {"said": said, "same": path.read_bytes() == good, "left": sorted(os.listdir(folder))}


def limited_size(path: Path) -> None:
    """Files may only have half the size of a checkpoint."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    half = path.stat().st_size // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (half, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def full_disk(path: Path) -> None:
    with open(f"{path}.ballast", "wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(4096)):
                pass
        except OSError:
            pass


def main(folder: str, disk: str = "") -> None:
    plays = {
        "killed_at_random": killed_at_random,
        "killed_while_saving": killed_while_saving,
        "together": together,
        "full_disk": lambda _: without_room(Path(disk), full_disk),
        # the last, since the limit stays
        "limited_size": lambda own: without_room(own, limited_size),
    }
    if not disk:
        del plays["full_disk"]
    found = {}
    for name, play in plays.items():
        own = Path(folder) / name
        own.mkdir()
        try:
            found[name] = play(own)
        except Exception:
            found[name] = traceback.format_exc()
    print(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(steps=1)  # what torch imports at its first step is then imported once
    main(*sys.argv[1:])
