"""Decoders of text, one file a model type or group of siblings."""
