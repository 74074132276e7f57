"""What Python code does, as a name: the same for code that is only spelt otherwise."""

from __future__ import annotations

import ast
from hashlib import sha256


def tree(code: str) -> str:
    """The syntax tree of some code as text, without docstrings; comments, blanks and line breaks are not in it.

    What is no Python, such as a cell with a magic command, stands for itself.

    >>> tree("x = 1  # one") == tree("x=1") != tree("x = 2")
    True
    """
    try:
        parsed = ast.parse(code)
    except SyntaxError:
        return code
    for node in ast.walk(parsed):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if ast.get_docstring(node):
                del node.body[0]
    return ast.dump(parsed)


def fingerprint(*parts: str | bytes) -> str:
    """A short name for some texts and bytes, in their order.

    >>> fingerprint("ab", "c") == fingerprint("a", "bc")
    False
    """
    whole = sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big"))
        whole.update(data)
    return whole.hexdigest()[:16]
