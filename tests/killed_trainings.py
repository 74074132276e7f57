"""Processes that train, and are killed, starved of disk or in each other's way: what test_survival.py runs.

``python killed_trainings.py kills|stages|twins|full PATH``. Each process is a fork, so that torch is imported once; the
kills are SIGKILL.
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
from collections import deque
from pathlib import Path

import torch
from test_fitting_loop import small_data, small_model

from diffusion_notes.fitting import train
from diffusion_notes.fitting.checkpoints import _read
from diffusion_notes.fitting.loop import tqdm

STEPS = 400
# tqdm's own lock is shared with forks, and whoever is killed while holding it holds it for ever; its thread that
# watches the bars could hold any lock at the moment of a fork
tqdm.set_lock(threading.RLock())
tqdm.monitor_interval = 0


def run(path, *, steps=STEPS, save_every=1):
    model, generator = small_model(), torch.Generator().manual_seed(2)
    settings = {"steps": steps, "batch_size": 16, "save_every": save_every, "progress": False}
    state = deque(train(model, small_data(), generator=generator, checkpoint=path, **settings), maxlen=1).pop()
    return torch.cat([p.detach().flatten() for m in (model, state.average) for p in m.parameters()])


def child(work) -> int:
    """The process in which this is done."""
    process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return process


def end(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kills(path: str) -> dict:
    """Fifty SIGKILLs at random moments of one run, and then its end."""
    straight, start = run(path + ".straight"), time.monotonic()
    run(path + ".timed")  # the second is the faster: it says how long fifty lives may be, to be over before the end
    os.remove(path + ".timed")
    took, moments, ends = time.monotonic() - start, random.Random(0), []
    for _ in range(50):
        process = child(lambda: run(path))
        time.sleep(moments.uniform(0, took / 75))
        os.kill(process, signal.SIGKILL)
        ends.append(end(process))
    return {"killed": ends.count(-signal.SIGKILL), "same": torch.equal(straight, run(path))}


def stages(path: str) -> dict:
    """A SIGKILL in each stage of a save: before the file is opened, in it, before and after it takes its place."""
    straight, same = run(path + ".straight", steps=20), {}
    for stage in ("truncate", "half", "fsync", "replace", "replaced"):

        def work(stage=stage):
            count, fsync, replace = [0], os.fsync, os.replace

            def die():
                os.kill(os.getpid(), signal.SIGKILL)

            def dying_fsync(descriptor):
                count[0] += 1
                if count[0] == 7 and stage == "truncate":
                    os.ftruncate(descriptor, 0)
                    die()
                if count[0] == 7 and stage == "half":
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                    die()
                fsync(descriptor)
                if count[0] == 7 and stage == "fsync":
                    die()

            def dying_replace(source, target):
                if count[0] == 7 and stage == "replace":
                    die()
                replace(source, target)
                if count[0] == 7 and stage == "replaced":
                    die()

            os.fsync, os.replace = dying_fsync, dying_replace
            run(f"{path}.{stage}", steps=20)

        assert end(child(work)) == -signal.SIGKILL
        same[stage] = torch.equal(straight, run(f"{path}.{stage}", steps=20))
    return same


def twins(path: str) -> dict:
    """Four processes at once on one checkpoint, and a reader that finds it whole whenever it looks."""
    straight = run(path + ".straight", steps=100)
    processes = [child(lambda: run(path, steps=100)) for _ in range(4)]
    waiting, looks = set(processes), 0
    while waiting:
        waiting -= {p for p in waiting if os.waitid(os.P_PID, p, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None}
        if os.path.exists(path):
            _read(Path(path))  # which must not mix two files, one of them replaced while it is read
            looks += 1
    ends = [end(process) for process in processes]
    return {"ends": ends, "looks": looks, "same": torch.equal(straight, run(path, steps=100))}


def full(path: str) -> dict:
    """A save for which there is no room, on a disk that is full or with a limit on the size of a file."""
    run(path, steps=20, save_every=20)
    with open(path, "rb") as file:
        before = file.read()
    os.remove(path)
    first = child(lambda: _stopped(path))
    end(first)
    with open(path, "rb") as file:
        good = file.read()
    if os.statvfs(os.path.dirname(path)).f_bavail > 2**20 // 4096:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))
    else:
        with open(path + ".ballast", "wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                pass
    try:
        run(path, steps=20, save_every=5)
        said = "nothing"
    except OSError as error:
        said = str(error)
    with open(path, "rb") as file:
        return {"said": said, "same": file.read() == good, "left": sorted(os.listdir(os.path.dirname(path)))}


def _stopped(path):
    model, generator = small_model(), torch.Generator().manual_seed(2)
    settings = {"steps": 20, "batch_size": 16, "save_every": 5, "progress": False}
    for state in train(model, small_data(), generator=generator, checkpoint=path, **settings):
        if state.step == 5:
            return


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"kills": kills, "stages": stages, "twins": twins, "full": full}[sys.argv[1]](sys.argv[2])))
