#!/usr/bin/env python3
"""QUIC through a relay of ours that drops 5 % of the datagrams and holds back 5 % more: quic_loss.py NET_PEER GO_PEER RUST_PEER

Each of go-libp2p, rust-libp2p and ourselves is dialled by us and dials us through the relay; streams go both ways, and nothing may
be missing or stuck. What was dropped is decided by a seed and the datagram's number, so every run loses the same share."""

import os
import random
import socket
import sys
import threading
import time

from matrix import Go, Peer, Rust

DROPPED, LATE = 0.05, 0.05
LATE_SECONDS = 0.005  # some ten datagrams at this speed
BYTES = 20_000_000 if os.environ.get("P2PD_LONG") else 2_000_000
STREAMS = 3


class Relay:
    """Between whoever sends to its port and one target."""

    def __init__(self, target, seed=1):
        self.front, self.back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for s in (self.front, self.back):
            s.bind(("127.0.0.1", 0))
            s.settimeout(0.2)
        self.port, self.target, self.client = self.front.getsockname()[1], target, None
        self.rng, self.lock = random.Random(seed), threading.Lock()
        self.sent = self.lost = 0
        self.over = False
        self.threads = [threading.Thread(target=self.run, args=(s,), daemon=True) for s in (self.front, self.back)]
        for t in self.threads:
            t.start()

    def run(self, s):
        while not self.over:
            try:
                data, origin = s.recvfrom(2048)
            except (TimeoutError, ConnectionRefusedError):
                continue
            if s is self.front:
                self.client = origin
            out, to = (self.back, self.target) if s is self.front else (self.front, self.client)
            with self.lock:
                fate = self.rng.random()
                self.sent += 1
                self.lost += fate < DROPPED
            if fate < DROPPED:
                continue
            if fate < DROPPED + LATE:
                threading.Timer(LATE_SECONDS, self.pass_on, (out, data, to)).start()
            else:
                self.pass_on(out, data, to)

    def pass_on(self, out, data, to):
        if not self.over:
            out.sendto(data, to)

    def end(self):
        self.over = True
        for t in self.threads:
            t.join()
        self.front.close()
        self.back.close()


def ours(net):
    return Peer("ours", [net, "--muxers", "quic"])


def port_of(up):
    if "port" in up:
        return int(up["port"])
    return int(next(a for a in up["addrs"] if "quic-v1" in a).split("/")[4])


def echo(peer, say):
    begin = time.monotonic()
    peer.say(say)
    e = peer.wait("echo", 120)
    assert not e.get("err") and e["got"] == e["sent"], e
    return 2 * e["sent"] / (time.monotonic() - begin)


def row(name, us, them, we_dial):
    try:
        our_up, their_up = us.wait("up"), them.wait("up")
        listener, dialler = (their_up, us) if we_dial else (our_up, them)
        relay = Relay(("127.0.0.1", port_of(listener)))
        dialler.say(f"connect /ip4/127.0.0.1/udp/{relay.port}/quic-v1/p2p/{listener['peer']}")
        us.wait("connected", 60)
        them.wait("connected", 60)
        speed = echo(us, f"echo {BYTES} {STREAMS}")
        relay.end()
        assert relay.lost > 0
        print(f"ok    {name}: {speed / 1e6:.1f} MB/s, {relay.lost} of {relay.sent} datagrams lost", flush=True)
    finally:
        them.end()
        us.end()


def main():
    net, go, rust = sys.argv[1:4]
    kinds = {"go": lambda: Peer("go", Go(go).argv("quic", True, False)),
             "rust": lambda: Peer("rust", Rust(rust).argv("quic", True, False)),
             "ours": lambda: ours(net)}
    bad = 0
    for name, make in kinds.items():
        for we_dial in (True, False):
            text = f"{name}, {'we dial' if we_dial else 'we are dialled'}"
            try:
                row(text, ours(net), make(), we_dial)
            except AssertionError as why:
                bad += 1
                print(f"FAIL  {text}: {why}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
