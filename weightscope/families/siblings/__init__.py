"""What one group of siblings shares; what any family may use is in `common`."""
