"""Audio files: reading any of them, writing stems."""
