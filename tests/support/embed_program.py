"""`python -m tests.support.embed_program CHUNK_TOKENS SECONDS ARGUMENT…`: embeds in small parts,
and dawdles after each.

At the end it prints what the system says of the process's memory.
"""

import sys
import time
from pathlib import Path

from protclip_jax.embed import __main__ as embed
from protclip_jax.embed import parts


def main(chunk_tokens, seconds, *arguments):
    """The exit code of the command."""
    save = parts.save_part

    def save_slowly(*args, **options):
        save(*args, **options)
        time.sleep(float(seconds))

    parts.MIN_CHUNK_TOKENS, parts.MIN_CHUNK_BATCHES, parts.save_part = (
        int(chunk_tokens),
        0,
        save_slowly,
    )
    code = embed.main(arguments)
    print(Path("/proc/self/status").read_text())
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
