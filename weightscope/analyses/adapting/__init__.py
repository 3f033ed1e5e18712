"""An adapter beside its base: what it holds, whether it fits, and the changed weights."""
