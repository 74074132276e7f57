"""Checks of arguments at the public door: what was given, and what is allowed.

These know no torch, so that the explorables can use them; :mod:`~diffusion_notes._arguments.tensors` goes on from here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection

__all__ = [
    "check_choice",
    "check_inside",
    "check_integer",
    "check_kind",
    "check_number",
    "check_positive",
    "checked_json",
    "describe",
]


def describe(value: object) -> str:
    """What was given, for an error message: short, and without the values of a tensor.

    >>> describe(3)
    'int 3'
    """
    if hasattr(value, "is_floating_point") and hasattr(value, "layout"):  # torch is not imported for it
        if value.is_nested:  # which has no shape
            return f"a nested {value.dtype} tensor"
        layout = str(value.layout).removeprefix("torch.")
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}" + (f" in {layout}" * (layout != "strided"))
    if isinstance(value, int) and abs(value) > _MOST:  # Python does not write out the longest of them
        return f"an integer of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def check_kind(name: str, value: object, kind: type | tuple[type, ...], what: str = "") -> None:
    """Raise a TypeError unless ``value`` is of that kind, which is called ``what``.

    >>> check_kind("title", 3, str, "text")
    Traceback (most recent call last):
    TypeError: title must be text, got int 3
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {what or 'a ' + kind.__name__}, got {describe(value)}")


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


def check_integer(name: str, value: int, least: int, most: float = math.inf) -> None:
    """Raise unless ``value`` is an integer (TypeError) from ``least`` to ``most`` (ValueError).

    >>> check_integer("T", 0, least=1)
    Traceback (most recent call last):
    ValueError: T must be at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {describe(value)}")
    _check_fits_a_word(name, value)
    if not least <= value <= most:
        allowed = f"at least {least}" if value < least else f"at most {most}"
        raise ValueError(f"{name} must be {allowed}, got {value}")


def check_number(name: str, value: float, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise unless ``value`` is a number (TypeError), finite, and between ``low`` and ``high`` (ValueError).

    >>> check_number("a", 2, -1, 1)
    Traceback (most recent call last):
    ValueError: a must be between -1 and 1, got 2
    """
    _check_is_number(name, value)
    if not (low <= value <= high and abs(value) < math.inf):
        allowed = "finite" if low == -high == -math.inf else f"between {low} and {high}"
        raise ValueError(f"{name} must be {allowed}, got {value}")


def check_inside(name: str, value: float, low: float, high: float) -> None:
    """Raise unless ``value`` is a number (TypeError), strictly between ``low`` and ``high`` (ValueError).

    >>> check_inside("beta_1", 0.0, 0, 1)
    Traceback (most recent call last):
    ValueError: beta_1 must lie strictly between 0 and 1, got 0.0
    """
    _check_is_number(name, value)
    if not low < value < high:
        raise ValueError(f"{name} must lie strictly between {low} and {high}, got {value}")


def check_positive(name: str, value: float) -> None:
    """Raise unless ``value`` is a number (TypeError), positive and finite, as are its powers (ValueError).

    >>> check_positive("noise", -1.0)
    Traceback (most recent call last):
    ValueError: noise must be positive and finite, got -1.0
    """
    _check_is_number(name, value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")
    if not 1 / _HUGE <= value <= _HUGE:
        raise ValueError(f"{name} must lie between {1 / _HUGE:g} and {_HUGE:g}, got {value}")


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


def _check_is_number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {describe(value)}")
    if isinstance(value, int):
        _check_fits_a_word(name, value)


def _check_fits_a_word(name: str, value: int) -> None:
    """Python's integers have no end, those of torch and numpy do."""
    if abs(value) > _MOST:
        raise ValueError(f"{name} must be less than 2**63 in size, got {describe(value)}")


_MOST = 2**63 - 1
_HUGE = 1e100  # its square, and what one makes of that, are still numbers
