"""The displayed equations of files: Markdown, notebooks and LaTeX, whatever stands around them."""

from diffusion_notes._extras import brought_by

with brought_by("equations", __name__, "markdown_it", "mdit_py_plugins", "yaml"):
    from diffusion_notes.equations.sources.equation import Equation, Unreadable
    from diffusion_notes.equations.sources.files import about, displays, heading_text

__all__ = ["Equation", "Unreadable", "about", "displays", "heading_text"]
