"""What the programs show on a terminal, and the keys they read."""
