"""Bytes at the edges: LUT files, photographs, lists of photographs, tars, manifests, shipped files."""
