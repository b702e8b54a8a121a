import signal
import subprocess
import sys
import textwrap
import time

import pytest

from protclip_jax.training.preemption import PreemptionHandler

# Neither returns to Python for a minute, nor does a signal interrupt it; other threads go on. So does a compilation.
DEAF = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)"


def child(body):
    """A process that prints a line when its body, within a PreemptionHandler, begins."""
    code = "import hashlib, time\nfrom protclip_jax.training.preemption import PreemptionHandler\n"
    code += "with PreemptionHandler() as stop:\n"
    code += "    print('begun', flush=True)\n" + textwrap.indent(body, "    ")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)
    return process


def ending(process):
    """Its exit code and the last line of what it wrote to stderr; it ends within seconds."""
    try:
        _, error = process.communicate(timeout=10)
    finally:
        process.kill()
    return process.returncode, (error.splitlines() or [""])[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_before_there_is_something_to_save_a_signal_ends_the_process_at_once(number):
    process = child(DEAF)
    process.send_signal(number)
    code, told = ending(process)
    assert code == 75
    assert number.name in told


def test_with_something_to_save_the_first_is_noted_and_the_second_ends_the_process_at_once():
    process = child(f"stop.something_to_save = True\n{DEAF}")
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, told = ending(process)
    assert code == 128 + signal.SIGINT
    assert "second signal" in told


def test_a_noted_signal_lets_the_process_end_by_itself():
    process = child("stop.something_to_save = True\nwhile not stop.received: time.sleep(0.01)\nprint('saved')")
    process.send_signal(signal.SIGTERM)
    assert ending(process) == (0, "")


def test_afterwards_signals_do_what_they_did_before():
    before = [signal.getsignal(number) for number in PreemptionHandler.NUMBERS]
    with PreemptionHandler() as stop:
        stop.something_to_save = True
        signal.raise_signal(signal.SIGTERM)
        assert stop.received
    assert [signal.getsignal(number) for number in PreemptionHandler.NUMBERS] == before
    assert signal.set_wakeup_fd(-1) == -1
