"""Processes with their output in files, waiting for what they say, and ends that nobody can forget."""

import atexit
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
PEERS = TOP / "build" / "peers"
LONG = bool(os.environ.get("P2PD_LONG"))
SKIP = 77
PATIENCE = 5  # limits are said for a quiet machine; one with other rows, builds and cold caches beside is slower by so much

_processes = []


class Failure(Exception):
    """A test's finding: what was wanted and what was seen."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def note(text):
    """A line for the report of ./test."""
    print(f"note: {text}", flush=True)


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def patient(seconds):
    """How long an event is waited for before it is missed. No test measures time by it: what comes, comes earlier."""
    return PATIENCE * seconds


def until(condition, seconds, what, every=0.2):
    """Wait until condition() is true and return its value; `what` may be a function that says what is seen instead."""
    seconds = patient(seconds)
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        for process in _processes:
            process.must_run()
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)


_ports_held = []


def free_port(n=1):
    """The first of n neighbours that are free on 127.0.0.1 just now for TCP and UDP, as is the next one for QUIC; no other test gets them
    while this one runs.

    Below those that the kernel gives to outgoing connections, which would take one before it is bound.
    """
    for _ in range(200):
        port = random.randrange(10000, 32000 - n, 2)
        held = []
        try:
            for at in range(port, port + n + 1):
                mark = socket.socket(socket.AF_UNIX)  # its name is gone with us, and is of this network namespace, as ports are
                held.append(mark)
                mark.bind(f"\0p2pd-test-port-{at}")
                with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                    tcp.bind(("127.0.0.1", at))
                    udp.bind(("127.0.0.1", at))
        except OSError:
            for mark in held:
                mark.close()
            continue
        _ports_held.extend(held)
        return port
    raise Failure("no free port on 127.0.0.1")


def scratch(name):
    """A directory of this test run, kept when it fails."""
    path = Path(tempfile.mkdtemp(prefix=f"p2pd-{name}-"))
    _scratch.append(path)
    return path


_scratch = []


class Process:
    """A child with stdout and stderr read line by line. It must go on running until stop()."""

    def __init__(self, name, argv, cwd=None, env=None, on_line=None):
        self.name, self.lines, self._on_line = name, [], on_line
        self._changed = threading.Condition()
        self.stopping = False
        self.child = subprocess.Popen(
            [str(a) for a in argv],
            cwd=cwd,
            env=dict(os.environ, **(env or {})),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        _processes.append(self)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in self.child.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            with self._changed:
                self.lines.append(line)
                if self._on_line:
                    self._on_line(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def must_run(self):
        if not self.stopping and self.child.poll() is not None:
            raise Failure(
                f"{self.name} ended with code {self.child.returncode}; its last lines:\n  "
                + "\n  ".join(self.lines[-15:])
            )

    def send(self, line):
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def wait_line(self, pattern, seconds, start=0):
        """The first line that matches, waited for as an event."""
        seconds = patient(seconds)
        wanted, end, at = re.compile(pattern), time.monotonic() + seconds, start
        with self._changed:
            while True:
                while at < len(self.lines):
                    found = wanted.search(self.lines[at])
                    if found:
                        return found
                    at += 1
                if self.child.poll() is not None and not self._reader.is_alive():
                    raise Failure(
                        f"{self.name} ended with code {self.child.returncode} before saying /{pattern}/:\n  "
                        + "\n  ".join(self.lines[-15:])
                    )
                left = end - time.monotonic()
                if left <= 0:
                    raise Failure(
                        f"{self.name} did not say /{pattern}/ within {seconds} s; its last lines:\n  "
                        + "\n  ".join(self.lines[-8:])
                    )
                self._changed.wait(min(left, 1))

    def wait_end(self, seconds):
        """The exit code."""
        seconds = patient(seconds)
        self.stopping = True
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s") from None
        self._reader.join(5)
        return code

    def stop(self, sig=signal.SIGINT, seconds=15):
        """Ask it to end and return its exit code; a process that does not is a failure."""
        self.stopping = True
        if self.child.poll() is None:
            self.child.send_signal(sig)
        return self.wait_end(seconds)

    def kill(self):
        self.stopping = True
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()

    def rss_kib(self):
        text = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


@atexit.register
def end_all():
    for process in reversed(_processes):
        process.kill()


def main(test, *args):
    """Run a test function; say what failed and where its files are."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        test(*args)
    except Exception as failure:  # the harness' own trouble keeps the same evidence
        if not isinstance(failure, Failure):
            traceback.print_exc()
        for process in _processes:
            print(f"--- last lines of {process.name}")
            for line in process.lines[-40:]:
                print("   ", line[:500])
        where = _scratch[0] if _scratch else scratch("failed")
        for process in _processes:
            (where / (process.name.replace(" ", "-") + ".log")).write_text("\n".join(process.lines) + "\n")
        for path in _scratch:
            print(f"files kept in {path}, the whole output of each process among them")
        end_all()
        print(f"failed: {failure or type(failure).__name__}".replace("\n", " | "))
        sys.exit(1)
    end_all()
    for path in _scratch:
        shutil.rmtree(path, ignore_errors=True)


def node():
    """Node 20 or newer, as peers.sh made it ready."""
    return PEERS / "bin" / "node"
