"""The Python objects: a model, its tensors, and what is done with them; the public names are those of `weightscope`."""
