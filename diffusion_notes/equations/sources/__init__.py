"""The displayed equations of files: Markdown, notebooks and LaTeX, whatever stands around them."""
