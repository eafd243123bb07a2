"""The same app as a tutorial would write it: one page, `st_canvas`, `model.predict`, `st.image`. Measured beside ours.

Start it with `streamlit run benchmarks/naive_app.py` from the repository root; it needs streamlit-drawable-canvas.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import keras
import numpy as np
import streamlit as st
from streamlit_drawable_canvas import st_canvas

from cnnviz.nets.build import load_model


@st.cache_resource
def load_models():
    """The classifier, and a second model that returns every layer's output."""
    model = load_model("lenet5")
    return model, keras.Model(model.inputs, [layer.output for layer in model.layers])


def as_pictures(output):
    """A layer's output as pictures of 8 bits: one a map, or one row for a vector."""
    maps = output.transpose(2, 0, 1) if output.ndim == 3 else output[None, None]
    return list((255 * (maps - maps.min()) / max(np.ptp(maps), 1e-6)).astype(np.uint8))


st.title("Draw a digit")
model, layers = load_models()
canvas = st_canvas(
    stroke_width=18,
    stroke_color="#fff",
    background_color="#000",
    width=280,
    height=280,
    key="canvas",
    return_image_data=True,
)
if canvas.image_data is not None:
    grey = cv2.cvtColor(canvas.image_data.astype(np.uint8), cv2.COLOR_RGBA2GRAY)
    image = cv2.resize(grey, (28, 28), interpolation=cv2.INTER_AREA).astype(np.float32)[None, :, :, None] / 255
    probabilities = model.predict(image, verbose=0)[0]
    st.header(f"Prediction: {probabilities.argmax()} ({probabilities.max():.3%})")
    st.bar_chart(probabilities)
    for layer, output in zip(model.layers, layers.predict(image, verbose=0), strict=True):
        st.subheader(layer.name)
        pictures = as_pictures(output[0])
        st.image(pictures, width=80 if len(pictures) > 1 else 600)
