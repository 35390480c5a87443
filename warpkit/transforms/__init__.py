"""Transforms: `base`, `matrix` and `basis`, then one file a transform."""
