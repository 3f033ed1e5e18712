"""Feed-forward layers and mixtures of them."""
