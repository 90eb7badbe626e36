"""`lutkit ab-hist`, `ab-weights` and `stats`: statistics of the colours of a dataset."""
