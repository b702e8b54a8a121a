"""Writes TensorBoard scalars. Importing it takes seconds if PyTorch is installed.

tensorboardX then imports PyTorch.
"""

import pathlib
import time
from collections.abc import Mapping

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary


class EventFile:
    """A new event file for the steps after `step`, on the disk when `write` returns.

    Does not use tensorboardX' own thread: when the disk is full that thread ends, and later writers
    wait forever.
    """

    def __init__(self, folder: pathlib.Path, *, step: int):
        folder.mkdir(exist_ok=True)
        # Files of runs that begin within the same second differ in the step.
        self._events = EventsWriter(str(folder / "events"), filename_suffix=f".{step}")
        # TensorBoard forgets what an earlier run wrote from here on.
        self._events.write_event(
            Event(
                step=step + 1,
                wall_time=time.time(),
                session_log=SessionLog(status=SessionLog.START),
            )
        )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Adds scalars of one step."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._events.write_event(
            Event(step=step, wall_time=time.time(), summary=Summary(value=values))
        )
        self._events.flush()

    def close(self) -> None:
        """Closes the file."""
        self._events.close()
