"""What all explorables share: a module, a state, a still picture, and one output for every host.

A notebook stores an explorable's name, its still picture and its state, and none of its scripts, so that a change of
a script changes no notebook. Who brings the scripts depends on where the output is shown:

- *The built book*: the build (``book/_ext/diffusion_book.py``). It writes every module once, and a page loads those of
  the explorables that it shows, and ``mount.js``, which starts them.
- *Jupyter, VS Code and Colab, once the cell is run*: the kernel, with the live view of anywidget.
- *Jupyter, VS Code and Colab before that, and GitHub and nbviewer always*: nobody. They show an output as it is stored,
  some without its scripts, Colab in a frame of its own that sees no other output; so every output would have to hold
  the scripts, or fetch them from another host. There the still picture stands, with a line that says how to move it.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import anywidget

__all__ = ["Explorable", "json_in_script", "module_script", "script"]

_HERE = Path(__file__).parent

HOW_TO_MOVE_IT = "A still picture. Run this cell in Jupyter, VS Code or Colab to move it."


def script(name: str) -> str:
    """The text of one of the scripts in this folder."""
    return (_HERE / f"{name}.js").read_text(encoding="utf-8")


def json_in_script(value: object) -> str:
    r"""JSON that may stand within ``<script>``: no string in it can end the element, or begin a comment.

    >>> json_in_script({"alt": "</script>"})
    '{"alt": "\\u003c/script>"}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False).replace("<", r"\u003c")


def module_script(name: str, module: str) -> str:
    r"""A script that keeps the text of an explorable's ES module for ``mount.js``.

    A page that is opened as a file may load such a script, but may not import a module that lies beside it. The
    module's comments, a sixth of what would be sent, stay in the package.

    >>> module_script("one", "// The number.\nexport default 1;\n")
    '(globalThis.explorables ??= {})["one"] = "export default 1;\\n";\n'
    """
    module = re.sub(r"^ *//.*\n", "", module, flags=re.MULTILINE)
    return f"(globalThis.explorables ??= {{}})[{json_in_script(name)}] = {json_in_script(module)};\n"


class Explorable(anywidget.AnyWidget):
    """An anywidget that is also alive in a page of the book, without a kernel.

    A subclass sets ``name`` (its ES module is ``name.js`` in this folder) and ``parts`` (the shared
    scripts that stand before it in the module: it has no neighbour to import from), adds its traits with
    ``sync=True`` and ``state=True``, and draws :meth:`still_picture`. The output is the same for
    the same state, to the byte, so that a notebook's regression test checks what the page shows.
    """

    name = ""
    parts: tuple[str, ...] = ()
    _ipython_display_ = None  # that of ipywidgets 7, which Colab has, would go before the bundle below

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read the subclass's module; a string, so that nothing watches the file."""
        if "name" in vars(cls):  # not in the class that anywidget derives at run time, with traits added
            cls._esm = "\n".join(script(part) for part in (*cls.parts, cls.name))
        super().__init_subclass__(**kwargs)

    def state(self) -> dict[str, Any]:
        """The traits that the module reads, by name."""
        return {name: getattr(self, name) for name in sorted(self.trait_names(state=True))}

    def still_picture(self) -> str:
        """An ``<svg>`` for where no script runs."""
        raise TypeError(f"{type(self).__name__} does not say how it is drawn without scripts")

    def stored_html(self) -> str:
        """What a notebook stores: the name, the still picture and the state. It depends on no script."""
        return (
            f'<div data-explorable="{html.escape(self.name)}">{self.still_picture()}'
            f'<p class="how-to-move-it">{HOW_TO_MOVE_IT}</p>'
            f'<script type="application/json">{json_in_script(self.state())}</script></div>'
        )

    def page_html(self) -> str:
        """The explorable as a fragment of a page that needs nothing else: what is stored, and the scripts."""
        return (
            f"{self.stored_html()}\n"
            f"<script>{module_script(self.name, self._esm)}</script>\n"
            f"<script>\n{script('mount')}</script>"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle  # the metadata carries what Colab's widget manager needs
        return data | {"text/html": self.stored_html()}, metadata
