"""Colour science on arrays: transfer functions, CIELAB, differences, white points. Pure."""
