"""The benchmark: how fast and exact warpkit is beside others on the same work, and what memory it takes."""
