#!/usr/bin/env python3
"""A set of replicas that find each other by a boot node and random walks, with nothing in between: no chain, no discv5.

    replicas.py [--program PATH] [--check] [N]

starts N daemons (default 6) on 127.0.0.1, each told of the first one only. Every replica says that it is of the set (a provider
record under the set's name) and what it has (a value under its own). Then each in turn, the boot node among them, is killed; the others
go on without it, still know what it had, and have it back when it comes again. Until then it prints what the replicas see; with
--check it ends there, with 0 when all was so.
"""

import argparse
import hashlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SET = "0x1220" + hashlib.sha256(b"replica set of the example").hexdigest()  # a multihash: what provider records are for
PREFIX = "/replica/"
PATIENCE = 450  # seconds: much more than it takes, on a busy machine too


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Replica:
    def __init__(self, program, folder, number):
        self.program, self.name, self.port = program, f"r{number}", free_port()
        self.folder, self.control = folder / self.name, folder / f"{self.name}.sock"
        self.child, self.id, self.round = None, None, 0

    def start(self, boot):
        flags = ["--network", "none", "--discovery", "kad", "--kad-protocol", "/replicas/kad/1.0.0", "--kad-raw-prefix", PREFIX]
        flags += ["--listen-address", "127.0.0.1", "--port", self.port, "--disable-quic", "--disable-http", "--log-format", "json"]
        flags += ["--enable-private-discovery", "--local-network"]  # all of them on one host
        flags += ["--datadir", self.folder, "--control-socket", self.control]
        flags += ["--boot-nodes", boot.address] if boot is not self else []
        log = open(self.folder.with_suffix(".log"), "ab+")
        log.seek(0, 2)
        begin = log.tell()
        self.child = subprocess.Popen([str(w) for w in (self.program, "run", *flags)], stdout=log, stderr=log)
        self.id = wait(f"{self.name} listens", lambda: self.listening(log, begin))["peer_id"]
        log.close()

    def listening(self, log, begin):
        if self.child.poll() is not None:
            sys.exit(f"{self.name} ended: see {log.name}")
        log.seek(begin)
        lines = [json.loads(line) for line in log.read().decode().splitlines(True) if line.startswith("{") and line.endswith("\n")]
        return next((line for line in lines if line["msg"] == "listening"), None)

    @property
    def address(self):
        return f"/ip4/127.0.0.1/tcp/{self.port}/p2p/{self.id}"

    def ask(self, *words):
        """What it answers, a line each; None: it found nothing, or is not there."""
        argv = [self.program, "kad", "--control-socket", self.control, *words]
        done = subprocess.run([str(w) for w in argv], capture_output=True, text=True)
        return done.stdout.splitlines() if done.returncode == 0 else None

    def announce(self):
        """The number comes first and grows: of two values the greater one is kept."""
        self.round += 1
        wait(f"{self.name} joins the set", lambda: self.ask("provide", SET) is not None)
        wait(f"{self.name} says what it has", lambda: self.ask("put", PREFIX + self.name, self.has()) is not None)

    def has(self):
        return f"{self.round:08d} state of {self.name}"

    def members(self):
        return {line.split()[0] for line in self.ask("providers", SET) or ()}

    def knows(self, other):
        return (self.ask("get", PREFIX + other.name) or [None])[0] == other.has()

    def met(self):
        return {line.split()[0] for line in self.ask("table") or ()}


def wait(what, condition):
    end = time.monotonic() + PATIENCE
    while not (got := condition()):
        if time.monotonic() > end:
            sys.exit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.3)  # asked again: a network settles without telling us
    return got


def all_see(replicas, of):
    for r in replicas:
        wait(f"{r.name} has met all others", lambda r=r: {o.id for o in replicas} - {r.id} <= r.met())
        wait(f"{r.name} sees the whole set", lambda r=r: {o.id for o in of} <= r.members())
        for other in of:
            wait(f"{r.name} knows what {other.name} has", lambda r=r, o=other: r.knows(o))


def play(replicas):
    for r in replicas:
        r.start(replicas[0])
    for r in replicas:
        r.announce()
    all_see(replicas, replicas)
    print(f"{len(replicas)} replicas, each told of {replicas[0].name} only, see each other", flush=True)
    for lost in replicas:
        lost.child.kill()
        lost.child.wait()
        left = [r for r in replicas if r is not lost]
        all_see(left, replicas)
        lost.start(left[0])
        for r in replicas:  # records are in memory: who came new keeps none of the others' yet
            r.announce()
        all_see(replicas, replicas)
        print(f"{lost.name} was lost: the others went on, know what it had, and have it back", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="beacon-p2pd")
    parser.add_argument("--check", action="store_true", help="end when all was shown")
    parser.add_argument("n", nargs="?", type=int, default=6)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="replicas-") as folder:
        replicas = [Replica(args.program, Path(folder), i) for i in range(args.n)]
        try:
            play(replicas)
            while not args.check:
                for r in replicas:
                    print(f"{r.name} sees {len(r.members())} of the set", flush=True)
                time.sleep(10)
        except KeyboardInterrupt:
            pass
        finally:
            for r in replicas:
                if r.child is not None:
                    r.child.terminate()
            for r in replicas:
                if r.child is not None:
                    r.child.wait()


if __name__ == "__main__":
    main()
