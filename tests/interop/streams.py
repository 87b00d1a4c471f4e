#!/usr/bin/env python3
"""Event streams whose clients do not read: they are ended and counted, and nobody else loses an event. The bench's program is the node:
it tells at least 40,000 events, and more until the ring and all buffers of a socket hold no more, as fast as those who read take them, and
ends when they had the last one."""

import json
import subprocess

from harness.proc import TOP, check, main, note, patient

PROGRAM = TOP / "build/dev/tests/net/events_bench"
RATE, SECONDS, STREAMS, STALLED = 10_000, 4, 6, 3
WAIT = patient(90)  # with an event lost the bench waits for it for ever


def run():
    try:
        done = subprocess.run([PROGRAM, str(RATE), str(SECONDS), str(STREAMS), "", str(STALLED)], capture_output=True, text=True, check=False, timeout=WAIT)
    except subprocess.TimeoutExpired:
        check(False, f"after {WAIT} s those that read had not all events, or the others were not ended")
    check(done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-3000:]}")
    got = json.loads(done.stdout)
    check(got["ended"] == STALLED, f"{STALLED} clients do not read: {got}")
    check(got["delivered"] == (STREAMS - STALLED) * got["events"], f"those that read lost events: {got}")
    note(f"{STALLED} streams that nobody read were ended; {STREAMS - STALLED} others had all of {got['events']} events")


if __name__ == "__main__":
    main(run)
