#!/usr/bin/env python3
"""`beacon-p2pd crawl` over a local network of real processes, `beacon-p2pd bootnode` each: it ends by itself, with all found.

60 nodes, 200 with --long. One node is stopped before: it is heard of, but not reported as one that answered.
"""

import json
import subprocess

from harness.daemon import PROGRAM
from harness.proc import LONG, Process, check, main, note, patient, until

NODES = 200 if LONG else 60
LOCAL = ["--private", "--listen", "127.0.0.1:0"]
NODE = [*LOCAL, "--ip", "127.0.0.1"]  # a crawler has no address in its record, so that nobody keeps it in a table


def crawl(boot, *options):
    done = subprocess.run([PROGRAM, "crawl", *LOCAL, "--boot-nodes", boot, "--rate", "500", *options], capture_output=True, text=True, timeout=patient(120))
    check(done.returncode == 0, f"crawl ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout.splitlines(), done.stderr.strip().splitlines()[-1]


def run():
    first = Process("bootnode 0", [PROGRAM, "bootnode", *NODE])
    boot = first.wait_line(r"^enr:", 10).string
    nodes = [Process(f"bootnode {i}", [PROGRAM, "bootnode", *NODE, "--boot-nodes", boot]) for i in range(1, NODES)]
    records = {boot, *(n.wait_line(r"^enr:", 20).string for n in nodes)}
    check(len(records) == NODES, "two nodes have one record")

    found = {}

    def all_found():  # tables of a network that has just begun are not full yet
        lines, found["summary"] = crawl(boot)
        found["nodes"] = [json.loads(line) for line in lines]
        return {n["enr"] for n in found["nodes"]} == records

    until(all_found, 90, lambda: f"{len(found['nodes'])} of {NODES}", every=2)
    check(all(n["answered"] for n in found["nodes"]), "a silent node is reported as one that answered")
    note(found["summary"])

    gone = nodes.pop()
    record = gone.wait_line(r"^enr:", 1).string
    check(gone.stop() == 0, "bootnode does not end well")

    def all_but_one():  # who has no time to answer before the crawl gives up on it, answers the next one
        lines, _ = crawl(boot, "--csv", "--all")
        rows = [dict(zip(lines[0].split(","), line.split(","))) for line in lines[1:]]
        check(record not in {r["enr"] for r in rows if r["answered"] == "true"}, "a node that was stopped has answered")
        found["silent"] = {r["enr"] for r in rows if r["answered"] == "false"} - {record}
        return not found["silent"] and {r["enr"] for r in rows if r["answered"] == "true"} == records - {record}

    until(all_but_one, 60, lambda: f"{len(found['silent'])} silent nodes beside the one that was stopped", every=2)
    lines = subprocess.run([PROGRAM, "crawl", *LOCAL, "--boot-nodes", boot, "--fork-digest", "01020304", "--rate", "500"],
                           capture_output=True, text=True, timeout=patient(120)).stdout.splitlines()
    check(lines == [], "nodes without a fork digest pass the filter")


if __name__ == "__main__":
    main(run)
