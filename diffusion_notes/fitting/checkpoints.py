"""Checkpoints that are whole or not there at all, and that are read without executing them.

A checkpoint is one safetensors file: tensors, and a header of JSON with a digest of them all, so that no bit
changes unseen. It is written beside its place, by one process at a time, and then moved there in one step, so
that whenever a run is killed, the last good one survives.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # there is none on Windows, and no lock either
    fcntl = None

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Generator, Tensor, nn

from diffusion_notes._arguments.tensors import check_finite, check_has_values, check_tensor
from diffusion_notes._arguments.values import check_integer, check_kind, checked_json

__all__ = ["Checkpoint", "CheckpointError", "fingerprint", "load_weights", "save_weights"]

_FORMAT = "diffusion_notes.fitting.2"


class CheckpointError(ValueError):
    """A file that cannot be used, and why. The file has not been touched."""


class Checkpoint:
    """The file a training run is saved to and resumed from.

    Arguments:
        path: where it is.
        settings: what must be the same for the run to be the same run: JSON values by name.

    Raises:
        TypeError: ``path`` is not a path, or ``settings`` are not JSON.
        FileNotFoundError: the directory of ``path`` does not exist.
    """

    def __init__(self, path: str | Path, settings: dict) -> None:
        check_kind("path", path, (str, Path), "a path")
        self.path, self.settings = Path(path), checked_json("settings", settings)
        folder = Path(os.path.realpath(path)).parent  # where a link leads to, if it is one
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no directory {folder} to save a checkpoint in")

    def save(
        self, step: int, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, generator: Generator
    ) -> None:
        """Write everything the next step depends on.

        Raises:
            TypeError: an argument is not what it should be.
            ValueError: ``step`` is less than 1, or a value is not finite: the last good state stays.
            OSError: the disk will not have it.
        """
        check_integer("step", step, least=1)
        _check_run(model, average, optimizer, generator)
        header = {"format": _FORMAT, "step": step, "settings": self.settings}
        tensors = _state(model, average, optimizer) | {"generator": generator.get_state()}
        _write(self.path, tensors, header)

    def load(self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, generator: Generator) -> int:
        """Restore a run, and return how many steps it has taken: 0 if there is no file.

        Nothing is restored unless all of the file fits.

        Raises:
            TypeError: an argument is not what it should be.
            CheckpointError: the file is damaged, is no checkpoint, or is one of another run.
        """
        _check_run(model, average, optimizer, generator)
        if not self.path.exists():
            return 0
        header, tensors = _read(self.path)
        if header.get("format") != _FORMAT:
            raise CheckpointError(f"{self.path} is not a checkpoint of a training run")
        settings, step, random_state = header.get("settings"), header.get("step"), tensors.pop("generator", None)
        if not isinstance(settings, dict) or not isinstance(step, int) or random_state is None:
            raise CheckpointError(f"{self.path} is damaged: it lacks a part of a checkpoint")
        for name in sorted(self.settings.keys() | settings.keys()):
            if (theirs := settings.get(name)) != (mine := self.settings.get(name)):
                raise CheckpointError(f"{self.path} is of another run: its {name} is {theirs!r}, not {mine!r}")
        if not 0 < step <= self.settings.get("steps", step):
            raise CheckpointError(f"{self.path} is damaged: it claims to be at step {step}")
        if random_state.shape != generator.get_state().shape or random_state.dtype != torch.uint8:
            raise CheckpointError(f"{self.path} is of a run on another kind of device")
        # Adam has no state before its first step, and never any for a parameter that is not used
        for i, parameter in enumerate(model.parameters()):
            if f"optimizer.{i}.step" in tensors:
                optimizer.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        try:
            _restore(self.path, _state(model, average, optimizer), tensors)
        except CheckpointError:
            optimizer.state.clear()
            raise
        generator.set_state(random_state)
        return step


def save_weights(module: nn.Module, path: str | Path, about: dict | None = None) -> None:
    """Write a module's parameters and buffers to a safetensors file, with ``about`` (JSON) in its header.

    Raises:
        TypeError: ``module`` is not a module, ``path`` no path, or ``about`` no dictionary of JSON.
        ValueError, OSError: a value is not finite, or the file cannot be written. What is there stays.
    """
    _check_weights(module, path)
    about = {} if about is None else checked_json("about", about)
    _write(Path(path), dict(module.state_dict()), {"format": "weights", "about": about})


def load_weights(module: nn.Module, path: str | Path) -> dict:
    """Read what :func:`save_weights` wrote into ``module``, and return what is said ``about`` it.

    Raises:
        TypeError: ``module`` is not a module, or ``path`` no path.
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, or is of a module of another shape. ``module`` is unchanged.
    """
    _check_weights(module, path)
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


def _check_weights(module: nn.Module, path: str | Path) -> None:
    check_kind("module", module, nn.Module, "a torch module")
    check_kind("path", path, (str, Path), "a path")


def _check_run(model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, generator: Generator) -> None:
    check_kind("model", model, nn.Module, "a torch module")
    check_kind("average", average, nn.Module, "a torch module")
    check_kind("optimizer", optimizer, torch.optim.Optimizer, "a torch optimizer")
    check_kind("generator", generator, Generator, "a torch.Generator")


def _state(model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    state |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for i, parameter in enumerate(model.parameters()):
        state |= {f"optimizer.{i}.{name}": tensor for name, tensor in optimizer.state[parameter].items()}
    return state


def _restore(path: Path, mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Copy their values into my tensors, if all of them fit."""
    if mine.keys() != theirs.keys():
        name = min(mine.keys() ^ theirs.keys())
        raise CheckpointError(f"{path} is of another model: {name} is in {'it' if name in theirs else 'this one'} only")
    for name, tensor in theirs.items():
        if tensor.shape != mine[name].shape or tensor.dtype != mine[name].dtype:
            its, own = (f"{tuple(x.shape)} {x.dtype}" for x in (tensor, mine[name]))
            raise CheckpointError(f"{path} is of another model: its {name} is {its}, this one's is {own}")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{path} is damaged: its {name} is not finite")
    with torch.no_grad():
        for name, tensor in theirs.items():
            mine[name].copy_(tensor)


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
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
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return whole.hexdigest()


def _write(path: Path, tensors: dict[str, Tensor], header: dict) -> None:
    for name, tensor in tensors.items():
        check_has_values(name, tensor)
        check_finite(name, tensor.cpu())  # or a run that went astray would take the place of its last good state
    # cloned, since safetensors refuses tensors that share their memory, as tied weights do
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    said = json.dumps(header | {"digest": _digest(header, tensors)}, sort_keys=True)
    content = to_bytes(tensors, metadata={"diffusion_notes": said})
    # one fixed name beside it, so that what a killed run leaves there is used again by the next
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.part")
    with _open_alone(beside) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _open_alone(path: Path) -> BinaryIO:
    """Open an empty file for writing, when no other process writes there; a lock ends with its process."""
    no_link = getattr(os, "O_NOFOLLOW", 0)  # nothing is written where a link may lead; Windows has no such flag
    while True:  # not "wb", which would empty what another writes
        file = open(path, "ab", opener=lambda name, flags: os.open(name, flags | no_link, 0o666))  # noqa: SIM115
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                file.truncate(0)
                return file
        file.close()  # another process has moved it to its place meanwhile
