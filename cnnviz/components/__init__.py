"""What must react at once, in the browser: JavaScript components with a Python face of a few lines each."""

from cnnviz.components.files import deliver
from cnnviz.components.gallery import gallery
from cnnviz.components.kernels import kernels
from cnnviz.components.lab import lab
from cnnviz.components.network import learned, network
from cnnviz.components.outcome import outcome
from cnnviz.components.sketchpad import sketchpad
from cnnviz.components.stepper import stepper

__all__ = ["deliver", "gallery", "kernels", "lab", "learned", "network", "outcome", "sketchpad", "stepper"]
