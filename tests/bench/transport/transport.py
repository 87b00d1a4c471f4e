#!/usr/bin/env python3
"""The transport's cost beside go-libp2p's and rust-libp2p's: transport.py BUILD GO_PEER RUST_PEER [--quic] [--write] [--quick]

BUILD is a release build (its tests/net/net_peer, net_relay and net_limit). Each row runs one process under test after
the other, ours, Go's and Rust's, in the same role against the same go-libp2p partner, and counts the CPU
time of the process under test (/proc/PID/stat), so that a busy machine blurs but does not bend the result.
--write puts the table into docs/benchmarks/transport.md, or quic.md beside it with --quic; --quick counts a tenth."""
import json, os, resource, statistics, subprocess, sys, time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests/net"))
from matrix import Go, Peer, Rust, relay

QUICK = 10 if "--quick" in sys.argv else 1
CHURN, STREAM, SMALL, SWARM, PINGS = 3000 // QUICK, (1 << 28) // QUICK, (1000, 20000 // QUICK), 2000 // QUICK, 200
MUXER = "quic" if "--quic" in sys.argv else "yamux"
DELAY = 30  # milliseconds one way
TIMES = 3  # streams are moved so often, and the least counts: what others do on the machine only adds


def cpu(peer):
    return time.clock_gettime(~peer.p.pid << 3 | 2)  # the CPU clock of a process: clock_getcpuclockid(3)


def rss(peer):
    return int(next(line for line in open(f"/proc/{peer.p.pid}/status") if line.startswith("VmRSS")).split()[1])


def address(port, peer_id):
    return f"/ip4/127.0.0.1/udp/{port}/quic-v1/p2p/{peer_id}" if MUXER == "quic" else f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id}"


class Side:
    """One process: ours, Go's or Rust's, with the same few verbs."""

    def __init__(self, kind, programs):
        self.kind = kind
        argv = {"ours": lambda: [programs["ours"], "--muxers", MUXER],
                "go": lambda: Go(programs["go"]).argv(MUXER, True, False),
                "rust": lambda: Rust(programs["rust"]).argv(MUXER, True, False)}[kind]()
        self.peer = Peer(kind, argv)
        up = self.peer.wait("up")
        self.id = up["peer"]
        self.port = int(up["port"]) if kind == "ours" else int(up["addrs"][0].split("/")[4])
        self.addr = address(self.port, self.id)

    def churn(self, n, other):
        self.peer.say(f"churn {n} 127.0.0.1 {other.port}" if self.kind == "ours" else f"churn {n} {other.addr}")
        e = self.peer.wait("churn", 600)
        assert e.get("err") is None, e

    def connect(self, addr):
        self.peer.say(f"connect {addr}")
        self.peer.wait("connected", 30)

    def perf(self, other, up, down):
        """libp2p's perf protocol: bytes to the other side, then bytes from it. Go alone asks."""
        self.peer.say(f"perf {other.id} {up} {down}")
        e = self.peer.wait("perf", 600)
        assert e.get("err") is None and e["got"] == down, e

    def echo(self, other, n, streams):
        """Milliseconds."""
        self.peer.say(f"echo {n} {streams}" if self.kind == "ours" else f"echo {other.id} {n} {streams}")
        e = self.peer.wait("echo", 600)
        assert e.get("err") is None and e["got"] == e["sent"], e
        return e["ms"]


def least(test, work):
    """CPU seconds."""
    took = []
    for _ in range(TIMES):
        before = cpu(test.peer)
        work()
        took.append(cpu(test.peer) - before)
    return min(took)


