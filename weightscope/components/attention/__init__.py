"""Attention: what the projections store, and how positions, norms, masks and scores are composed."""
