"""Signal processing around the networks: transforms, windows, masks, resampling."""