def roles(kind, programs):
    """(CPU seconds of the process under test, units of work) by name; ping in microseconds."""
    out = {}
    test, partner = Side(kind, programs), Side("go", programs)
    try:
        before = cpu(test.peer)
        partner.churn(CHURN, test)
        out["accepted"] = (cpu(test.peer) - before, CHURN)
        partner.connect(test.addr)
        for name, units, work in (("received", STREAM, lambda: partner.perf(test, STREAM, 0)),
                                  ("sent", STREAM, lambda: partner.perf(test, 0, STREAM)),
                                  ("stream", 2 * STREAM, lambda: partner.echo(test, STREAM, 1)),
                                  ("streams", 2 * STREAM, lambda: partner.echo(test, STREAM // 8, 8)),
                                  ("small", SMALL[1], lambda: partner.echo(test, *SMALL))):
            out[name] = (least(test, work), units)
        rtt = []
        for _ in range(PINGS):
            partner.peer.say(f"ping {test.id}")
            rtt.append(partner.peer.wait("ping")["us"])
        out["ping"] = statistics.median(rtt)
    finally:
        test.peer.end()
        partner.peer.end()
    test, partner = Side(kind, programs), Side("go", programs)
    try:
        before = cpu(test.peer)
        test.churn(CHURN, partner)
        out["dialled"] = (cpu(test.peer) - before, CHURN)
    finally:
        test.peer.end()
        partner.peer.end()
    return out


def far_away(kind, programs):
    """Milliseconds from the dial to one byte echoed, at a round trip of 60 ms; MB per second of one stream there."""
    test, partner = Side(kind, programs), Side("go", programs)
    between = relay(programs["ours"], "udp" if MUXER == "quic" else "tcp", partner.port, delay=DELAY)
    try:
        port = between.wait("up")["port"]
        begin = time.monotonic()
        test.connect(address(port, partner.id))
        test.echo(partner, 1, 1)
        ms = (time.monotonic() - begin) * 1000
        n = (1 << 26) // QUICK
        return ms, n / test.echo(partner, n, 1) / 1000
    finally:
        between.end()
        test.peer.end()
        partner.peer.end()


def idle(kind, programs):
    """KiB of resident memory per idle connection."""
    test, partner = Side(kind, programs), Side("go", programs)
    try:
        partner.peer.say(f"swarm 20 {test.addr}")  # warm
        assert partner.peer.wait("swarm", 120).get("err") is None
        before = rss(test.peer)
        partner.peer.say(f"swarm {SWARM} {test.addr}")
        e = partner.peer.wait("swarm", 600)
        assert e.get("err") is None, e
        time.sleep(5)  # identify has ended on all of them
        return (rss(test.peer) - before) / SWARM
    finally:
        test.peer.end()
        partner.peer.end()


def rate(side, name):
    seconds, units = side[name]
    return units / seconds


def measure(build, programs):
    runs = [json.loads(subprocess.run([build / "tests/net/net_limit"], capture_output=True, check=True).stdout) for _ in range(TIMES)]
    part = {name: min(run[name] for run in runs) for name in ("send", "receive", "seal", "open")}
    n = runs[0]["bytes"]
    limit = 2 * n / sum(part.values())
    got = {}
    for kind in ("ours", "go", "rust"):
        got[kind] = roles(kind, programs)
        got[kind]["far"], got[kind]["window"] = far_away(kind, programs)
        got[kind]["idle"] = idle(kind, programs)
        print(kind, got[kind], flush=True)
    return got, limit


def rows(got):
    for name, key, unit, scale in (("connections accepted", "accepted", "per CPU second", 1),
                                   ("connections dialled", "dialled", "per CPU second", 1),
                                   ("one stream, received", "received", "MB per CPU second", 1e6),
                                   ("one stream, sent", "sent", "MB per CPU second", 1e6),
                                   ("one stream, echoed", "stream", "MB per CPU second", 1e6),
                                   ("8 streams, echoed", "streams", "MB per CPU second", 1e6),
                                   ("streams of 1,000 bytes, echoed", "small", "per CPU second", 1)):
        values = [rate(got[kind], key) / scale for kind in ("ours", "go", "rust")]
        yield name, unit, *(f"{v:,.0f}" for v in values), f"{values[0] / max(values[1:]):.1f}"
    for name, key, unit, more_is_better in (("memory of an idle connection", "idle", "KiB", False),
                                            ("ping, as Go sees it", "ping", "µs", False),
                                            ("dial and one byte echoed at 60 ms", "far", "ms", False),
                                            ("one stream, echoed at 60 ms", "window", "MB/s", True)):
        values = [got[kind][key] for kind in ("ours", "go", "rust")]
        ratio = values[0] / max(values[1:]) if more_is_better else min(values[1:]) / max(values[0], 0.01)
        yield name, unit, *(f"{v:,.1f}" for v in values), f"{ratio:.1f}"


# Where our time goes (perf record -e cpu-clock on the process under test, by hand: not made anew with each table).
PROFILE = """
## Where the time goes

Accepting one connection after the other: on the clock 40 % is the kernel (a third of it going to sleep and waking, six times a connection).
Of the 2.5 million instructions outside of it (callgrind) 56 % are X25519 (one key, three products), 25 % secp256k1 (the identity's
signature, and that of the signed record where identify gets so far), 10 % SHA-256 (callgrind knows no SHA-NI: 2 % in truth), 1.3 % OpenSSL's contexts, and
some 6 % multistream, Noise, yamux, identify and libuv together. Curves and kernel are 370 of some 460 µs; three times rust-libp2p's
would be 410 in all. OpenSSL's X25519 is 10 to 20 % faster than libsodium's for a kept key, but makes each new key's object for 40 µs.

One stream: sending is 49 % ChaCha20-Poly1305 (OpenSSL's), 47 % the kernel and 4 % all else; receiving 48 %, 41 % and 10 %, of which 5 are
records that a read has cut, put together. A write is a full record of 64 KiB and the socket takes all but one in 2,000 whole; a read brings
220 KiB; larger ones change nothing (plain TCP alone with 64, 128, 256 and 512 KiB a call: the same within the noise). The kernel's part is
larger than plain TCP's between two C programs, since Go reads in smaller pieces and each of them is acknowledged on our CPU.
An echo adds 14 % of copies: it keeps what it sends back. Twice go-libp2p's would be more than AEAD and TCP alone allow.
"""
PROFILE_QUIC = """
## Where the time goes

A byte echoed: 36 % the kernel (two thirds of that in sendmmsg, where loopback also cuts the batch and delivers it to the partner), 21 %
AES-128-GCM and header protection (GnuTLS), 17 % ngtcp2, 13 % copies, 9 % our own code. Datagrams leave in batches of 45 (`UDP_SEGMENT`)
and come as the partner's batches (`UDP_GRO`). What has come for a stream is one event, in room as large as its last burst. With eight streams Go mixes theirs from datagram to datagram.

An idle connection (massif, 40 of them): 84 KB that ngtcp2 has allocated, most of it pools of 64 frames, 64 sent packets and 64 streams whose last
pages nobody touches, 4 KB ours; the 12 KB of the GnuTLS session go with the handshake.

At 60 ms a dial and one byte are three round trips for all three: the handshake, the byte (right behind the proposal of its protocol), and the stream's end.
One stream there is slow start: ngtcp2 begins with 10 packets, quic-go with 32, which is most of two round trips.
"""


def page(lines):
    if MUXER == "quic":
        how = "over QUIC"
        relay = "each datagram for 30 ms"
    else:
        how = "yamux, the muxer agreed in the handshake\nwhere the peer can (Rust cannot)"
        relay = "each byte for 30 ms, without\nTCP's own handshake"
    flag = " --quic" if MUXER == "quic" else ""
    title = "QUIC" if MUXER == "quic" else "The transport"
    return f"""# {title} beside go-libp2p and rust-libp2p

Written by `tests/bench/transport/transport.py BUILD build/peers/gopeer build/peers/bin/rustpeer{flag} --write`: our process, a go-libp2p 0.51
and a rust-libp2p 0.57 one in the same roles against the same go-libp2p partner, {how}, CPU time of the process under test. Connections are one after the other, memory is at {SWARM:,} of them.
The last column is against the better of the two. At 60 ms the relay of the benchmark holds {relay}. Streams and the limit are the least CPU time of three; times in µs, ms and MB/s are of the wall clock, on a machine that others use too.

""" + "\n".join(lines) + "\n" + (PROFILE_QUIC if MUXER == "quic" else PROFILE)


def main():
    build = Path(sys.argv[1]).resolve()
    programs = {"ours": build / "tests/net/net_peer", "go": Path(sys.argv[2]).resolve(), "rust": Path(sys.argv[3]).resolve()}
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    got, limit = measure(build, programs)
    lines = ["| | unit | beacon-p2pd | go-libp2p | rust-libp2p | times |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(r) + " |" for r in rows(got)]
    if MUXER != "quic":
        # Which side's CPU the kernel's work for a segment falls on is chance: both ways are taken together.
        seconds = sum(got["ours"][way][0] for way in ("received", "sent"))
        one_way = 2 * STREAM / seconds / limit * 100
        echoed = rate(got["ours"], "stream") / limit * 100
        lines += ["", f"AEAD and plain TCP alone, sent and received: {limit / 1e6:,.0f} MB per CPU second. One stream each way reaches {one_way:.0f} %, the echo {echoed:.0f} %."]
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    lines += ["", f"{model}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} meanwhile."]
    print("\n".join(lines))
    if "--write" in sys.argv:
        name = "quic" if MUXER == "quic" else "transport"
        (TOP / f"docs/benchmarks/{name}.md").write_text(page(lines))


if __name__ == "__main__":
    main()
