"""What a model holds, by role and layer: independent of names, sharding, containers, and of how roles are fused."""
