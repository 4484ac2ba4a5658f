"""Where sound comes from and goes to: files and devices."""
