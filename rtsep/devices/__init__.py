"""Audio devices: which ones, and the streams that play through them."""
