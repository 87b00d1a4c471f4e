#!/usr/bin/env python3
"""The event streams' cost in one command: tests/bench/events/run.py [--write]

bench.c: a whole node without a network tells so many events a second to a file and to streams of the HTTP server, whose clients are
another process. Beside it, in the same run, what the kernel alone asks for the same bytes: blocks of 64 KiB written to as many TCP
connections of loopback that are read as fast. CPU time is the writing process's own. --write puts the table into
docs/benchmarks/events.md.
"""

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests/bench"))
import page  # noqa: E402

BENCH = TOP / "build/release/tests/net/events_bench"
SECONDS, TURNS = 4, 3
CASES = (  # events a second, streams, to a file
    (20_000, 0, False),
    (20_000, 0, True),
    (20_000, 1, True),
    (20_000, 10, True),
    (20_000, 50, True),
    (5_000, 50, True),
)
BLOCK = b"x" * 65536


def turn(rate, streams, path):
    got = json.loads(subprocess.run([BENCH, str(rate), str(SECONDS), str(streams), path], capture_output=True, text=True, check=True).stdout)
    assert got["events"] == rate * SECONDS
    return got


def kernel(streams, bytes_a_second, seconds=1.0):
    """Of a core, to write so many bytes in all to such connections; the readers are another process."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=streams)
    child = os.fork()
    if child == 0:
        def drain():
            with socket.create_connection(listening.getsockname()) as one:
                while one.recv(1 << 18):
                    pass
        threads = [threading.Thread(target=drain) for _ in range(streams)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(0)
    taken = [listening.accept()[0] for _ in range(streams)]
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(int(bytes_a_second * seconds / len(BLOCK) / streams)):
        for one in taken:
            one.sendall(BLOCK)
    after = resource.getrusage(resource.RUSAGE_SELF)
    for one in taken:
        one.close()
    os.waitpid(child, 0)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds


def main():
    subprocess.run(["ninja", "-C", TOP / "build/release", "events_bench"], check=True, stdout=subprocess.DEVNULL)
    lines = ["| events a second | streams | file | of a core | without the bench itself | delivered | lost |", "|---|---|---|---|---|---|---|"]
    own, line_bytes = 0.0, 0
    with tempfile.TemporaryDirectory() as work:
        for rate, streams, to_file in CASES:
            path = f"{work}/events" if to_file else ""
            turns = [turn(rate, streams, path) for _ in range(TURNS)]
            if to_file:
                with open(path, "rb") as file:
                    line_bytes = len(file.readline())
                os.unlink(path)
            cpu = statistics.median(t["cpu"] for t in turns)
            own = own or cpu
            delivered = sum(t["delivered"] for t in turns) / TURNS
            lost = sum(t["lost"] + t["ended"] for t in turns)
            lines.append(f"| {rate:,} | {streams} | {'yes' if to_file else 'no'} | {100 * cpu:.1f} % | {100 * (cpu - own):.1f} % | "
                         f"{delivered / SECONDS:,.0f} a second | {lost} |")
    bare = kernel(50, 50 * 20_000 * (line_bytes + 24))
    text = "\n".join(lines) + (
        f"\n\nThe kernel's part alone, the bytes of 50 streams of 20,000 events a second in blocks of 64 KiB: {100 * bare:.1f} % of a core. "
        f"A line has about {line_bytes} bytes. {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f} beside.\n"
    )
    print(text)
    if "--write" in sys.argv[1:]:
        page.write("benchmarks/events.md", text)


if __name__ == "__main__":
    main()
