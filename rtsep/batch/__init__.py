"""Thousands of recordings: inputs, a journal, worker processes, clusters."""
