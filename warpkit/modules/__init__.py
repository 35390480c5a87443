"""Spatial transformers, alone and side by side, and the localization networks that they come with."""
