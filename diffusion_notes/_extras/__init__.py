"""What is not installed, and what brings it: the package is light without its models."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType

__all__ = ["brought_by", "name_what_brings_torch"]

WITHOUT_TORCH = {"_arguments", "equations", "experiment", "explorables"}
"""The modules and rooms that can be imported without it, if not all of what is in them."""


@contextmanager
def brought_by(extra: str, room: str, *libraries: str) -> Iterator[None]:
    """Around the imports of a room: one that fails says which extra brings what is missing.

    Args:
        extra: The extra.
        room: The name of the room.
        libraries: What it brings, as it is imported.

    Raises:
        ImportError: If one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in libraries:
            raise
        raise ImportError(_said(room, library, extra), name=library) from error


def _said(module: str, library: str, extra: str) -> str:
    return f"{module} needs {library}, which is not installed: pip install 'diffusion-notes[{extra}]'"


class _WithoutTorch:
    """Stands before the finders of modules where there is no torch, and is asked about this package's only."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Nothing, so that others are asked, if a module can do without torch.

        Raises:
            ModuleNotFoundError: If it cannot: it names the extra.
        """
        package, _, module = name.partition(".")
        if package != "diffusion_notes" or not module or module.partition(".")[0] in WITHOUT_TORCH:
            return None
        if PathFinder.find_spec(name, path, target) is None:
            return None
        raise ModuleNotFoundError(_said(name, "torch", "models"), name="torch")


def name_what_brings_torch() -> None:
    """Let the modules that need torch say which extra brings it, where there is none."""
    if find_spec("torch") is None:
        sys.meta_path.insert(0, _WithoutTorch)
