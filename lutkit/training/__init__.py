"""How networks are trained and kept: runs of Lightning, and models as folders. Knows no network."""
