"""Pages of docs/ that are made from the code when they are built, so that they cannot fall behind it."""
