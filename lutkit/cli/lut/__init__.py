"""`lutkit lut`: one small file for each command."""
