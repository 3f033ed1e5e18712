"""Adapters (LoRA and its kin): small files that change the weights of a base model. One file a method."""
