"""A program that brings a sweep on as a web server does, until it is killed: `python tests/bringing.py SWEEP`."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cnnviz.sweeping import CONDUCTOR
from cnnviz.training import sweeps

if __name__ == "__main__":
    CONDUCTOR.conduct(sweeps.find(sys.argv[1]))
    while True:
        time.sleep(1000)
