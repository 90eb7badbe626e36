"""What a dataset folder is: tars, shards, records, index, card, lock, atomic writes."""
