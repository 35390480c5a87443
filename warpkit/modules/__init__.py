"""Spatial transformers, the localization networks they come with, and several side by side."""
