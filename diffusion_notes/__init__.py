"""The code behind *Diffusion Models as a Kind of VAE*.

One module a chapter, under the chapter's name, and a few shared rooms. Importing this package
imports none of them, so it is cheap; import the module you need:

>>> from diffusion_notes.schedule import Schedule
>>> Schedule.linear(T=1000).T
1000
"""

from diffusion_notes._extras import name_what_brings_torch

__version__ = "0.1.0"

name_what_brings_torch()
