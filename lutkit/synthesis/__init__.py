"""`lutkit synth`, `verify` and `pairs`: a manifest becomes a dataset of pairs."""
