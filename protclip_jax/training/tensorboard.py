"""Writes TensorBoard scalars.

Importing this module takes seconds if PyTorch is installed, because tensorboardX imports it.
"""

import pathlib
import time
from collections.abc import Mapping

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary


class EventFile:
    """A new event file in a folder, for the steps after `step`; `write` flushes to disk.

    It does not use tensorboardX's own thread, which ends when the disk is full; later writes would
    then block forever.
    """

    def __init__(self, folder: pathlib.Path, *, step: int):
        folder.mkdir(exist_ok=True)
        # The step distinguishes files of runs that start within the same second.
        self._events = EventsWriter(str(folder / "events"), filename_suffix=f".{step}")
        # TensorBoard discards what an earlier run wrote from this step on.
        self._events.write_event(
            Event(
                step=step + 1,
                wall_time=time.time(),
                session_log=SessionLog(status=SessionLog.START),
            )
        )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Adds the scalars of one step."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._events.write_event(
            Event(step=step, wall_time=time.time(), summary=Summary(value=values))
        )
        self._events.flush()

    def close(self) -> None:
        """Closes the file."""
        self._events.close()
