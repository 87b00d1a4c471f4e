#!/usr/bin/env python3
"""The stack against other implementations: matrix.py NET_PEER GO_PEER|RUST_PEER|js [--long] [ROW]

Each row runs our scriptable peer (tests/net/peer.c) with a go-libp2p, rust-libp2p or js-libp2p one,
both ways round, and lets the other side's books decide: connected with the wanted muxer, identified,
pinged, requests answered, every byte of every stream echoed. The peers are made by
tests/interop/peers.sh (node and js, go, or rust). ROW: only rows whose name has this text."""
import json, os, queue, shutil, subprocess, sys, threading, time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PATIENCE = 5  # limits are said for a quiet machine


# Seconds for an event that takes one on a quiet machine; streams of a GiB have longer.
PATIENCE, PATIENCE_STREAMS = 120, 1800

# What the other side offers where a row wants this; QUIC has its own streams and no TCP beside it.
MUXERS = {"yamux": "yamux,mplex", "mplex": "mplex,yamux", "quic": "quic"}
MUX_IDS = {"yamux": "/yamux/1.0.0", "mplex": "/mplex/6.7.0", "quic": "/quic-v1"}


class Kind:
    in_turn, hour = 2000, False  # streams over one QUIC connection one after the other; for an hour in the long run

    most = 1 << 30  # bytes of the longest stream in the long run

    def ends(self, muxer):
        """When our streams end: "" behind their last byte, "late" at the first answer."""
        return ""


class Go(Kind):
    name, agent, tells_early, requests, many = "go", "gopeer/0", True, True, 1000
    keys, storms, quic = ("ed25519", "ecdsa", "rsa"), True, True

    def __init__(self, program, key=""):
        self.program, self.key = program, key

    def argv(self, muxer, early, ip6):
        return ([self.program, "-udp", "-1", "-muxers", MUXERS[muxer],
                 "-identity", self.key]
                + (["-ip", "::1"] if ip6 else []) + ([] if early else ["-noearly"]))


class Rust(Kind):
    """rust-libp2p offers no muxers in the handshake: early or not is what we offer. It resets a stream
    by dropping it."""

    name, agent, tells_early, requests, many = "rust", "rustpeer/0", False, False, 1000
    keys, storms, quic = ("ed25519", "ecdsa"), True, True

    def __init__(self, program, key=""):
        self.program, self.key = program, key

    def argv(self, muxer, early, ip6):
        return ([self.program, "stack", "-muxers", MUXERS[muxer],
                 "-identity", self.key] + (["-ip", "::1"] if ip6 else []))


class Js(Kind):
    """js-libp2p takes the first of the remote's muxers in both roles, so it offers one only."""

    name, agent, tells_early, requests, many = "js", "js-libp2p/", False, False, 1000
    storms, quic = False, True
    in_turn, hour = 10_000, True
    keys = ("Ed25519", "RSA")  # it knows no ECDSA identities

    def ends(self, muxer):
        # js-libp2p over QUIC loses a stream whose end comes before its handler is in place: an answer proves that it is.
        return "late" if muxer == "quic" else ""

    def __init__(self, key="secp256k1"):
        self.key = key
        shutil.copy(TOP / "tests/net/js_peer.mjs", TOP / "build/peers/js")

    def argv(self, muxer, early, ip6):
        return ([TOP / "build/peers/bin/node", "--require", TOP / "tests/interop/lodestar/polyfill.cjs",
                 TOP / "build/peers/js/js_peer.mjs", "-muxers", muxer, "-key", self.key]
                + (["-ip", "::1"] if ip6 else []) + ([] if early else ["-noearly"]))


