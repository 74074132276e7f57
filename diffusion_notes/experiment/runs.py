"""Runs that are stored and gone on with: a series of long computations, each kept as soon as it has ended.

A run has a key, which says all that distinguishes it from the others, and is one JSON file in a folder. A series that
is interrupted therefore goes on where it was: what is stored is not computed again. Several processes may work on one
series side by side, since a run is made under a lock of its own. A file is written beside its place and moved there
when it is whole, so a process that is killed leaves no half of one.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     runs = Runs(Path(folder))
...     made = [runs.once(f"seed {seed}", pow, seed, 2) for seed in (3, 4, 3)]
...     made, list(runs), runs["seed 4"]
([True, True, False], ['seed 3', 'seed 4'], 16)
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

__all__ = ["Runs", "finite", "write_whole"]


class Runs(Mapping[str, Any]):
    """The runs of a series by their keys, in a folder that is made when the first of them is.

    Args:
        folder: where the files are, one a run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Runs({str(self.folder)!r})"

    def __iter__(self) -> Iterator[str]:
        """The keys of the runs that are stored, sorted."""
        return iter(sorted(path.stem for path in self.folder.glob("*.json")))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        """Whether a run of that key is stored, readable or not."""
        return isinstance(key, str) and self._path(key).exists()

    def __getitem__(self, key: str) -> Any:
        """What the run of that key has found.

        Raises:
            KeyError: there is no such run.
            ValueError: its file is no JSON. The file is left as it is.
        """
        path = self._path(key)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise KeyError(key) from None
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path} must be JSON ({error}); remove it to have its run made again") from error

    def once(self, key: str, run: Callable[..., object], *arguments: object) -> bool:
        """Make a run and store what it has found, unless it is stored, or another process is making it.

        Args:
            key: the run's name, and that of its file.
            run: makes it; called with the arguments. What it returns is stored as :func:`finite` leaves it.
            *arguments: what the run depends on.

        Returns:
            Whether it was made now.

        Raises:
            ValueError: the key is no name of a file.
            TypeError: what the run has found cannot be written as JSON.
        """
        path = self._path(key)
        if path.exists():
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self.folder / f".{key}.lock"
        try:
            with FileLock(lock, blocking=False):
                if path.exists():  # another process has ended it since
                    return False
                write_whole(path, json.dumps(finite(run(*arguments)), allow_nan=False))
                lock.unlink(missing_ok=True)  # whoever has it open still finds the run stored
        except Timeout:
            return False
        return True

    def _path(self, key: str) -> Path:
        if not key or key.startswith(".") or Path(key).name != key:
            raise ValueError(f"key must be the name of a file, not hidden and in no folder, got {key!r}")
        return self.folder / f"{key}.json"


def finite(found: object) -> object:
    """The same with None in place of numbers that are not finite, which JSON does not know.

    >>> finite({"gap": math.nan, "terms": [1.5, math.inf], "rung": "VAE"})
    {'gap': None, 'terms': [1.5, None], 'rung': 'VAE'}
    """
    if isinstance(found, dict):
        return {name: finite(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [finite(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all, whenever the process is killed: beside its place, then moved there.

    The folder is made where there is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
