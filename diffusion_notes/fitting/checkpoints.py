"""Checkpoints that are whole or not there at all, and that are read without executing them.

A checkpoint is one safetensors file: tensors, and a header of JSON with a digest of all, so that no bit changes
unseen. It is written to a temporary file beside its place, brought to the disk, and moved to its place in one step:
whenever a run is killed, the last good checkpoint survives. Each save has a temporary file of its own, so that
several processes may save to one place without a lock.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import secrets
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from diffusion_notes._arguments.tensors import check_finite, check_has_values, check_tensor
from diffusion_notes._arguments.values import check_kind, checked_json

__all__ = ["Checkpoint", "CheckpointError", "fingerprint", "load_weights", "save_weights"]

_FORMAT = "diffusion_notes.fitting.2"


class CheckpointError(ValueError):
    """A file that cannot be used, and why. The file has not been touched."""


class Checkpoint:
    """The file at ``path`` that a training run is saved to and resumed from.

    The ``settings``, JSON values by name, say what must be the same for the run to be the same run. Raises a TypeError
    unless they are JSON and ``path`` is a path, and a FileNotFoundError if its directory does not exist.
    """

    def __init__(self, path: str | Path, settings: dict) -> None:
        check_kind("path", path, (str, Path), "a path")
        self.path = Path(path)
        self.settings = checked_json("settings", settings)
        folder = Path(os.path.realpath(path)).parent  # where a link leads to, if it is one
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no directory {folder} to save a checkpoint in")

    def save(self, step: int, model: nn.Module, average: nn.Module, optimizer: Optimizer, generator: Generator) -> None:
        """Write everything the next step depends on.

        Raises a ValueError if a value is not finite, and an OSError if the disk is full: the last good state stays.
        """
        tensors = _state(model, average, optimizer.state_dict()["state"]) | {"generator": generator.get_state()}
        _write(self.path, tensors, {"format": _FORMAT, "step": step, "settings": self.settings})

    def load(self, model: nn.Module, average: nn.Module, optimizer: Optimizer, generator: Generator) -> int:
        """Restore a run, and return how many steps it has taken: 0 if there is no file.

        Raises a CheckpointError if the file is damaged, is no checkpoint, or is one of another run. Nothing is
        restored unless all of it fits.
        """
        _remove_leftovers(self.path)
        if not self.path.exists():
            return 0
        header, tensors = _read(self.path)
        if header.get("format") != _FORMAT:
            raise CheckpointError(f"{self.path} is not a checkpoint of a training run")
        for name in sorted(self.settings.keys() | header["settings"].keys()):
            if (theirs := header["settings"].get(name)) != (mine := self.settings.get(name)):
                raise CheckpointError(f"{self.path} is of another run: its {name} is {theirs!r}, not {mine!r}")
        random_state = tensors.pop("generator")
        if random_state.shape != generator.get_state().shape:
            raise CheckpointError(f"{self.path} is of a run on another kind of device")
        step = torch.zeros((), dtype=torch.float32)
        moments = {  # Adam has none before its first step, and never any of a parameter that is not used
            i: {"step": step.clone(), "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
            for i, p in enumerate(model.parameters())
            if f"optimizer.{i}.step" in tensors
        }
        _restore(self.path, _state(model, average, moments), tensors)
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
        generator.set_state(random_state)
        return header["step"]


def save_weights(module: nn.Module, path: str | Path, about: dict | None = None) -> None:
    """Write a module's parameters and buffers to a safetensors file, with ``about`` (JSON) in its header.

    Raises a TypeError for an argument of another kind, a ValueError if a value is not finite, and an OSError if the
    file cannot be written. What is there stays.
    """
    check_kind("module", module, nn.Module, "a torch module")
    check_kind("path", path, (str, Path), "a path")
    header = {"format": "weights", "about": {} if about is None else checked_json("about", about)}
    _remove_leftovers(Path(path))
    _write(Path(path), module.state_dict(), header)


def load_weights(module: nn.Module, path: str | Path) -> dict:
    """Read what :func:`save_weights` wrote into ``module``, and return what is said ``about`` it.

    Raises a TypeError for an argument of another kind, a FileNotFoundError, and a CheckpointError if the file is
    damaged or is of a module of another shape. ``module`` is then unchanged.
    """
    check_kind("module", module, nn.Module, "a torch module")
    check_kind("path", path, (str, Path), "a path")
    header, tensors = _read(Path(path))
    _restore(Path(path), module.state_dict(), tensors)
    return header.get("about", {})


def fingerprint(data: Tensor) -> str:
    """The first half of the SHA-256 of a tensor's values: the same values, the same name.

    >>> fingerprint(torch.zeros(3)) == fingerprint(torch.zeros(4))
    False
    """
    check_tensor("data", data)
    check_has_values("data", data)
    return hashlib.sha256(to_bytes({"data": data.detach().cpu().contiguous()})).hexdigest()[:32]


def _state(model: nn.Module, average: nn.Module, moments: dict[int, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of a run by name; the moments are Adam's, by the number of their parameter."""
    parts = {"model": model.state_dict(), "average": average.state_dict()}
    parts |= {f"optimizer.{i}": moments[i] for i in moments}
    return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def _restore(path: Path, mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Copy their values into my tensors, if all of them fit."""
    if mine.keys() != theirs.keys():
        name = min(mine.keys() ^ theirs.keys())
        raise CheckpointError(f"{path} is of another model: {name} is in {'it' if name in theirs else 'this one'} only")
    for name, tensor in theirs.items():
        its, own = (f"{tuple(x.shape)} {x.dtype}" for x in (tensor, mine[name]))
        if its != own:
            raise CheckpointError(f"{path} is of another model: its {name} is {its}, this one's is {own}")
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path} is damaged: its {name} is not finite")
    with torch.no_grad():
        for name, tensor in theirs.items():
            mine[name].copy_(tensor)


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """The header and the tensors of a file, if they are those that were written."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file")
    content = path.read_bytes()  # at once: safe_open opens a file twice, and another process may replace it meanwhile
    try:
        size = int.from_bytes(content[:8], "little")
        header = dict(json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["diffusion_notes"]))
        tensors = from_bytes(content)
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged, or is no file of this package: {error}") from error
    digest = header.pop("digest", None)  # which the weights of earlier versions have not
    if digest != _digest(header, tensors) and not (digest is None and header.get("format") == "weights"):
        raise CheckpointError(f"{path} is damaged: what it holds is not what was written")
    return header, tensors


