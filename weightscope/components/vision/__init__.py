"""Vision encoders, projectors, and their join with a language model."""
