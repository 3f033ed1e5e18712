"""What differs between two models, joined by role: what they hold, what their configs mean, and their values."""
