"""What must react at once, in the browser: JavaScript components with a Python face of a few lines each."""

from cnnviz.components.gallery import gallery
from cnnviz.components.network import network
from cnnviz.components.sketchpad import sketchpad

__all__ = ["gallery", "network", "sketchpad"]
