"""A report on one model or two: one HTML file that needs nothing else."""
