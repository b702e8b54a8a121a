"""One host of a run that takes orders from stdin: `python -m tests.support.host_process SECONDS`.

It is given up when JAX has not heard of it for that many seconds.
"""

import sys

from data_pipelines.common.errors import UserError, command
from protclip_jax.distributed import multihost


@command
def main():
    """Until it is told to leave."""
    multihost.HEARTBEAT_SECONDS = int(sys.argv[1])
    with multihost.joined():
        print("joined", flush=True)
        for line in sys.stdin:
            match line.split():
                case ["mistake"]:
                    raise UserError("no such file; give another.")
                case ["defect"]:
                    raise ValueError("unexpected\nand more")
                case ["leave"]:
                    return 0
                case ["compare", seed]:
                    multihost.check_same({"config.seed": int(seed), "config.log_every": 10})
            print("done", flush=True)


if __name__ == "__main__":
    sys.exit(main())
