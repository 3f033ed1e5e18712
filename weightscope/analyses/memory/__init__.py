"""What it takes to load, serve and train a model."""
