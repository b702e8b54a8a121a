import errno
import re

import pytest

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import RunError


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "whatever"),
        PermissionError(errno.EACCES, "whatever"),
        OSError("write() failed: No space left on device; at byte 5"),
        ValueError("RESOURCE_EXHAUSTED: Failed to write 5 bytes: full [os_error_code='28']"),
        ValueError("Error while serializing: I/O error: full (os error 28)"),
    ],
)
def test_what_the_disk_refuses_names_the_folder_and_the_fix(tmp_path, error):
    with (
        pytest.raises(RunError) as raised,
        report_disk_errors(f"--output={tmp_path}", kept="it goes on"),
    ):
        raise error
    assert str(raised.value).startswith(f"--output={tmp_path} cannot be written (")
    assert re.search("No space left|Permission denied", str(raised.value))
    assert "it goes on" in str(raised.value)
    assert raised.value.__cause__ is error


def test_an_error_that_names_a_file_elsewhere_is_reported_of_that_file(tmp_path):
    output = tmp_path / "folder" / "out.tsv"
    for named, message in [
        (tmp_path / "in.tsv", f"{tmp_path / 'in.tsv'} cannot be read or written ("),
        (tmp_path / "folder" / "out.tsv.partial", f"{output} cannot be written ("),
        (tmp_path / "folder", f"{output} cannot be written ("),
    ]:
        with pytest.raises(RunError, match=f"^{re.escape(message)}"), report_disk_errors(output):
            raise PermissionError(errno.EACCES, "Permission denied", str(named))


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "gone"), ValueError("wrong"), OSError("no number")]
)
def test_other_errors_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)) as raised, report_disk_errors(tmp_path):
        raise error
    assert raised.value is error
