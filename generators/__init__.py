"""Programs that write parts of firkin; they are run by make, and are no part of the package."""
