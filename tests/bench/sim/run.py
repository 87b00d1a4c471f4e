"""What a simulated node and a simulated message cost.

usage: tests/bench/sim/run.py [--nodes N] [--write]     --write: into docs/benchmarks/sim.md

Two runs of large.sim that differ in their length and traffic tell the parts: the start of a node, a second of its life, a
message that arrives. Memory is the process's peak over its nodes.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests/bench"))
import page  # noqa: E402

PROGRAM = os.environ.get("P2PD_PROGRAM", str(TOP / "build/release/beacon-p2pd"))
LARGE = TOP / "tests/bench/sim/large.sim"
BEGIN, END = "<!-- sim: begin -->", "<!-- sim: end -->"


def scenario(nodes, **changes):
    """large.sim with other values; a value of None takes the line out."""
    lines = []
    for line in LARGE.read_text().splitlines():
        word = line.split()[0] if line.split() else ""
        if word == "nodes":
            line = f"nodes {nodes}"
        elif word in changes or (word == "expect" and changes):
            line = f"{word} {changes[word]}" if changes.get(word) else ""
        lines.append(line)
    return "\n".join(lines) + "\n"


def run(text):
    """CPU seconds, peak bytes and result lines of one run."""
    with tempfile.NamedTemporaryFile("w", suffix=".sim") as f:
        f.write(text)
        f.flush()
        with subprocess.Popen([PROGRAM, "sim", f.name], stdout=subprocess.PIPE) as p:
            out = p.stdout.read()
            _, _, used = os.wait4(p.pid, 0)
            p.returncode = 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, [json.loads(line) for line in out.splitlines()]


def arrivals(lines):
    """Messages that arrived, blocks too."""
    return (sum(x["reached"] for x in lines if x["event"] == "spread")
            + sum(x["reached"] - 1 for x in lines if x["event"] == "propagation"))


def measure(nodes):
    start, _, _ = run(scenario(nodes, run="9s", attestations=None, columns=None))
    quiet, _, quiet_lines = run(scenario(nodes, run="33s", attestations=None, columns=None))
    full, peak, lines = run(scenario(nodes))
    end, census = lines[-1], [x for x in lines if x["event"] == "census"][-1]
    extra = arrivals(lines) - arrivals(quiet_lines)
    return {
        "nodes": nodes, "connections": census["peers_mean"], "kib": peak / nodes / 1024, "start_ms": start / nodes * 1e3,
        "second_us": (quiet - start) / nodes / 24 * 1e6, "message_us": (full - quiet) / extra * 1e6 if extra else 0,
        "cpu_s": full, "bytes": end["tcp_bytes"], "events": end["events"], "digest": end["digest"],
        "spreads": [x for x in lines if x["event"] == "spread"],
        "blocks": [x for x in lines if x["event"] == "propagation"],
        "expects": [x for x in lines if x["event"] == "expect"],
    }


def table(m):
    rows = [
        "| | |", "|---|---:|",
        f"| nodes, connections of one | {m['nodes']:,}, {m['connections']} |",
        f"| memory of a node | {m['kib']:.0f} KiB |",
        f"| start of a node, its connections made | {m['start_ms']:.1f} ms of CPU |",
        f"| a second of a node's life, 25 meshed peers | {m['second_us']:.0f} µs of CPU |",
        f"| a message that arrives at a node, its duplicates included | {m['message_us']:.0f} µs of CPU |",
        f"| the run of 33 s: CPU, events, bytes sent | {m['cpu_s']:.0f} s, {m['events']:,}, {m['bytes']:,} |",
    ]
    for b in m["blocks"]:
        rows.append(f"| block of slot {b['slot']}: reached, half, last | {b['reached']:,} of {b['nodes']:,}, "
                    f"{b['median_ms']} ms, {b['last_ms']} ms |")
    for s in m["spreads"]:
        rows.append(f"| {s['messages']} of {s['topic']}: arrived, half, 99 % | {s['reached']:,} of {s['wanted']:,}, "
                    f"{s['median_ms']} ms, {s['p99_ms']} ms |")
    return "\n".join(rows) + "\n"


def main():
    args = sys.argv[1:]
    nodes = int(args[args.index("--nodes") + 1]) if "--nodes" in args else 10000
    m = measure(nodes)
    text = table(m)
    print(text)
    for e in m["expects"]:
        print(("holds: " if e["holds"] else "DOES NOT HOLD: ") + e["what"])
    if "--write" in args:
        page.write("benchmarks/sim.md", text, BEGIN, END)
    return 0 if all(e["holds"] for e in m["expects"]) else 1


if __name__ == "__main__":
    sys.exit(main())
