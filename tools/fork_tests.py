"""Tests in a fork of a process that has imported torch and the like, which takes longer than most of the tests.

:func:`serving` is the one end. The other is ``ask_for_tests.py``: called in the folder that is served, it has pytest
run there, prints what it prints and ends with its exit code. Whoever stops it stops pytest too.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from threading import RLock

import pytest
from tqdm import tqdm

CLIENT = [sys.executable, "-S", "-E", str(Path(__file__).with_name("ask_for_tests.py"))]
WARM = (
    "anywidget", "diffusers", "hypothesis", "mpmath", "nbval.plugin", "playwright.sync_api", "scipy.integrate",
    "scipy.stats", "sklearn.datasets", "torch", "xdist.plugin",
)  # fmt: skip

MEMORY = 6 * 2**30  # bytes: a changed number may ask for all there is, and the machine is not its own


@contextmanager
def serving(folder: Path, tests: list[str], warm: tuple[str, ...] = WARM) -> Iterator[None]:
    """While it lasts, whoever asks in the folder gets pytest run there, with these arguments."""
    stop, stopped = Pipe()
    with socket.socket(socket.AF_UNIX) as door:
        with chdir(folder):
            door.bind("door")  # by no longer name: the address of a socket must be short
        door.listen()
        server = get_context("spawn").Process(target=_serve, args=(door, stopped, folder, tests, warm))
        server.start()
    try:
        yield
    finally:
        stop.close()
        server.join()


def _serve(door: socket.socket, stopped: Connection, folder: Path, tests: list[str], warm: tuple[str, ...]) -> None:
    for name in warm:
        import_module(name)
    tqdm.set_lock(RLock())  # a fork has a copy: tqdm's own is shared, and who is killed keeps it
    gc.freeze()  # or every run goes over all of it
    sys.dont_write_bytecode = True  # two changes within a second may look alike to Python
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    while stopped not in wait([door, stopped]):
        with door.accept()[0] as asking:
            _, streams, *_ = socket.recv_fds(asking, 1, 2)
            child = os.fork()
            if not child:
                _test(asking, streams, tests)
            os.setpgid(child, child)
            for stream in streams:
                os.close(stream)
            wait([asking, stopped])  # it hangs up when it has its answer, or when it is stopped
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)


class QuickFirst:
    """The tests in the order of how long they took when they all passed for the first time."""

    def __init__(self, path: Path) -> None:
        self.path, self.known, self.seconds = path, path.exists(), {}
        if self.known:
            self.seconds = json.loads(path.read_text(encoding="utf-8"))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort them."""
        items.sort(key=lambda item: self.seconds.get(item.nodeid, 0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how long one took."""
        if not self.known and report.when == "call":
            self.seconds[report.nodeid] = report.duration

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Keep it for the next time."""
        if not self.known and exitstatus == 0:
            self.path.write_text(json.dumps(self.seconds), encoding="utf-8")


def _test(asking: socket.socket, streams: list[int], tests: list[str]) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        for own, stream in enumerate(streams, start=1):
            os.dup2(stream, own)
        code = pytest.main(tests, plugins=[QuickFirst(Path("seconds.json"))])
        sys.stdout.flush()
        asking.sendall(bytes([code]))
    finally:
        os._exit(0)
