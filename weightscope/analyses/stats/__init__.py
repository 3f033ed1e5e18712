"""What the values of a model are: figures of each tensor, role and layer, and what stands out among them."""
