"""User namespaces for callers who are not root: which ids they get, and how a process comes to be in one."""

from .entering import EndedProgram, held_command, release, run_inside
from .id_map_of_user import id_map_of_user, single_id_map
from .obstacles import namespace_obstacle
from .subordinate_ids import user_name

__all__ = [
    "EndedProgram",
    "held_command",
    "id_map_of_user",
    "namespace_obstacle",
    "release",
    "run_inside",
    "single_id_map",
    "user_name",
]
