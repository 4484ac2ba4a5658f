"""The weights of the nets: where they come from, how they are checked and kept."""