def _digest(header: dict, tensors: dict[str, Tensor]) -> str:
    """The SHA-256 of all that a file holds."""
    whole = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _write(path: Path, tensors: dict[str, Tensor], header: dict) -> None:
    """Put a file in its place in one step, or leave what is there."""
    for name, tensor in tensors.items():
        check_has_values(name, tensor)
        check_finite(name, tensor.cpu())  # or a run that went astray would take the place of its last good state
    # cloned, since safetensors refuses tensors that share their memory, as tied weights do
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    said = json.dumps(header | {"digest": _digest(header, tensors)}, sort_keys=True)
    content = to_bytes(tensors, metadata={"diffusion_notes": said})
    path = Path(os.path.realpath(path))  # a link stays, and what it leads to is replaced
    while True:
        part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        try:
            with open(part, "xb") as file:  # which neither opens what is there nor follows a link
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            return os.replace(part, path)
        except FileNotFoundError:  # a run that has just begun took it for a leftover
            if not path.parent.is_dir():
                raise
        finally:
            part.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove what was left by processes killed while saving. One that is alive notices, and writes it again."""
    path = Path(os.path.realpath(path))
    for part in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}.part"):
        with contextlib.suppress(OSError):  # another was faster; or, on Windows, writes it
            part.unlink()
