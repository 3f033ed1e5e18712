"""What the methods share: settings, names of tensors, what a change of a weight is."""
