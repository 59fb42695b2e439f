"""Values and rules of pods: no await, no input or output, nothing but msgspec and the standard library."""
