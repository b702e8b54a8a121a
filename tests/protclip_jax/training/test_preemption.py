import os
import pty
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from protclip_jax.training.preemption import SAME_SECONDS, PreemptionHandler

# Neither of these returns to Python within a minute, or is interrupted by a signal; other threads
# continue. A compilation behaves the same.
DEAF = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)"


def notice_hangups():
    """Runs in the child; if `nohup` started the suite, SIGHUP would be ignored in children too."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def child(body):
    """A process that prints a line when its body starts inside a PreemptionHandler."""
    code = "import hashlib, time\nfrom protclip_jax.training.preemption import PreemptionHandler\n"
    code += "with PreemptionHandler() as stop:\n"
    code += "    print('begun', flush=True)\n" + textwrap.indent(body, "    ")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], preexec_fn=notice_hangups, **pipes)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)
    return process


def ending(process):
    """Exit code and last line on stderr; the process ends within seconds."""
    try:
        _, error = process.communicate(timeout=10)
    finally:
        process.kill()
    return process.returncode, (error.splitlines() or [""])[-1]


@pytest.mark.parametrize("number", PreemptionHandler.NUMBERS)
def test_before_there_is_something_to_save_a_signal_ends_the_process_at_once(number):
    process = child(DEAF)
    process.send_signal(number)
    code, found = ending(process)
    assert code == 75
    assert number.name in found


def test_with_something_to_save_the_first_is_noted_and_the_second_ends_the_process_at_once():
    process = child(f"stop.something_to_save = True\n{DEAF}")
    process.send_signal(signal.SIGTERM)
    time.sleep(SAME_SECONDS + 0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, found = ending(process)
    assert code == 128 + signal.SIGINT
    assert "second signal" in found


SAVING = "stop.something_to_save = True\nwhile not stop.received: time.sleep(0.01)\n"


@pytest.mark.parametrize("number", PreemptionHandler.NUMBERS)
def test_a_noted_signal_lets_the_process_end_by_itself(number):
    process = child(f"{SAVING}print('saved')")
    process.send_signal(number)
    assert ending(process) == (0, "")


def test_signals_within_a_second_are_one():
    longer = "from protclip_jax.training import preemption\npreemption.SAME_SECONDS = 60\n"
    process = child(f"{longer}{SAVING}time.sleep(0.5)\nprint('saved')")
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.05)
    assert ending(process) == (0, "")


def test_a_terminal_that_is_lost_stops_the_run_whose_last_words_then_go_nowhere(tmp_path):
    body = (
        f"{SAVING}time.sleep(0.3)\nprint('saved', file=sys.stderr, flush=True)\nprint('saved', "
        "flush=True)"
    )
    code = "import sys, time\nfrom protclip_jax.training.preemption import PreemptionHandler\n"
    code += "with PreemptionHandler() as stop:\n    print('begun', flush=True)\n" + textwrap.indent(
        body, "    "
    )
    code += f"\nopen({str(tmp_path / 'ended')!r}, 'w').close()"
    process, terminal = pty.fork()
    if process == 0:
        notice_hangups()
        os.execv(sys.executable, [sys.executable, "-c", code])
    watchdog = threading.Timer(60, os.kill, (process, signal.SIGKILL))
    watchdog.start()
    try:
        assert b"begun" in os.read(terminal, 100)
        time.sleep(0.3)
        os.close(terminal)
        # Not every sandbox sends Linux's signals when a terminal is lost; a second one soon after
        # counts as the first.
        os.kill(process, signal.SIGHUP)
        assert os.waitpid(process, 0)[1] == 0
    finally:
        watchdog.cancel()
    assert (tmp_path / "ended").exists()


def test_a_process_that_nohup_has_ignore_hangups_goes_on_ignoring_them():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with PreemptionHandler() as stop:
            stop.something_to_save = True
            signal.raise_signal(signal.SIGHUP)
            assert not stop.received
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_afterwards_signals_do_what_they_did_before():
    before = [signal.getsignal(number) for number in PreemptionHandler.NUMBERS]
    with PreemptionHandler() as stop:
        stop.something_to_save = True
        signal.raise_signal(signal.SIGTERM)
        assert stop.received
    assert [signal.getsignal(number) for number in PreemptionHandler.NUMBERS] == before
    assert signal.set_wakeup_fd(-1) == -1
