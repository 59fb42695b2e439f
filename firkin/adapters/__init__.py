"""One folder per port and technology; adapters never import each other."""
