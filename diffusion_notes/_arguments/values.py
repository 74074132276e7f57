"""Checks of numbers, texts and lists at the public door: what was given, and what is allowed.

Those of numbers return them as Python's own, so that those of numpy are as good. These know no torch, so that the
explorables can use them; :mod:`~diffusion_notes._arguments.tensors` goes on from here.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Collection
from typing import Any

import numpy as np


def describe(value: Any) -> str:
    """What was given, for an error message: short, and without the values of a tensor.

    >>> describe(3)
    'int 3'
    """
    if hasattr(value, "layout") and not isinstance(value, type):  # a tensor; torch is not imported for it
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def check_kind(name: str, value: object, kind: Any, what: str = "") -> None:
    """Raise a TypeError unless ``value`` is of that kind, or one of those, which is called ``what``.

    >>> check_kind("title", 3, str, "text")
    Traceback (most recent call last):
    TypeError: title must be text, got int 3
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {what or 'a ' + kind.__name__}, got {describe(value)}")


def check_list(name: str, value: Collection, what: str, kind: type, each: str) -> None:
    """Raise a TypeError unless ``value`` is a list or a tuple, called ``what``, of a kind that is called ``each``.

    >>> check_list("names", ["x", 1], "a list of names", str, "text")
    Traceback (most recent call last):
    TypeError: each of names must be text, got int 1
    """
    check_kind(name, value, (list, tuple), what)
    for item in value:
        check_kind(f"each of {name}", item, kind, each)


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise unless ``value`` is a string (TypeError) and one of the choices (ValueError).

    >>> check_choice("kind", "blunt", ["sharp", "learned"])
    Traceback (most recent call last):
    ValueError: kind must be one of 'sharp', 'learned', got 'blunt'
    """
    said = ", ".join(map(repr, choices))
    check_kind(name, value, str, f"one of {said}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {said}, got {value!r}")


def check_integer(
    name: str, value: int, least: float = -math.inf, most: float = math.inf, what: str = "an integer"
) -> int:
    """Return what ``operator.index`` makes of ``value``, but of a bool, or raise a TypeError.

    It raises a ValueError unless that lies between ``least`` and ``most``.

    >>> check_integer("T", np.int64(3), least=1)
    3
    >>> check_integer("T", 0, least=1)
    Traceback (most recent call last):
    ValueError: T must be at least 1, got 0
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be {what}, got {describe(value)}")
    if not least <= number <= most:
        raise ValueError(f"{name} must be at {f'least {least}' if number < least else f'most {most}'}, got {number}")
    return number


def check_number(
    name: str, value: float, low: float = -math.inf, high: float = math.inf, what: str = "a number"
) -> float:
    """Return a number (else a TypeError) as a float: finite, and between ``low`` and ``high`` (else a ValueError).

    >>> check_number("a", np.float32(0.5), -1, 1)
    0.5
    >>> check_number("a", 2, -1, 1)
    Traceback (most recent call last):
    ValueError: a must be between -1 and 1, got 2
    """
    number = _float(name, value, what)
    if not (low <= number <= high and abs(number) < math.inf):
        raise ValueError(f"{name} must be {'finite' if high == math.inf else f'between {low} and {high}'}, got {value}")
    return number


def check_inside(name: str, value: float, low: float, high: float) -> float:
    """Return a number (else a TypeError) as a float, strictly between ``low`` and ``high`` (else a ValueError).

    >>> check_inside("beta_1", 0.0, 0, 1)
    Traceback (most recent call last):
    ValueError: beta_1 must lie strictly between 0 and 1, got 0.0
    """
    number = _float(name, value)
    if not low < number < high:
        raise ValueError(f"{name} must lie strictly between {low} and {high}, got {value}")
    return number


def check_positive(name: str, value: float) -> float:
    """Return a number (else a TypeError) as a float, positive and finite (else a ValueError).

    >>> check_positive("noise", -1.0)
    Traceback (most recent call last):
    ValueError: noise must be positive and finite, got -1.0
    """
    number = _float(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")
    return number


def _float(name: str, value: float, what: str = "a number") -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be {what}, got {describe(value)}")
    return float(value)


def checked_json(name: str, value: dict) -> dict:
    """Return a dictionary as it comes back from a file of JSON, or raise a TypeError.

    >>> checked_json("settings", {"latents": (2, 1)})
    {'latents': [2, 1]}
    """
    check_kind(name, value, dict, "a dictionary")
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be JSON, got {describe(value)}: {error}") from error
