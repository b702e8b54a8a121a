"""How many files a process may have open at once, which `ulimit -n` sets."""

import resource

from data_pipelines.common.errors import UserError

_ENOUGH = 4096


def require_open_files(count: int) -> None:
    """Allows this process as many open files as the system lets it, at most 4096 or what it has
    already.

    Raises:
      UserError: they are fewer than `count`.
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if most == resource.RLIM_INFINITY else min(_ENOUGH, most)
    if resource.RLIM_INFINITY != allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        allowed = wanted
    if resource.RLIM_INFINITY != allowed < count:
        raise UserError(
            f"{allowed} files may be open at once, and this needs {count}; run `ulimit -n "
            "4096` first."
        )
