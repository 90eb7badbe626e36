"""`lutkit lut`: one small file a command."""
