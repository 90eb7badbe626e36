"""`lutkit ab-hist`, `ab-weights` and `stats`: the colours of a dataset."""
