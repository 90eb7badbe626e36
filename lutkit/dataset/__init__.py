"""The dataset folder: tars, shards, records, index, card, lock, atomic writes."""
