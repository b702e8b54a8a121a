"""One of the processes of a run that takes orders from stdin: `python -m tests.support.host_process [cut_off]`.

With `cut_off`, the network lets no connection through but JAX's own.
"""

import json
import socket
import sys

from data_pipelines.common.errors import UserError, command
from protclip_jax.distributed import host_watch, multihost


def refuse(*args, **options):
    """In the place of `socket.create_connection`."""
    raise TimeoutError("timed out")


def intrude():
    """Sends to process 0 what a stranger might."""
    centre = json.loads(host_watch.distributed.global_state.client.blocking_key_value_get(host_watch._KEY, 1000))
    for line in (b"", b"x", b'{"token": "guessed", "name": "a stranger"}\n'):
        with socket.create_connection(("127.0.0.1", centre["port"])) as connection:
            connection.sendall(line)


@command
def main():
    """Until it is told to leave."""
    if "cut_off" in sys.argv:
        socket.create_connection = refuse
    with multihost.joined():
        print("joined", flush=True)
        for line in sys.stdin:
            match line.split():
                case ["mistake"]:
                    raise UserError("no such file; give another.")
                case ["defect"]:
                    raise ValueError("unexpected\nand more")
                case ["stranger"]:
                    intrude()
                case ["leave"]:
                    return 0
                case ["compare", seed]:
                    multihost.check_same({"config.seed": int(seed), "config.log_every": 10})
            print("done", flush=True)


if __name__ == "__main__":
    sys.exit(main())
