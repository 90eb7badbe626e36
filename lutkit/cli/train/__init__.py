"""`lutkit train`: one small file a kind of network."""
