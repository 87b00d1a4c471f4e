#!/usr/bin/env python3
"""Shown by, 5: a devnet node under valgrind for 20 slots: no leak, no error. The network around it runs without valgrind."""

import re

from harness.daemon import Daemon
from harness.devnet import SECONDS_PER_SLOT, Devnet
from harness.proc import LONG, Failure, check, main, note, scratch, until

SLOTS = 200 if LONG else 20
KINDS = "definite,indirect,possible"


def run():
    work = scratch("valgrind")
    report = work / "valgrind.log"
    net = Devnet(3, work / "net", ["--late-after", 0])
    enr = net.boot_enr()
    wrapper = [
        "valgrind",
        "--leak-check=full",
        f"--show-leak-kinds={KINDS}",
        f"--errors-for-leak-kinds={KINDS}",
        "--error-exitcode=99",
        f"--log-file={report}",
    ]
    watched = Daemon(
        "watched node",
        net.network,
        work / "node",
        ["--local-network", "--subscribe-all-subnets", "--validation", "structural", "--boot-nodes", enr],
        wrapper=wrapper,
        start_seconds=120,
    )
    until(
        lambda: len(watched.peers()) == 3,
        120,
        lambda: f"the node under valgrind connects to three; it has {watched.peers()}",
    )
    until(lambda: net.head(0), 60, "the first block")
    begin = net.head_slot(0)
    until(
        lambda: watched.head_slot() >= begin + SLOTS,
        (SLOTS + 10) * SECONDS_PER_SLOT + 60,
        lambda: f"{SLOTS} slots under valgrind; its head is {watched.header('head')}",
    )
    gossip = sum(way == "gossip" for way in watched.blocks_by_way().values())
    check(gossip > SLOTS // 2, f"only {gossip} blocks came by gossip in {SLOTS} slots")
    code = watched.process.stop(seconds=60)
    check(net.stop() == 0, "the devnet around it did not end well")
    text = report.read_text()
    summary = re.search(r"ERROR SUMMARY: (\d+) errors", text)
    if code != 0 or not summary or summary.group(1) != "0":
        raise Failure(f"exit code {code}; valgrind says:\n{text[-6000:]}")
    lost = re.findall(r"(definitely|indirectly|possibly) lost: ([\d,]+) bytes", text)
    check(all(n == "0" for _, n in lost), f"lost: {lost}")
    note(f"{SLOTS} slots, {gossip} blocks by gossip, 0 errors, nothing lost")


if __name__ == "__main__":
    main(run)
