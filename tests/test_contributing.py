"""The extensions that CONTRIBUTING.md shows: each is one short file and its lines in one registry, and works."""

import pytest

from tests.support.contributing import section

HEADINGS = []
"""The sections whose example is complete."""
MAX_LINES = 60


@pytest.mark.parametrize("heading", HEADINGS)
def test_an_extension_is_one_short_file_and_one_registry(heading):
    blocks = section(heading)
    files = [text for language, _, text in blocks if language == "python"]
    registries = {path for language, path, _ in blocks if language == "diff"}
    assert len(files) == 1
    assert len(registries) == 1
    assert len(files[0].splitlines()) <= MAX_LINES
