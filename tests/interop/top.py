#!/usr/bin/env python3
"""`beacon-p2pd top`: once, against what the API says; and live in a terminal of its own (a pty): keys, resizing, colours, a daemon
that goes and comes back, the terminal as it was afterwards."""

import os
import re
import signal
import subprocess
import termios

from harness.daemon import PROGRAM
from harness.devnet import Devnet
from harness.proc import check, main, note, scratch, until
from harness.terminal import WAIT, Terminal

NODES = 3


def once(port, *flags):
    done = subprocess.run([PROGRAM, "top", "--http-port", str(port), "--once", *flags], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"top --once: {done.stderr}")
    check("\033" not in done.stdout, "escape sequences where there is no terminal")
    return done.stdout


def top_of(net):
    return [PROGRAM, "top", "--http-port", net.ports[1]]


def check_once(net):
    port = net.ports[1]
    text = once(port)
    peers = net.peers(1)
    check(f"peers {len(peers)} (" in text, text[:400])
    check(all(p["peer_id"][-8:] in text for p in peers), "each peer has a line")
    head = once(port).split("\n")[1]
    until(lambda: f"head {net.head_slot(1)} " in once(port).split("\n")[1], WAIT, f"the head: {head}")
    topics = net.get(1, "/p2pd/v1/view/topics")["topics"]
    for topic in topics:
        check(re.search(rf"^{topic['name']} ", text, re.MULTILINE), f"topic {topic['name']} has no line")
    seen = []

    def same_block():  # both may be asked while a copy comes
        block = net.get(1, "/p2pd/v1/view/blocks")["blocks"][-1]
        row = next((line for line in once(port, "--view", "blocks").split("\n") if re.match(rf"\s+{block['slot']} ", line)), "")
        seen.append((block, row))
        return block["root"][:12] in row and f" {block['copies']} " in row and "#" in row

    until(same_block, WAIT, lambda: f"a block as the API has it: {seen[-1]}")
    only = once(port, "--view", "coverage")
    check("data columns" in only and "TOPIC" not in only, "one view only")
    ours = sum(c["own"] == "custody" for c in net.get(1, "/p2pd/v1/view/coverage")["columns"])
    columns = only[only.index("data columns"):only.index("attestation subnets")].split("\n", 1)[1]
    check(columns.count("(") == ours, f"{ours} columns are ours: {columns}")


def check_terminal(net):
    top = Terminal(top_of(net), 30, 120)
    top.wait("the first screen", "beacon-p2pd/")
    check(top.screen()[0].startswith("beacon-p2pd/"), top.screen()[0])
    top.wait("peers", "RATING")
    check(b"\033[3" in top.got and b"\033[?1049h" in top.got, "colours and a screen of its own")
    top.wait("rates after the second look", "/s")
    top.press(b"2")
    top.wait("a digit chooses a view", "beacon_aggregate_and_proof")
    first = next(i for i, line in enumerate(top.screen()) if line.startswith("TOPIC"))
    top.press(b"\033[B\033[B")
    until(lambda: top.screen()[first + 1].startswith("beacon_attestation_0"), WAIT, lambda: f"arrows scroll: {top.screen()}")
    top.press(b"\t")
    top.wait("Tab goes on", "data columns")
    check(top.fits(30, 120), "the screen fits")
    top.resize(12, 40)
    until(lambda: top.fits(12, 40) and len(top.screen()) >= 8, WAIT, lambda: f"a smaller screen: {top.screen()}", every=0.05)
    top.resize(40, 150)
    top.press(b"6")
    until(lambda: len(top.screen()) >= 12 and top.fits(40, 150), WAIT, lambda: f"a larger one: {top.screen()}", every=0.05)
    top.press(b"q")
    check(top.end() == 0, "q ends it")
    check(b"\033[?1049l" in top.got and b"\033[?25h" in top.got, "screen and cursor are given back")

    plain = Terminal(top_of(net), 30, 120, NO_COLOR="1")
    plain.wait("without colours", "RATING")
    check(not re.search(rb"\033\[[0-9;]*m", plain.got), "NO_COLOR means no colour")
    held = termios.tcgetattr(plain.fd)
    check(held[3] != plain.before[3], "keys come one by one")
    os.kill(plain.pid, signal.SIGTERM)
    check(plain.end() == 0, "SIGTERM ends it in good order")
    check(b"\033[?1049l" in plain.got, "and gives the screen back")


def run():
    work = scratch("top")
    net = Devnet(NODES, work / "net", ["--late-after", 0])
    until(lambda: net.identity(1) and len(net.peers(1)) == NODES - 1, 60, "all nodes meet")
    until(lambda: (net.get(1, "/p2pd/v1/view/blocks") or {"blocks": []})["blocks"], 60, "a block comes")
    until(lambda: all(p["agent"] for p in net.peers(1)), 30, "all are identified")
    check_once(net)
    check_terminal(net)
    wrong = subprocess.run([PROGRAM, "top", "--http-port", "0"], capture_output=True, text=True, check=False)
    check(wrong.returncode == 2 and "--http-port 0" in wrong.stderr, f"a wrong port: {wrong.stderr}")

    top = Terminal(top_of(net), 30, 120)
    top.wait("it runs", "RATING")
    net.stop()
    top.wait("the daemon has gone", "trying again")
    check(any("RATING" in line for line in top.screen()), "what was known stays")
    top.press(b"q")
    check(top.end() == 0, "q ends it")
    nobody = subprocess.run([PROGRAM, "top", "--http-port", str(net.ports[1])], capture_output=True, text=True, check=False)
    check(nobody.returncode == 1 and "--http-port" in nobody.stderr, f"nobody answers: {nobody.stderr}")
    note("top shows what the API says, once and live: keys, two sizes, with colours and without, a daemon that goes")


if __name__ == "__main__":
    main(run)
