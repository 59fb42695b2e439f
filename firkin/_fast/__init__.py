"""Compiled kernels. A missing extension is an error; FIRKIN_PURE_PYTHON=1 chooses the readable twins."""

import os
from typing import TYPE_CHECKING

PURE_PYTHON = os.environ.get("FIRKIN_PURE_PYTHON") == "1"

if TYPE_CHECKING or PURE_PYTHON:
    from . import _paths_py as _paths
else:
    try:
        from . import paths as _paths
    except ImportError as error:
        raise ModuleNotFoundError(
            "firkin's compiled kernels are not built: run `pip install .` (or, in a checkout, `make build`); "
            "FIRKIN_PURE_PYTHON=1 uses the slow Python twins instead"
        ) from error

clean_member_name = _paths.clean_member_name
guest_path_problem = _paths.guest_path_problem
id_problem = _paths.id_problem
id_problems = _paths.id_problems
relative_path_problem = _paths.relative_path_problem

__all__ = [
    "PURE_PYTHON",
    "clean_member_name",
    "guest_path_problem",
    "id_problem",
    "id_problems",
    "relative_path_problem",
]
