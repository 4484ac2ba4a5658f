"""The networks: configurations, weights, and the U-Net that turns magnitudes into masks."""
