"""The text of a file."""

from __future__ import annotations

from pathlib import Path

from diffusion_notes.equations.sources.equation import Unreadable

__all__ = ["text_of"]


def text_of(path: Path) -> str:
    """The text of a file, with a line feed at the end of each line, and no mark at its beginning.

    Args:
        path: The file.

    Raises:
        OSError: If there is no such file, or none that may be read.
        Unreadable: If it is no text.
    """
    if path.is_dir():
        raise Unreadable("it is a folder")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("it is no text in UTF-8") from error
    if "\0" in text:
        raise Unreadable("it is no text")
    return text.replace("\r\n", "\n").replace("\r", "\n")
