"""Pin a model by a digest of each weight, by role and layer, and say what changed since."""
