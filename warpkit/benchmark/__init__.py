"""How fast warpkit is beside others on the same work, what memory it takes, how exact it is; and a page of that."""
