# Whiteouts of a layer (OCI image-spec v1.1, layer.md): applied, or written as overlayfs reads them.

from .applying cimport Applying

# The entry is a whiteout: what it hides is removed, or marked as hidden.
cdef int apply_whiteout(Applying *layer) noexcept nogil
