"""What all explorables share: one output that works in both hosts."""

from __future__ import annotations

import html
import json
from pathlib import Path

import anywidget

__all__ = ["Explorable", "script"]

_HERE = Path(__file__).parent


def script(name: str) -> str:
    """The text of one of the scripts in this folder."""
    return (_HERE / f"{name}.js").read_text(encoding="utf-8")


class Explorable(anywidget.AnyWidget):
    """An anywidget whose stored output is alive without a kernel.

    A subclass sets ``name`` (its ES module is ``name.js`` in this folder) and ``parts`` (the shared
    scripts that stand before it in the module: it has no neighbour to import from), adds its traits with
    ``sync=True`` and ``state=True``, and draws :meth:`still_picture`. The output is the same for
    the same state, to the byte, so that a notebook's regression test checks what the page shows.
    """

    name = ""
    parts: tuple[str, ...] = ()
    _ipython_display_ = None  # that of ipywidgets 7, which Colab has, would go before the bundle below

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Read the subclass's module; a string, so that nothing watches the file."""
        if "name" in vars(cls):  # not in the class that anywidget derives at run time, with traits added
            cls._esm = "\n".join(script(part) for part in (*cls.parts, cls.name))
        super().__init_subclass__(**kwargs)

    def state(self) -> dict:
        """The traits that the module reads, by name."""
        return {name: getattr(self, name) for name in sorted(self.trait_names(state=True))}

    def still_picture(self) -> str:
        """An ``<svg>`` for where no script runs."""
        raise TypeError(f"{type(self).__name__} does not say how it is drawn without scripts")

    def static_html(self) -> str:
        """The explorable as a fragment of a page that needs nothing else."""
        state = json.dumps(self.state() | {"_esm": self._esm}, sort_keys=True, ensure_ascii=False)
        state = state.replace("</", r"<\/")  # or a string in it could end the script
        return (
            f'<div data-explorable="{html.escape(self.name)}">{self.still_picture()}'
            f'<script type="application/json">{state}</script></div>\n'
            f'<script type="module">\n{script("mount")}</script>'
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle  # the metadata carries what Colab's widget manager needs
        return data | {"text/html": self.static_html()}, metadata
