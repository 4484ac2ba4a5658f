"""Playing songs along: stems made ahead of the sound, mixed, slowed down, looped (see player.py)."""

# What finished stems may take on the disk, where nobody says it.
DEFAULT_LIMIT_GB = 8.0
