"""Random colour damage that is recorded and can be replayed: sample -> recipe -> bake -> apply. Pure."""
