#!/usr/bin/env python3
"""The control socket's cost in one command: tests/bench/control/run.py [--write]

bench.c: a whole node without a network, whose attestations go over the socket to a judge in another process and back. Beside it, in
the same run, what the kernel alone allows: the same bytes back and forth on a unix socket between two processes (socketpair). CPU time
is the processes' own. --write puts the table into docs/benchmarks/control.md.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests/bench"))
import page  # noqa: E402

BENCH = TOP / "build/release/tests/net/control_bench"
RATES = (2_000, 20_000, 50_000)
SECONDS = 3
TURNS = 3
FRAME, VERDICT = 350, 13  # bytes of a MESSAGE with an attestation, and of its verdict


def kernel(seconds=1.0):
    """Median microseconds of one round trip of such bytes between two processes, nothing else done."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        while theirs.recv(FRAME, socket.MSG_WAITALL):
            theirs.sendall(b"v" * VERDICT)
        os._exit(0)
    theirs.close()
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        ours.sendall(b"m" * FRAME)
        ours.recv(VERDICT, socket.MSG_WAITALL)
        took.append(1e6 * (time.perf_counter() - begun))
    ours.close()
    os.waitpid(child, 0)
    return statistics.median(took)


def main():
    subprocess.run(["ninja", "-C", TOP / "build/release", "control_bench"], check=True, stdout=subprocess.DEVNULL)
    lines = [
        "| messages a second | median, message to verdict | 99 % | CPU a message, daemon | of a core | CPU a message, judge |",
        "|---|---|---|---|---|---|",
    ]
    for rate in RATES:
        turns = [
            json.loads(subprocess.run([BENCH, str(rate), str(SECONDS)], capture_output=True, text=True, check=True).stdout)
            for _ in range(TURNS)
        ]
        got = {key: statistics.median(t[key] for t in turns) for key in turns[0]}
        lines.append(
            f"| {rate:,} | {got['median_us']:.0f} us | {got['p99_us']:.0f} us | {got['cpu_us']:.1f} us | "
            f"{got['cpu_us'] * rate / 1e4:.0f} % | {got['judge_cpu_us']:.1f} us |"
        )
    bare = kernel()
    load = os.getloadavg()[0]
    text = "\n".join(lines) + (
        f"\n\nOne round trip of the same bytes between two processes, nothing else done: {bare:.0f} us. {os.cpu_count()} cores, "
        f"load {load:.0f} beside.\n"
    )
    print(text)
    if "--write" in sys.argv[1:]:
        page.write("benchmarks/control.md", text)


if __name__ == "__main__":
    main()
