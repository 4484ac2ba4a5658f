"""Known weights: the manifest, installed with the package as data."""
