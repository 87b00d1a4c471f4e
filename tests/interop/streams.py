#!/usr/bin/env python3
"""Event streams whose clients do not read: they are ended and counted, and nobody else loses an event. The bench's program is the node:
in twenty seconds it tells 80,000 events, more than the ring and all buffers of a socket hold."""

import json
import subprocess

from harness.proc import TOP, check, main, note

PROGRAM = TOP / "build/dev/tests/net/events_bench"
RATE, SECONDS, STREAMS, STALLED = 4_000, 20, 6, 3  # those who read may fall behind by seven seconds of a busy machine


def run():
    done = subprocess.run([PROGRAM, str(RATE), str(SECONDS), str(STREAMS), "", str(STALLED)], capture_output=True, text=True, check=False, timeout=300)
    check(done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-3000:]}")
    got = json.loads(done.stdout)
    check(got["ended"] == STALLED, f"{STALLED} clients do not read: {got}")
    check(got["delivered"] == (STREAMS - STALLED) * got["events"], f"those that read lost events: {got}")
    note(f"{STALLED} streams that nobody read were ended; {STREAMS - STALLED} others had all of {got['events']} events")


if __name__ == "__main__":
    main(run)
