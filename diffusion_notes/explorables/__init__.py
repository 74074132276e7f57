"""Things to move, in a page with a kernel and in a page without one.

An explorable is an ES module with ``export default { render({ model, el }) }`` and the state it
starts from. With a kernel it is an anywidget. In a page of the book the same module, which the build puts
there, starts from the state in the notebook's stored output: no Python is needed. Where no script runs, and in
print, a still picture stands in its place. This package imports without torch.
"""

from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.bound_bars import BoundBars
from diffusion_notes.explorables.conditioned import Conditioned
from diffusion_notes.explorables.field import Field
from diffusion_notes.explorables.forward import Forward
from diffusion_notes.explorables.forward_posterior import ForwardPosterior
from diffusion_notes.explorables.gap import Gap
from diffusion_notes.explorables.guided import Guided
from diffusion_notes.explorables.layers import Layers
from diffusion_notes.explorables.particles import Particles
from diffusion_notes.explorables.paths import Paths
from diffusion_notes.explorables.reverse import Reverse
from diffusion_notes.explorables.rungs import Rungs
from diffusion_notes.explorables.two_peaks import TwoPeaks

__all__ = [
    "BoundBars",
    "Conditioned",
    "Explorable",
    "Field",
    "Forward",
    "ForwardPosterior",
    "Gap",
    "Guided",
    "Layers",
    "Particles",
    "Paths",
    "Reverse",
    "Rungs",
    "TwoPeaks",
]
