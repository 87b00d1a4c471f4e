#!/usr/bin/env python3
"""The transport's cost beside go-libp2p's: transport.py BUILD GO_PEER [--write]

BUILD is a release build (its tests/net/net_peer and net_limit). Each row runs our process and, after
it, a go-libp2p one in the same role against the same go-libp2p partner, and counts the CPU time of
the process under test (/proc/PID/stat), so that a busy machine blurs but does not bend the result.
--write puts the table into docs/benchmarks/transport.md."""
import json, os, subprocess, sys, time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests/net"))
from matrix import Go, Peer

TICK = os.sysconf("SC_CLK_TCK")
CHURN, STREAM, SMALL, SWARM = 3000, 1 << 28, (1000, 20000), 400


def cpu(peer):
    fields = Path(f"/proc/{peer.p.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(peer):
    return int(next(line for line in open(f"/proc/{peer.p.pid}/status") if line.startswith("VmRSS")).split()[1])


class Side:
    """One process under test: ours or Go's, with the same few verbs."""

    def __init__(self, build, go, ours):
        self.ours = ours
        self.peer = Peer("ours", [build / "tests/net/net_peer", "--muxers", "yamux"]) if ours \
            else Peer("go", Go(go).argv("yamux", True, False))
        up = self.peer.wait("up")
        self.id = up["peer"]
        self.addr = f"/ip4/127.0.0.1/tcp/{up['port']}/p2p/{up['peer']}" if ours else up["addrs"][0]
        if "/p2p/" not in self.addr:
            self.addr += f"/p2p/{self.id}"

    def churn(self, n, other):
        port = other.addr.split("/")[4]
        self.peer.say(f"churn {n} 127.0.0.1 {port}" if self.ours else f"churn {n} {other.addr}")
        e = self.peer.wait("churn", 300)
        assert e.get("err") is None, e


def measure(build, go, ours, role):
    """(CPU seconds of the process under test, units of work) by name"""
    test, partner = Side(build, go, ours), Side(build, go, False)
    out = {}
    try:
        before = cpu(test.peer)
        if role == "dialler":
            test.churn(CHURN, partner)
            out["connections"] = (cpu(test.peer) - before, CHURN)
            return out
        partner.churn(CHURN, test)
        out["connections"] = (cpu(test.peer) - before, CHURN)
        partner.peer.say(f"connect {test.addr}")
        assert partner.peer.wait("connect").get("err") is None
        for name, (n, streams) in (("stream", (STREAM, 1)), ("8 streams", (STREAM // 8, 8)), ("small streams", SMALL)):
            before = cpu(test.peer)
            partner.peer.say(f"echo {test.id} {n} {streams}")
            e = partner.peer.wait("echo", 300)
            assert e.get("err") is None and e["got"] == e["sent"], e
            out[name] = (cpu(test.peer) - before, streams if name == "small streams" else 2 * e["sent"], e["ms"])
        partner.peer.say(f"ping {test.id}")
        out["ping"] = partner.peer.wait("ping")
        return out
    finally:
        test.peer.end()
        partner.peer.end()


def idle(build, go, ours):
    """KiB of resident memory per idle connection"""
    test, partner = Side(build, go, ours), Side(build, go, False)
    try:
        partner.peer.say(f"swarm 20 {test.addr}")  # warm
        assert partner.peer.wait("swarm", 120).get("err") is None
        before = rss(test.peer)
        partner.peer.say(f"swarm {SWARM} {test.addr}")
        e = partner.peer.wait("swarm", 300)
        assert e.get("err") is None, e
        time.sleep(3)  # identify has ended on all of them
        return (rss(test.peer) - before) / SWARM
    finally:
        test.peer.end()
        partner.peer.end()


def table(build, go):
    limit = json.loads(subprocess.run([build / "tests/net/net_limit"], capture_output=True, check=True).stdout)
    both_ways = limit["bytes"] * 2 / (limit["send"] + limit["receive"] + limit["seal"] + limit["open"])
    ours, theirs = {}, {}
    for out, mine in ((ours, True), (theirs, False)):
        out.update(measure(build, go, mine, "listener"))
        out["dialled"] = measure(build, go, mine, "dialler")["connections"]
        out["idle"] = idle(build, go, mine)
    rate = lambda side, name: side[name][1] / max(side[name][0], 1 / TICK)
    rows = []
    for name, key, unit, scale in (("connections accepted", "connections", "per CPU second", 1),
                                   ("connections dialled", "dialled", "per CPU second", 1),
                                   ("one stream, echoed", "stream", "MB per CPU second", 1e6),
                                   ("8 streams, echoed", "8 streams", "MB per CPU second", 1e6),
                                   ("streams of 1,000 bytes, echoed", "small streams", "per CPU second", 1)):
        a, b = rate(ours, key) / scale, rate(theirs, key) / scale
        rows.append((name, unit, f"{a:,.0f}", f"{b:,.0f}", f"{a / b:.1f}"))
    rows.append(("memory of an idle connection", "KiB", f"{ours['idle']:.1f}", f"{theirs['idle']:.1f}",
                 f"{theirs['idle'] / max(ours['idle'], 0.1):.1f}"))
    share = rate(ours, "stream") / both_ways * 100
    return rows, both_ways / 1e6, share


def main():
    build, go = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    rows, limit, share = table(build, go)
    lines = ["| | unit | beacon-p2pd | go-libp2p | times |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(r) + " |" for r in rows]
    lines += ["", f"AEAD and plain TCP alone, sent and received: {limit:,.0f} MB per CPU second; one stream reaches {share:.0f} %."]
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    lines += ["", f"{model}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} meanwhile."]
    print("\n".join(lines))
    if "--write" in sys.argv:
        page = TOP / "docs/benchmarks/transport.md"
        page.parent.mkdir(exist_ok=True)
        page.write_text("# The transport beside go-libp2p\n\nWritten by `tests/bench/transport/transport.py BUILD build/peers/gopeer --write`: "
                        "our process and a go-libp2p 0.51 one\nin the same roles against the same go-libp2p partner, yamux, muxer agreed in "
                        "the handshake, CPU time of the\nprocess under test.\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
