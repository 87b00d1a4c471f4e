#!/usr/bin/env python3
"""discv5 on real sockets beside go-ethereum's and sigp's, in one run: what a handshake, a PING, a FINDNODE and a session cost.

    tests/bench/discv5/run.py [--rounds N] [--write]

Each node under test is a process of its own on 127.0.0.1; the same partner, our engine in tests/bench/discv5/load.c, keeps it
busy. What counts is the processor time of the process under test, so that a busy machine and the partner do not matter; the
wall clock's figures are printed too. --write puts the table into docs/benchmarks/discv5.md.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests" / "interop"))

from discv5_conformance import archives  # noqa: E402
from harness.daemon import PROGRAM  # noqa: E402
from harness.proc import PEERS, Process, check, free_port, main, say, scratch, until  # noqa: E402

HANDSHAKES, SECONDS, POPULATION, SESSIONS = 3000, 4, 32, 900
TICK = os.sysconf("SC_CLK_TCK")
RUSTPEER = os.environ.get("P2PD_RUSTPEER", PEERS / "bin" / "rustpeer")
GOPEER = os.environ.get("P2PD_GOPEER", PEERS / "gopeer")
KINDS = {
    "beacon-p2pd": lambda port: [PROGRAM, "bootnode", "--private", "--listen", f"127.0.0.1:{port}", "--ip", "127.0.0.1"],
    "go-ethereum": lambda port: [GOPEER, "-udp", port],
    "sigp": lambda port: [RUSTPEER, "discv5", "127.0.0.1", port],
}


def build(name):
    out = scratch("bench-discv5") / name
    source = TOP / f"tests/bench/discv5/{name}.c"
    libraries = ["-lsodium", "-lsecp256k1", "-lcrypto", "-lnettle", "-lsnappy"]
    subprocess.run(["cc", "-O2", "-std=c17", f"-I{TOP}/include", source, "-o", out, *archives(), *libraries], check=True)
    return out


def cpu_of(process):
    fields = Path(f"/proc/{process.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Node:
    def __init__(self, kind):
        self.p = Process(kind, KINDS[kind](free_port()))
        self.enr = self.p.wait_line(r'(enr:[-\w]+)', 30).group(1)

    def cpu(self):
        return cpu_of(self.p)

    def idle(self):
        """Wait until it has nothing more to do; its processor time then."""
        seen = [self.cpu()]

        def rests():
            seen.append(self.cpu())
            return len(seen) > 5 and seen[-1] - seen[-6] <= 2 / TICK

        until(rests, 30, "the node does not come to rest", every=0.1)
        return seen[-1]


def load(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout)


def handshakes(binary, node):
    load(binary, "handshakes", node.enr, 300)  # warm
    before = node.idle()
    got = load(binary, "handshakes", node.enr, HANDSHAKES)
    cpu = node.cpu() - before
    check(got["answered"] >= 0.95 * HANDSHAKES, f"{node.p.name}: {got}")
    return {"handshakes per s": got["answered"] / got["seconds"], "handshakes per core": got["answered"] / cpu}


def busy(binary, node, mode):
    """(what was answered, processor seconds of the node)"""
    partner = Process("load", [binary, mode, node.enr, SECONDS])
    partner.wait_line("settled", 60)
    before = node.cpu()
    partner.send("go")
    found = partner.wait_line('"answered".*', 60)
    partner.wait_end(10)
    got = json.loads(found.string)
    check(got["answered"] > 20 * got["failed"] + 100, f"{node.p.name}: {mode}: {got}")
    return got, node.cpu() - before


def pings(binary, node):
    got, cpu = busy(binary, node, "pings")
    return {"PINGs per s": got["answered"] / got["seconds"], "PINGs per core": got["answered"] / cpu}


def finds(binary, node):
    people = Process("population", [binary, "population", node.enr, POPULATION])
    people.wait_line("answered", 30)

    def full():
        partner = Process("look", [binary, "finds", node.enr, 1])
        partner.wait_line("settled", 60)
        partner.send("go")
        got = json.loads(partner.wait_line('"answered".*', 60).string)
        partner.wait_end(10)
        return got["answered"] and got["records"] / got["answered"] >= 15

    until(full, 120, f"{node.p.name} hands out few records", every=1)
    got, cpu = busy(binary, node, "finds")
    people.kill()
    return {"FINDNODE µs": cpu / got["answered"] * 1e6, "records": got["records"] / got["answered"]}


def memory(binary, kind):
    node = Node(kind)
    load(binary, "handshakes", node.enr, 64)
    before = node.p.rss_kib()
    load(binary, "handshakes", node.enr, SESSIONS)
    after = node.p.rss_kib()
    node.p.kill()
    return {"session bytes": (after - before) * 1024 / SESSIONS, "RSS MiB": after / 1024}


def measure(binary, kind):
    node, found = Node(kind), {}
    for step in (handshakes, pings, finds):
        found.update(step(binary, node))
    node.p.kill()
    found.update(memory(binary, kind))
    say(f"{kind}: " + ", ".join(f"{name} {value:,.1f}" for name, value in found.items()))
    return found


def limit(binary):
    """What the primitives alone allow in this minute: curve operations; ciphers and a plain UDP echo."""
    primitives = load(binary, "primitives")
    echo = Process("echo", [binary, "echo"])
    port = echo.wait_line(r"port (\d+)", 30).group(1)
    load(binary, "blast", port, 1)
    before = cpu_of(echo)
    got = load(binary, "blast", port, SECONDS)
    datagram = (cpu_of(echo) - before) / got["answered"]
    echo.kill()
    say(f"limits: handshake {primitives['handshake_ns'] / 1e3:.0f} µs, ciphers {primitives['ping_ns']} ns, echo {datagram * 1e9:.0f} ns")
    return {
        "handshakes per core": 1 / (primitives["handshake_ns"] / 1e9 + 2 * datagram),
        "PINGs per core": 1 / (primitives["ping_ns"] / 1e9 + datagram),
    }


ROWS = (  # name, what is better, unit in the table
    ("handshakes per core", max, "handshakes per processor second, as recipient"),
    ("handshakes per s", max, "handshakes per second, wall clock"),
    ("PINGs per core", max, "PINGs answered per processor second"),
    ("PINGs per s", max, "PING round trips per second, 256 under way, wall clock"),
    ("FINDNODE µs", min, "processor µs per FINDNODE answered with 16 records"),
    ("session bytes", min, "bytes of memory per session"),
    ("RSS MiB", min, "MiB of the process with 964 sessions"),
)


def number(x):
    return f"{x:,.1f}" if x < 100 else f"{x:,.0f}"


def medians_of(rounds):
    return {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}


def table(results, limits):
    medians, allowed = {kind: medians_of(rounds) for kind, rounds in results.items()}, medians_of(limits)
    lines = [f"| | {' | '.join(KINDS)} | times the better | of what the primitives allow |", "|---|" + "---:|" * (len(KINDS) + 2)]
    for name, better, text in ROWS:
        ours, *theirs = (medians[kind][name] for kind in KINDS)
        best = better(theirs)
        ratio = ours / best if better is max else best / ours if ours > 0 else float("inf")
        part = f"{ours / allowed[name]:.0%} of {number(allowed[name])}" if name in allowed else ""
        lines.append(f"| {text} | {' | '.join(number(medians[kind][name]) for kind in KINDS)} | {ratio:.1f} | {part} |")
    return "\n".join(lines)


def run():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--write", action="store_true")
    options = options.parse_args()
    binary, limiter, results, limits, began = build("load"), build("limits"), {kind: [] for kind in KINDS}, [], time.monotonic()
    for _ in range(options.rounds):  # interleaved: what else the machine does hits all
        limits.append(limit(limiter))
        for kind in KINDS:
            results[kind].append(measure(binary, kind))
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()).group(1)
    text = (
        f"Machine: {cpu}, {os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f} during the run. go-ethereum 1.17.10, sigp's "
        f"crate discv5 0.12.0.\nMedians of {options.rounds} interleaved rounds, {time.monotonic() - began:.0f} s.\n\n{table(results, limits)}\n"
    )
    print(text)
    if options.write:
        page = TOP / "docs/benchmarks/discv5.md"
        old = page.read_text()
        begin, end = "<!-- discv5: begin -->\n", "<!-- discv5: end -->"
        page.write_text(old[: old.index(begin) + len(begin)] + text + old[old.index(end) :])


if __name__ == "__main__":
    main(run)
