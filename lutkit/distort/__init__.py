"""Random, recorded, replayable colour damage: sample -> recipe -> bake -> apply. Pure."""
