"""Ways to damage a file."""


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip_bit(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def truncate(path, rng):
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def zero_a_stretch(path, rng):
    content = bytearray(path.read_bytes())
    start = rng.randrange(len(content))
    stretch = content[start : start + 64]
    content[start : start + 64] = bytes(len(stretch)) if any(stretch) else b"\1" * len(stretch)
    path.write_bytes(content)


def remove(path, rng):
    del rng
    path.unlink()


DAMAGES = (flip_bit, truncate, zero_a_stretch, remove)
