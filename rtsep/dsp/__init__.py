"""Signal processing around the networks: transforms, windows, masks, resampling."""

# How masks go on above the bins that the nets see, see masking.py.
MASK_EXTENSIONS = ("zeros", "average", "top")
