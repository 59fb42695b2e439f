# What went wrong in a kernel, as an exception.

from .failure cimport Failure


# EntryRefused for a problem, OSError for what the kernel refused.
cdef object refusal(const Failure *failure)
