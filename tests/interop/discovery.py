#!/usr/bin/env python3
"""Daemons that find each other by IPv4, by IPv6 and by both; what they tell of their addresses; and what they know after a restart.

One listens on both families, one on IPv4, one on IPv6; the last two know the first one's record only. A fourth, on both, knows only the
IPv4 one, and must hear of the IPv6 one. Then the fourth is restarted without any boot node.
"""

import json
import re
import shutil
import subprocess

from harness.corpus import network_dir
from harness.daemon import PROGRAM, Daemon
from harness.proc import check, main, note, patient, scratch, until

V4, V6 = "127.0.0.1", "::1"


def run():
    work = scratch("discovery")
    network = network_dir(work / "network")

    def start(name, listen, boots=(), port=None, where=network):
        flags = ["--local-network", *(["--boot-nodes", ",".join(boots)] if boots else [])]
        return Daemon(name, where, work / name, flags, listen=listen, port=port)

    def connected(daemon):
        return {p["peer_id"] for p in daemon.peers()}

    def discovery(daemon):
        return daemon.get("/p2pd/v1/discovery")["data"]

    both = start("both", [V4, V6])
    four = start("four", [V4], [both.enr])
    six = start("six", [V6], [both.enr])
    until(lambda: {four.peer_id, six.peer_id} <= connected(both), 60, "the dual-stack node has both others")
    late = start("late", [V4, V6], [four.enr])
    until(lambda: {both.peer_id, four.peer_id, six.peer_id} <= connected(late), 60, lambda: f"all found: {connected(late)}")

    # Bound, observed, advertised: of both families, each by itself.
    def seen():
        told = discovery(late)
        return all(told[k]["observed"]["udp"] is not None for k in ("ip4", "ip6")) and told

    told = until(seen, 60, lambda: f"peers tell the address: {discovery(late)}")
    for family, ip in (("ip4", V4), ("ip6", f"[{V6}]")):
        mine = told[family]
        want = f"{ip}:{late.port}"
        check(mine["bound"] == {"tcp": want, "udp": want}, f"bound: {mine}")
        check(mine["observed"]["udp"] == want and mine["observed"]["networks"] >= 1, f"observed: {mine}")
        check(mine["advertised"] == {"tcp": want, "udp": want, "by": "flag"}, f"advertised: {mine}")
    alone = discovery(four)
    check(alone["ip6"]["bound"]["udp"] is None and alone["ip6"]["advertised"]["udp"] is None, f"no IPv6: {alone}")
    check(int(told["discv5"]["live"]) >= 2, f"live nodes: {told['discv5']}")
    check(late.metric("p2pd_discovery_live_nodes") >= 2 and late.metric("p2pd_discovery_sessions") >= 2, "metrics of discovery")
    check(told["enr"] == late.identity()["enr"], "the record is not the identity's")

    # A crawl that connects knows which client each node is.
    sweep = subprocess.run([PROGRAM, "crawl", "--private", "--listen", f"{V4}:0", "--listen", f"[{V6}]:0", "--boot-nodes", both.enr, "--rate",
                            "100", "--connect"], capture_output=True, text=True, timeout=patient(120), check=False)
    rows = [json.loads(line) for line in sweep.stdout.splitlines()]
    check(sweep.returncode == 0 and len(rows) == 4, f"the crawl: {sweep}")
    check(all(r["client"].startswith("beacon-p2pd/") for r in rows), f"clients: {[r['client'] for r in rows]}")

    # What was found is on the disk, and enough.
    seq = int(told["seq"])
    late.stop()
    again = start("late", [V4, V6], port=late.port)
    until(lambda: {both.peer_id, four.peer_id, six.peer_id} <= connected(again), 60, lambda: f"known from before: {connected(again)}")
    told = discovery(again)
    check(again.enr == late.enr and int(told["seq"]) == seq, "the same record has another seq after a restart")
    check(int(told["kept_nodes"]) >= 3, f"kept: {told}")
    known = until(lambda: again.said("nodes known from before"), 10, "the log tells of them")
    check(known[0]["good"] >= 3, f"the log tells of {known}")

    # No peers: one line says why. Nobody is known; all are of another fork; what was known is gone.
    elsewhere = work / "elsewhere"
    shutil.copytree(network, elsewhere)
    config = elsewhere / "config.yaml"
    config.write_text(re.sub(r"_FORK_VERSION: .0x(..)", lambda m: m.group(0)[:-2] + f"{int(m.group(1), 16) ^ 0x40:02x}", config.read_text()))
    four.stop()
    lonely = {
        "--boot-nodes": start("alone", [V4]),
        "another fork": start("astray", [V4], [both.enr], where=elsewhere),
        "refuse|do not answer": start("late comer", [V4], [four.enr]),
    }
    for words, daemon in lonely.items():
        line = until(lambda d=daemon: d.said("no peers"), 60, f"{daemon.name}: a line says why there are no peers")[0]
        check(daemon.metric("p2pd_dial_ends_total") > 0 or "--boot-nodes" in words, f"{daemon.name}: no end is counted")
        check(re.search(words, line["why"]), f"{daemon.name}: {line}")
    note(f"IPv4, IPv6 and both find each other; {told['kept_nodes']} nodes known after a restart")


if __name__ == "__main__":
    main(run)
