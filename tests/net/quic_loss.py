#!/usr/bin/env python3
"""QUIC through a relay of ours (relay.c) that drops 5 % of the datagrams and holds 5 % back: quic_loss.py NET_PEER GO_PEER RUST_PEER

Each of go-libp2p, rust-libp2p and ourselves is dialled by us and dials us through the relay; streams go both ways, and nothing may
be missing or stuck."""

import os
import sys
import time

from matrix import Go, Peer, Rust, relay

DROPPED, LATE = 50, 50  # of a thousand
BYTES = 20_000_000 if os.environ.get("P2PD_LONG") else 2_000_000
STREAMS = 3


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


def row(net, us, them, we_dial):
    between = None
    try:
        our_up, their_up = us.wait("up"), them.wait("up")
        listener, dialler = (their_up, us) if we_dial else (our_up, them)
        between = relay(net, "udp", port_of(listener), drop=DROPPED, late=LATE)
        dialler.say(f"connect /ip4/127.0.0.1/udp/{between.wait('up')['port']}/quic-v1/p2p/{listener['peer']}")
        us.wait("connected", 60)
        them.wait("connected", 60)
        speed = echo(us, f"echo {BYTES} {STREAMS}")
        between.say("quit")
        fate = between.wait("relayed")
        assert fate["dropped"] > 0 and fate["late"] > 0, fate
        return f"{speed / 1e6:.1f} MB/s, of {fate['passed']} datagrams {fate['dropped']} more lost and {fate['late']} late"
    finally:
        for each in (them, us, between):
            if each is not None:
                each.end()


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
                print(f"ok    {text}: {row(net, ours(net), make(), we_dial)}", flush=True)
            except AssertionError as why:
                bad += 1
                print(f"FAIL  {text}: {why}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
