#!/usr/bin/env python3
"""Progress bars: of the sync below the log of `run`, and of `crawl`; on a terminal only, never in the way of the lines."""

import os
import re
import signal
import subprocess

from harness.daemon import PROGRAM, Daemon
from harness.devnet import Devnet, write_network
from harness.proc import check, free_port, main, note, patient, scratch, until
from harness.terminal import WAIT, Terminal

NODES = 3
SLOT_MS = 100
BATCH = 64  # slots asked for at once
SLOTS = 4 * BATCH
BAR = rb"\[[#-]{30}\] +(\d+) %"


def read_until(terminal, wanted, what):
    return until(lambda: terminal.read(0.1) is not None and wanted(terminal.got), WAIT, lambda: f"{what}: {terminal.got[-800:]}", every=0.01)


def check_sync(work):
    """A chain of some batches, fetched downwards from a checkpoint a batch in two seconds."""
    write_network(work / "network", "progress", SLOT_MS)
    maker = Daemon("maker", work / "network", work / "maker", ["--devnet-make-blocks", "--local-network"])
    until(lambda: maker.head_slot() >= SLOTS, 120, "slots pass")
    block = work / "block.ssz"
    block.write_bytes(maker.block_ssz("head")[0])
    argv = [PROGRAM, "run", "--testnet-dir", work / "network", "--datadir", work / "late", "--listen-address", "127.0.0.1", "--port", free_port(),
            "--http-port", free_port(), "--enr-address", "127.0.0.1", "--enable-private-discovery", "--local-network",
            "--boot-nodes", maker.enr, "--checkpoint-block", block, "--backfill-rate", BATCH // 2]
    late = Terminal(argv, 24, 100)
    read_until(late, lambda got: len({m for m in re.findall(BAR, got)}) >= 2, "the bar moves")
    check(b"slots left" in late.got, "it says what is left")
    lines = re.split(rb"\r?\n", late.got)
    check(not any(re.search(rb"%[^\r]*\d{4}-\d\d-\d\dT", line.replace(b"\r\x1b[K", b"\r")) for line in lines), "a log line begins behind a bar")
    check(all(len(re.sub(rb"\033\[[0-9;]*[mK]", b"", piece)) <= 100 for piece in late.got.split(b"\r") if re.search(BAR, piece)), "it fits the line")
    read_until(late, lambda got: re.search(rb"\r\033\[K(?!.*\[[#-]{30}\])", got[-4000:], re.DOTALL), "the bar goes when all is here")
    os.kill(late.pid, signal.SIGINT)
    check(late.end() == 0, "it ends in good order")
    maker.stop()


def check_crawl(net):
    argv = [PROGRAM, "crawl", "--boot-nodes", net.boot_enr(), "--listen", f"127.0.0.1:{free_port()}", "--private"]
    seen = Terminal(argv, 24, 100)
    check(seen.end() == 0, f"crawl in a terminal: {seen.got[-500:]}")
    check(re.search(BAR, seen.got) and b"answered" in seen.got, f"crawl draws a bar: {seen.got[-500:]}")
    argv[argv.index("--listen") + 1] = f"127.0.0.1:{free_port()}"
    piped = subprocess.run([str(a) for a in argv], capture_output=True, timeout=patient(120), check=True)
    check(not re.search(BAR, piped.stderr) and b"\033" not in piped.stderr + piped.stdout, "no bar, no escapes in a pipe")
    check(b"crawl: " in piped.stderr, "lines instead")


def run():
    work = scratch("progress")
    check_sync(work)
    net = Devnet(NODES, work / "net", ["--late-after", 0])
    until(lambda: all(len(net.peers(i) if net.identity(i) else []) == NODES - 1 for i in range(NODES)), 60, "all nodes meet")
    check_crawl(net)
    net.stop()
    note("bars of sync and crawl on a terminal, lines in a pipe")


if __name__ == "__main__":
    main(run)
