"""Layers that predict tokens further ahead; the main model does not need them."""
