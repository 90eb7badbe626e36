"""A manifest becomes a dataset, shard by shard; the engines that run it; reading and checking it."""
