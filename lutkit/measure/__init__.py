"""Measurements of the colours of images."""
