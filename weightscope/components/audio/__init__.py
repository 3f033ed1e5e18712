"""Audio encoders, and their join with a language model."""
