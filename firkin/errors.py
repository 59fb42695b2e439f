"""Everything that firkin raises, by the name that callers import it from."""

from firkin.domain.errors import *  # noqa: F403
from firkin.domain.errors import __all__ as __all__
