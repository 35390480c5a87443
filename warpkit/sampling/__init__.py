"""`warp` and `sample`, the boundary rules, and a backend a file."""
