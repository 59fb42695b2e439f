"""The use cases of pods, on ports alone."""
