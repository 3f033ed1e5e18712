"""What a training run trains and what it leaves frozen, counted from a declaration and the files."""
