"""go-libp2p as a scriptable peer: JSON lines out, one command a line in (tests/interop/go)."""

import json
import os
import struct

from harness.proc import PEERS, Process, check, until

GOPEER = os.environ.get("P2PD_GOPEER", PEERS / "gopeer")


class GoPeer:
    """One gopeer on 127.0.0.1 (or where `wrapper` and `ip` say) that answers req/resp as a peer of the digest's network."""

    def __init__(self, name, digest, key=None, ip="127.0.0.1", wrapper=(), port=0, discv5=False):
        self.name, self.events = name, []
        argv = [*wrapper, GOPEER, "-digest", digest, "-ip", ip, "-tcp", port, "-udp", 0 if discv5 else -1]
        self.process = Process(name, [*argv, *(["-key", key] if key else [])], on_line=self._on_line)
        up = until(lambda: self.last("up"), 30, f"{name} is up")
        self.id, self.enr = up["peer"], up["enr"]
        self.multiaddr = next(a for a in up["addrs"] if f"/{ip}/" in a) + f"/p2p/{self.id}"

    def _on_line(self, line):
        try:
            self.events.append(json.loads(line))
        except ValueError:
            pass

    def all(self, ev, start=0, **fields):
        return [e for e in self.events[start:] if e["ev"] == ev and all(e.get(k) == v for k, v in fields.items())]

    def last(self, ev, start=0, **fields):
        return next(reversed(self.all(ev, start, **fields)), None)

    def mark(self):
        """Where the events to come begin."""
        return len(self.events)

    def wait(self, ev, seconds, start=0, **fields):
        return until(lambda: self.last(ev, start, **fields), seconds,
                     lambda: f"{self.name}: {ev} {fields} after {self.events[start:][-6:]}", every=0.05)

    def command(self, words, answer, seconds=20):
        start = self.mark()
        self.process.send(words)
        return self.wait(answer, seconds, start)

    def connect(self, daemon):
        """None, or why it did not work. (go-libp2p waits after a dial that failed: that is waited for.)"""
        found = []

        def tried():
            found.append(self.command(f"connect {daemon.multiaddr}", "connect").get("err"))
            return not found[-1] or "dial backoff" not in found[-1]

        until(tried, 60, "go-libp2p dials again", every=1)
        return found[-1]

    def status(self, daemon, digest=None):
        """As a dialler does first; digest: of another network."""
        body = "" if digest is None else digest + "00" * 88
        return self.command(f"req {daemon.peer_id} status/2 {body}", "resp")

    def join(self, daemon):
        """Connect, exchange status, and see that the daemon has us."""
        error = self.connect(daemon)
        check(error is None, f"{self.name} cannot connect: {error}")
        answer = self.status(daemon)
        check(not answer.get("err") and answer["code"] == 0, f"{self.name}: status: {answer}")
        until(lambda: daemon.peer(self.id), 20, f"the daemon lists {self.name}")

    def goodbye(self, daemon, code):
        self.process.send(f"req {daemon.peer_id} goodbye/1 {struct.pack('<Q', code).hex()}")

    def goodbyes(self, start=0):
        """Codes that were said to us."""
        return [int.from_bytes(bytes.fromhex(e["body"]), "little") for e in self.all("req", start, proto="goodbye/1")]

    def close(self, daemon):
        self.command(f"close {daemon.peer_id}", "close")

    def stop(self):
        self.process.send("quit")
        self.process.wait_end(10)
