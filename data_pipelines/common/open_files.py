"""The limit of open files per process, which `ulimit -n` sets."""

import resource

from data_pipelines.common.errors import UserError

_ENOUGH = 4096


def require_open_files(count: int) -> None:
    """Raises this process's soft limit of open files to 4096, or to the hard limit if lower.

    Raises:
      UserError: the limit is still below `count`.
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if most == resource.RLIM_INFINITY else min(_ENOUGH, most)
    if resource.RLIM_INFINITY != allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        allowed = wanted
    if resource.RLIM_INFINITY != allowed < count:
        raise UserError(
            f"this needs {count} open files, but the limit is {allowed}; "
            "run `ulimit -n 4096`, then rerun the command."
        )
