"""Layers that predict tokens further ahead; the main model runs without them."""
