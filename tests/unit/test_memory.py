"""What the threads of reruns leave behind in a web process that tidies up."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THREADS = 1_000
DRAW = f"""
import ctypes, threading
import numpy as np
from cnnviz.inputs import normalise
from cnnviz.memory import tidy

class Heap(ctypes.Structure):  # what mallinfo2(3) returns
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

asked = ctypes.CDLL(None).mallinfo2
asked.restype = Heap
ink = np.zeros((280, 280), np.uint8)
ink[100:180, 130:150] = 255

def draw(times):
    for _ in range(times):
        thread = threading.Thread(target=normalise, args=[ink])
        thread.start()
        thread.join()

tidy()
draw(50)
before = asked().uordblks
draw({THREADS})
print((asked().uordblks - before) / {THREADS})
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None) if os.name == "posix" else None, "mallinfo2"),
                    reason="the C library does not tell what is in use")  # fmt: skip
def test_a_drawing_leaves_nothing_of_its_thread():
    said = subprocess.run([sys.executable, "-c", DRAW], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert float(said.stdout) < 100, f"bytes a thread: {said.stdout}{said.stderr}"
