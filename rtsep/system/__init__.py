"""What is needed of the operating system: files that appear whole, signals that are not lost."""
