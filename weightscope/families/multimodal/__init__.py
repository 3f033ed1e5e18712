"""Models made of others: a vision encoder, a projector, a language model."""
