"""Networks as data: a spec names components and their options, and `build` makes the module."""
