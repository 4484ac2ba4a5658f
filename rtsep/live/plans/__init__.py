"""Plans of a live stream: their numbers, the ladder of them, and which one to run here."""