class Peer:
    def __init__(self, name, argv):
        self.name, self.lines, self.seen = name, queue.Queue(), []
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.p.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def say(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()

    def wait(self, ev, timeout=PATIENCE, **want):
        """The next event of this kind with these values; others before it are kept for later waits."""
        fits = lambda e: e["ev"] == ev and all(e.get(k) == v for k, v in want.items())
        for e in self.seen:
            if fits(e):
                self.seen.remove(e)
                return e
        timeout *= PATIENCE
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            try:
                e = self.lines.get(timeout=max(left, 0.001))
            except queue.Empty:
                raise AssertionError(f"{self.name}: no {ev} {want} in {timeout} s; saw {self.seen[-5:]}")
            if e is None:
                raise AssertionError(f"{self.name} has ended; saw {self.seen[-5:]}")
            if fits(e):
                return e
            self.seen.append(e)

    def rest(self):
        """The last of what nobody has waited for."""
        while not self.lines.empty():
            self.seen.append(self.lines.get())
        return self.seen[-5:]

    def end(self):
        if self.p.poll() is None:
            try:
                self.say("quit")
                self.p.wait(10 * PATIENCE)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                self.p.kill()
                self.p.wait()
        return self.p.returncode


def relay(net, kind, port, **how):
    """A relay (tests/net/relay.c) before a port: kind "tcp" or "udp", how: delay, drop, late."""
    flags = [text for name, value in how.items() for text in (f"--{name}", str(value))]
    return Peer("relay", [Path(net).parent / "net_relay", kind, str(port), *flags])


def in_turn(theirs, our_id, streams, seconds):
    """Streams over one connection, fifty at a time, at least so many and so long: credit for new ones has to come back."""
    until, done = time.monotonic() + seconds, 0
    while done < streams or time.monotonic() < until:
        theirs.say(f"echo {our_id} 10 50")
        echoed(theirs)
        done += 50


def echoed(side):
    e = side.wait("echo", PATIENCE_STREAMS)
    assert e.get("err") is None and e["got"] == e["sent"], (e, side.seen[-5:])
    return e


def check_streams(ours, theirs, our_id, ends, most, many, long):
    amounts = [(1, 1), (1000, 50), (3_000_000, 3)] + ([(most, 1), (1 << 26, 4), (10_000, many)] if long else [])
    for n, streams in amounts:
        ours.say(f"echo {n} {streams} {ends}")
        e = echoed(ours)
        theirs.say(f"echo {our_id} {n} {streams}")
        t = echoed(theirs)
    return e, t


def requests(ours, theirs, our_id):
    for name, body in (("status/2", "11" * 92), ("ping/1", "22" * 8), ("metadata/3", "")):
        ours.say(f"req {name} {body}")
        r = ours.wait("resp", proto=name)
        assert "err" not in r, r
        theirs.say(f"req {our_id} {name}")
        r = theirs.wait("resp", proto=name)
        assert r.get("err") is None and r["code"] == 0, r


def storm(ours, theirs, our_id, many):
    """The other side's streams end in every way, and the connection stays as it was."""
    theirs.say(f"storm {our_id} {many} 1")
    t = theirs.wait("storm")
    assert t["conns"] == 1 and t["wrong"] == 0 and t["opened"] == many and t["echoed"] > 0, t
    end = time.monotonic() + 20 * PATIENCE
    while time.monotonic() < end:  # what the other side has given up on ends with us too
        ours.say("streams")
        left = ours.wait("streams")["n"]
        if left <= 2:  # rust-libp2p keeps a stream of pings
            return
        time.sleep(0.1)
    raise AssertionError(f"{left} streams stand after the storm")


def abandon(ours, rounds):
    """Our streams, reset at the first byte of their answers."""
    for _ in range(rounds):
        ours.say("abandon 300000 100")
        ours.wait("echo")


def row(net, kind, muxer, early, we_dial, where, long):
    """where: ip4, ip6, or the kind of name that localhost is dialled by."""
    ip6 = where == "ip6"
    ours = Peer("ours", [net, "--muxers", muxer] + ([] if early else ["--noearly"]) + (["--ip6"] if ip6 else []))
    theirs = Peer(kind.name, kind.argv(muxer, early, ip6))
    try:
        up, other = ours.wait("up"), theirs.wait("up")
        host = "localhost" if where.startswith("dns") else up["ip"]
        if we_dial:
            port = next(a.split("/")[4] for a in other["addrs"] if ("quic-v1" in a) == (muxer == "quic"))
        else:
            port = up["port"]
        wire = f"udp/{port}/quic-v1" if muxer == "quic" else f"tcp/{port}"
        dialler, listener = (ours, other) if we_dial else (theirs, up)
        dialler.say(f"connect /{where}/{host}/{wire}/p2p/{listener['peer']}")
        e = ours.wait("connected")
        assert e["mux"] == MUX_IDS[muxer], e
        assert e["peer"] == other["peer"], (e, other)
        t = theirs.wait("connected")
        assert (muxer == "quic" or t["mux"] == e["mux"]) and t["peer"] == up["peer"], t
        assert not kind.tells_early or muxer == "quic" or t["early"] == early, t
        i = ours.wait("identify")
        assert i["agent"].startswith(kind.agent) and i["signed"] and i["observed"], i
        t = theirs.wait("identify")
        assert t["agent"] == "beacon-p2pd" and "/p2pd/echo/1" in t["protos"], t
        ours.say("ping")
        ours.wait("ping")
        theirs.say(f"ping {up['peer']}")
        t = theirs.wait("ping")
        assert t.get("err") is None, t
        if kind.requests:
            requests(ours, theirs, up["peer"])
        held_up = muxer == "mplex" and kind.name == "go"  # it waits five seconds for each stream that nobody reads
        if kind.storms and not held_up:
            storm(ours, theirs, up["peer"], 20_000 if long else 1000)
        if not held_up:
            abandon(ours, 50 if long and muxer == "yamux" else 2)
        if muxer == "quic":
            first = we_dial and where == "ip4"
            in_turn(theirs, up["peer"], 100_000 if long else kind.in_turn if first else Kind.in_turn, 3600 if long and first and kind.hour else 0)
        last = check_streams(ours, theirs, up["peer"], kind.ends(muxer), kind.most, kind.many, long)
        if we_dial:
            ours.say("close")
            theirs.wait("disconnected")
        else:
            theirs.say(f"close {up['peer']}")
            ours.wait("disconnected")
        return last
    except AssertionError as why:
        raise AssertionError(f"{why}; ours saw {ours.rest()}")
    finally:
        theirs.end()
        code = ours.end()
        if sys.exc_info()[0] is None:
            assert code == 0, f"ours ended with {code}"


def rows(kind):
    """(name, kind of peer, muxer, early, we dial, where)"""
    for muxer in ("yamux", "mplex"):
        for early in (True, False):
            for we_dial in (True, False):
                for where in ("ip4", "ip6", "dns4" if muxer == "yamux" else "dns") if early else ("ip4",):
                    who = "we dial" if we_dial else kind.name + " dials"
                    yield f"{muxer} early={early} {who} {where}", kind, muxer, early, we_dial, where
    for we_dial in (True, False) if kind.quic else ():
        for where in ("ip4", "ip6", "dns4") if we_dial else ("ip4", "ip6"):  # not all of them resolve names for QUIC
            yield f"quic {'we dial' if we_dial else kind.name + ' dials'} {where}", kind, "quic", True, we_dial, where
    for key in kind.keys:
        for we_dial in (True, False):
            peer = Js(key) if isinstance(kind, Js) else type(kind)(kind.program, key)
            yield f"{key} {'we dial' if we_dial else kind.name + ' dials'}", peer, "yamux", True, we_dial, "ip4"


def main():
    net, long = sys.argv[1], "--long" in sys.argv or bool(os.environ.get("P2PD_LONG"))
    named = [a for a in sys.argv[3:] if a != "--long"]
    kind = Js() if sys.argv[2] == "js" else (Rust if "rustpeer" in sys.argv[2] else Go)(sys.argv[2])
    bad = 0
    for name, peer, *how in rows(kind):
        if named and named[0] not in name:
            continue
        try:
            e, t = row(net, peer, *how, long)
            print(f"ok    {name}: ours {e['sent']} bytes in {e['ms']} ms, {peer.name}'s {t['sent']} in {t['ms']} ms", flush=True)
        except AssertionError as why:
            bad += 1
            print(f"FAIL  {name}: {why}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
