"""Encoders of text: BERT and its kin."""
