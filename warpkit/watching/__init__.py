"""Spatial transformers while they learn: figures, warnings, a penalty, learning rates of their own."""
