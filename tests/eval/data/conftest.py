import pytest

from tests.support import miniature


@pytest.fixture(scope="session")
def miniature_folder(tmp_path_factory):
    """Small files of every benchmark with their manifest."""
    return miniature.write(tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture
def file(tmp_path):
    """Writes a text, line ends as they are, and gives its path."""

    def written(text, name="file.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written
