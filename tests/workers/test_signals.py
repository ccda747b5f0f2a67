"""A signal is heard whatever the other threads do."""

import signal
import subprocess
import sys

BUSY_PROCESS = """
import os, signal, sys, threading
from workers.signals import Signals

sys.setswitchinterval(0.0002)
signals = Signals([signal.SIGTERM, signal.SIGHUP])

def busy():
    read, write = os.pipe()
    while True:
        os.write(write, b"x")
        os.read(read, 1)
        started = threading.Event()
        threading.Thread(target=started.set, daemon=True).start()
        started.wait()

for _ in range(6):
    threading.Thread(target=busy, daemon=True).start()
print("ready", flush=True)
for _ in range(40):
    print(signals.wait().name, flush=True)
os._exit(0)
"""


def test_each_signal_is_heard_beside_busy_threads():
    with subprocess.Popen(
        [sys.executable, "-c", BUSY_PROCESS], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            for number in (signal.SIGTERM, signal.SIGHUP) * 20:
                process.send_signal(number)
                heard = process.stdout.readline()
                assert heard == f"{number.name}\n"
            assert process.wait(20) == 0
        finally:
            process.kill()


IMPATIENT = """
import signal, time
from workers.signals import Signals

signals = Signals([signal.SIGINT])
print("ready", flush=True)
signals.wait()
signals.no_longer(signal.SIGINT)
print("stopping", flush=True)
time.sleep(60)
"""


def test_the_second_interrupt_ends_the_process_at_once():
    with subprocess.Popen(
        [sys.executable, "-c", IMPATIENT], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for word in ("ready", "stopping"):
                assert process.stdout.readline() == f"{word}\n"
                process.send_signal(signal.SIGINT)
            assert process.wait(20) == -signal.SIGINT
        finally:
            process.kill()
