"""What is done to the sound server: virtual devices, and the streams that are moved to them."""
