"""Sampling kernels: `base`, `table` and `fitting`, then one file for each kernel."""
