"""Quantization methods, one file each, found by the name that a config gives them."""
