"""Gossip peers of three hands with one set of lines: ours (tests/net/gossip.c), rust-libp2p's and js-libp2p's."""

import json
import os
import shutil
import threading
import time

from harness.proc import PEERS, TOP, Failure, Process, node, patient

OURS = os.environ.get("P2PD_NET_GOSSIP", str(TOP / "build/dev/tests/net/net_gossip"))
RUST = os.environ.get("P2PD_RUSTPEER", str(PEERS / "bin/rustpeer"))


def js_argv():
    """The programs run beside the packages that npm installed for them."""
    home = PEERS / "js"
    for name in ("gossip.mjs", "wire.mjs"):
        source = TOP / "tests/interop/js" / name
        if not (home / name).exists() or (home / name).read_bytes() != source.read_bytes():
            shutil.copy(source, home / name)
    return [node(), "--require", TOP / "tests/interop/lodestar/polyfill.cjs", home / "gossip.mjs"]


class GossipPeer:
    """A process; what it received is in `messages`, by topic and number: how often, and under which id."""

    def __init__(self, kind, name, *flags):
        self.kind, self.name, self.flags = kind, name, flags
        self.messages, self.ids, self.events = {}, {}, []
        self._changed = threading.Condition()
        argv = {"ours": [OURS], "rust": [RUST, "gossip"], "js": js_argv()}[kind]
        self.process = Process(name, [*argv, *flags], on_line=self._on_line)
        up = self.wait("up", 30)
        self.addr, self.id = up["addr"], up["peer"]

    def _on_line(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            return
        with self._changed:
            if event["ev"] == "msg":
                key = (event["topic"], event["n"])
                self.messages[key] = self.messages.get(key, 0) + 1
                self.ids[key] = event["id"]
            else:
                self.events.append(event)
            self._changed.notify_all()

    def wait(self, ev, seconds=20, start=0, **fields):
        """The first event of this kind with these fields, from the start-th on."""
        seconds = patient(seconds)
        end, at = time.monotonic() + seconds, start
        with self._changed:
            while True:
                for event in self.events[at:]:
                    at += 1
                    if event["ev"] == ev and all(event.get(k) == v for k, v in fields.items()):
                        return event
                left = end - time.monotonic()
                if left <= 0:
                    raise Failure(f"{self.name}: no {ev} {fields or ''} in {seconds} s; last: {self.events[-3:]}")
                self._changed.wait(min(left, 1))
                self.process.must_run()

    def say(self, line):
        self.process.send(line)

    def ask(self, line, ev, seconds=20):
        start = len(self.events)
        self.say(line)
        return self.wait(ev, seconds, start)

    def dial(self, other):
        """Both sides have the connection when this returns."""
        mine, its = len(self.events), len(other.events)
        self.say(f"dial {other.addr}")
        self.wait("connected", 20, mine, peer=other.id)
        other.wait("connected", 20, its, peer=self.id)

    def join(self, topic):
        self.ask(f"subscribe {topic}", "joined")

    def leave(self, topic):
        self.ask(f"unsubscribe {topic}", "left")

    def publish(self, topic, first, count, size):
        self.say(f"publish {topic} {first} {count} {size}")

    def stats(self):
        return self.ask("stats", "stats")

    def count(self, *names):
        """The sum of its own counters whose names contain all of these."""
        return sum(v for k, v in self.stats()["counters"].items() if all(n in k for n in names))

    def row(self, other):
        """What it holds of a peer: protocol, score, in how many meshes; None where there is no such."""
        return self.stats()["peers"].get(other.id)

    def stop(self):
        self.say("quit")
        return self.process.wait_end(15)
