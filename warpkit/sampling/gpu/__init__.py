"""The kernels of the Triton backend, and what starts them; `sampling/triton.py` tells how they hang together."""

import os

# As Triton reads it, when it is imported. Then a program is a loop of NumPy's on the CPU.
INTERPRETED = os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")
