"""Sampling kernels: `base` and `table`, then one file a kernel."""
