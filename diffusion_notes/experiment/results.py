"""Results of experiments that take longer than a page should: stored beside the package, with where they come from.

A chapter that shows such a result reads it here, and the file says which command makes it anew, on what
machine and with which versions it was made, and when.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path

import numpy as np
import torch

from diffusion_notes._arguments.values import check_choice, check_kind

__all__ = ["STORED", "load_results", "provenance"]

STORED = Path(__file__).parent / "stored"


def load_results(name: str) -> dict:
    """The stored results of that name, as they were written, with their ``"provenance"``.

    Raises:
        TypeError: ``name`` is no string.
        ValueError: there are no results of that name.
    """
    check_choice("name", name, tuple(sorted(path.stem for path in STORED.glob("*.json"))))
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


def provenance(command: str) -> dict[str, str | int]:
    """Where results come from: the command that makes them, the machine, the versions, the day.

    >>> provenance("make bench")["command"]
    'make bench'

    Raises:
        TypeError: ``command`` is no string.
    """
    check_kind("command", command, str, "a command")
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
    }
