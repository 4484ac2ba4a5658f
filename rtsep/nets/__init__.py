"""The U-Net: how it is run, whole and sliding, and what the models are."""
