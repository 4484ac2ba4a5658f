"""Training networks of one's own. Only `rtsep-train` comes here, and torch is imported nowhere else."""
