"""What commands that fail leave on stderr and on the disk."""


def only_sentence(text):
    """The one sentence that a command ended with; what else it wrote is progress."""
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    return line


def taken(paths):
    """Bytes that files take on a disk that gives out pages."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in paths)
