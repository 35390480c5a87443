"""Transforms: `base`, `matrix` and `basis`, then one file for each transform."""
