#!/usr/bin/env python3
"""A flood of discv5 packets on a daemon, in namespaces: 100,000 a second from 1,000 addresses that are not the sender's,
random bytes, strangers' messages, handshakes nobody asked for, replays (tests/interop/flood.c). What must hold meanwhile:
nodes that know the daemon get answers, to PING and to the FINDNODEs of their lookups, memory is flat, a newcomer is let in.

10 seconds in ./test, 120 with --long; the figures are printed.
"""

import json
import subprocess
import time
from pathlib import Path

from discv5_conformance import node_binary
from harness.corpus import network_dir
from harness.daemon import PROGRAM
from harness.netns import Namespace, cable, enter
from harness.proc import LONG, TOP, check, main, note, scratch, until

RATE, SECONDS, NODES = 100_000, 120 if LONG else 10, 15
VICTIM, PORT = "5.5.5.1", 9000
GROWTH_KIB = 4096  # of the daemon's memory over the flood: its tables are full before, by a first one


def cpu_seconds(process):
    fields = Path(f"/proc/{process.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def udp_counts(namespace):
    """(datagrams that the daemon was given, datagrams that its full queue lost)"""
    rows = [line.split()[1:] for line in namespace.run("cat", "/proc/net/snmp").splitlines() if line.startswith("Udp:")]
    counts = dict(zip(rows[0], map(int, rows[1])))
    return counts["InDatagrams"], counts["RcvbufErrors"]


class Honest:
    """A node of the engine alone, on an address of the internet's."""

    def __init__(self, internet, binary, number, boot):
        ip = f"20.0.{number}.1"
        internet.address("lo", f"{ip}/32")
        self.p = internet.start(f"honest {number}", binary, ip, PORT, f"{number + 1:064x}", boot)
        self.enr = self.p.wait_line(r'"record":"(enr:[^"]+)"', 30).group(1)

    def ask(self, line, pattern, seconds=20):
        start = len(self.p.lines)
        self.p.send(line)
        return json.loads(self.p.wait_line(pattern, seconds, start).string)

    def pings(self, record):
        return self.ask(f"ping {record}", r'"event":"(pong|failed)"')["event"] == "pong"

    def finds(self, record):
        """FINDNODE for the half of the id space that is farthest: how many records come."""
        answer = self.ask(f"find {record} 256", r'"event":("failed"|"nodes".*"enr":"")')
        return answer["count"] if answer["event"] == "nodes" else 0

    def knows(self):
        return self.ask("table", r'^\{"table"')["live"]


def build(name, *libraries):
    out = scratch("flood") / name
    source = str(TOP / f"tests/interop/{name}.c")
    subprocess.run(["cc", "-O2", "-std=c17", "-Wall", "-Wextra", source, "-o", str(out), *libraries], check=True)
    return out


def start_victim(victim, work):
    network_dir(work / "network")
    argv = [PROGRAM, "run", "--testnet-dir", work / "network", "--datadir", work / "data", "--port", PORT]
    argv += ["--nat", f"extip:{VICTIM}", "--http-address", "127.0.0.1", "--http-port", 5052, "--log-format", "json"]
    daemon = victim.start("daemon", *argv)
    said = json.loads(daemon.wait_line('"listening"', 30).string)
    return daemon, said["enr"]


def node_id(record):
    out = subprocess.run([PROGRAM, "enr", "view", "--json", record], capture_output=True, text=True, check=True).stdout
    return json.loads(out)["node_id"].removeprefix("0x")


def during(nodes, record, flood):
    """Ask all the time while it lasts: (pings answered, pings, records that each FINDNODE brought)."""
    good = asked = 0
    found = []
    while flood.child.poll() is None:
        for one in nodes[:5]:
            asked += 1
            good += one.pings(record)
        found.append(nodes[len(found) % len(nodes)].finds(record))
    return good, asked, found


def newcomer(internet, binary, record):
    """A node that nobody knows and that knows the daemon only: seconds until the daemon has let it in. It asks twice, and
    again after 5, 10, 20 ... 60 s: how soon it meets a free WHOAREYOU is chance."""
    one, begun = Honest(internet, binary, 200, record), time.monotonic()
    until(lambda: one.knows() > NODES // 2, 420, "the newcomer finds few nodes")
    return time.monotonic() - begun


def start_flood(internet, sender, nodes, record, seconds):
    flood = internet.start("flood", sender, "wan", VICTIM, PORT, node_id(record), RATE, seconds)
    flood.wait_line("^listening", 60)
    for one in 4 * nodes:  # something to replay
        one.pings(record)
    flood.wait_line("^recorded [1-9]", 60)
    flood.stopping = True  # it ends by itself
    return flood


def sent_by(flood):
    flood.wait_end(60)
    return int(flood.wait_line(r"^sent (\d+)", 10).group(1))


def run():
    enter()
    work = scratch("flood-data")
    binary, sender = node_binary(), build("flood", "-lcrypto")
    victim, internet = Namespace("victim"), Namespace("internet")
    cable(victim, "eth", f"{VICTIM}/24", internet, "wan", "5.5.5.254/24")
    victim.route("default", "5.5.5.254")
    daemon, record = start_victim(victim, work)
    nodes = [Honest(internet, binary, i, record) for i in range(NODES)]
    until(lambda: all(one.knows() >= NODES - 1 for one in nodes), 90, lambda: [one.knows() for one in nodes])

    sent_by(start_flood(internet, sender, nodes, record, 3))  # fills every table that strangers can fill
    before, begun, cpu = daemon.rss_kib(), time.monotonic(), cpu_seconds(daemon)
    came, lost = udp_counts(victim)
    flood = start_flood(internet, sender, nodes, record, SECONDS)
    good, asked, found = during(nodes, record, flood)
    wall, cpu, after = time.monotonic() - begun, cpu_seconds(daemon) - cpu, daemon.rss_kib()
    sent = sent_by(flood)
    came, lost = (now - then for now, then in zip(udp_counts(victim), (came, lost)))
    note(f"{came} datagrams were looked at, {lost} were lost in the socket's queue")
    note(f"{sent / SECONDS:,.0f} packets a second for {SECONDS} s: {good} of {asked} pings answered, {sum(map(bool, found))} of "
         f"{len(found)} FINDNODEs, {cpu / wall:.0%} of a core, memory {before} to {after} KiB")
    # Replays come from the honest nodes' own addresses too, and count against these: most is what can be asked for.
    # What a full queue of the socket lost, on a machine that has no time for the daemon, it did not see.
    least = 0.75 * came / (came + lost)
    check(good >= asked * least, f"{good} of {asked} pings of nodes with a session were answered")
    check(sum(map(bool, found)) >= least * len(found), f"FINDNODEs brought {found}")
    check(after - before < GROWTH_KIB, f"memory grew from {before} to {after} KiB")

    flood = start_flood(internet, sender, nodes, record, 3600)  # as long as it takes
    waited = newcomer(internet, binary, record)
    check(flood.child.poll() is None, "the flood ended before a newcomer was let in")
    flood.kill()
    note(f"a newcomer was let in after {waited:.1f} s of a flood")
    check(daemon.stop() == 0, "SIGINT is no clean stop")


if __name__ == "__main__":
    main(run)
