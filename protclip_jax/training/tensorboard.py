"""Scalars for TensorBoard. Importing this takes seconds where PyTorch is installed, as
tensorboardX imports that."""

import pathlib
import time
from collections.abc import Mapping

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary


class EventFile:
    """A new event file in a folder, for the steps after `step`; what is written is on the disk when
    `write` returns.

    Not through tensorboardX' own thread: when the disk is full that ends, and whoever gives it
    more waits for ever.
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
