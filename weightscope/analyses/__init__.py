"""Pure functions that join a declaration and a checkpoint: what is it, how much, does it fit."""
