#!/usr/bin/env python3
"""Shown by, 5: valgrind on a devnet node for 20 slots: no leak, no error. Its peer is a second node without valgrind."""

import re

from harness.daemon import Daemon
from harness.proc import LONG, Failure, check, main, note, scratch, until
from harness.network import devnet_network

SLOTS = 200 if LONG else 20


def run():
    work = scratch("valgrind")
    network, seconds = devnet_network(work / "network", genesis_in=25)
    report = work / "valgrind.log"
    flags = ["--local-network", "--subscribe-all-subnets", "--validation", "structural"]
    maker = Daemon("maker", network, work / "d0", [*flags, "--devnet-make-blocks"])
    wrapper = ["valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible", "--errors-for-leak-kinds=definite,indirect,possible",
               "--track-fds=no", "--error-exitcode=99", f"--log-file={report}"]
    watched = Daemon("watched", network, work / "d1", [*flags, "--boot-nodes", maker.enr], wrapper=wrapper, start_seconds=90)
    until(lambda: watched.peer(maker.peer_id), 90, "the node under valgrind connects")
    begin = until(lambda: maker.header("head"), 60, "the first block")["slot"]
    until(lambda: (watched.header("head") or {"slot": 0})["slot"] >= begin + SLOTS, (SLOTS + 10) * seconds + 60,
          lambda: f"{SLOTS} slots under valgrind; head {watched.header('head')}")
    gossip = sum(way == "gossip" for way in watched.blocks_by_way().values())
    check(gossip > 0, "no block came by gossip")
    code = watched.process.stop(seconds=60)
    maker.stop()
    text = report.read_text()
    summary = re.search(r"ERROR SUMMARY: (\d+) errors", text)
    if code != 0 or not summary or summary.group(1) != "0":
        raise Failure(f"exit code {code}; valgrind says:\n{text[-6000:]}")
    lost = re.findall(r"(definitely|indirectly|possibly) lost: ([\d,]+) bytes", text)
    check(all(n == "0" for _, n in lost), f"lost: {lost}")
    note(f"{SLOTS} slots, {gossip} blocks by gossip, 0 errors, nothing lost")


if __name__ == "__main__":
    main(run)
