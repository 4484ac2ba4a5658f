"""Separation of recordings: arrays, streams of blocks, files."""
