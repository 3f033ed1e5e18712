"""A model in the terminal: its tree, its tensors, their values, and what is wrong with it."""
