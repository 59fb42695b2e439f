# Hard links of a layer, to what it brought or to what the layers below have.

from .applying cimport Applying

# The entry is a hard link: it is made in the target's parent, which must be open.
cdef int apply_hard_link(Applying *layer) noexcept nogil
