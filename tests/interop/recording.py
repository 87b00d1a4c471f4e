#!/usr/bin/env python3
"""A recording replays to the same decisions: nodes of a small network are recorded from their first start, over a restart with a store
that holds blocks, with a program on the control socket and orders from it, and one is killed. Each recording is given to a new node,
which must make every call that the recorded one made; a byte changed in it must be noticed; old recordings make room;
a full one ends, and the node goes on.
"""

import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import forks  # the network of a chain maker
from harness.daemon import PROGRAM, Daemon
from harness.proc import TOP, check, main, note, patient, scratch, until

sys.path.insert(0, str(TOP / "docs/examples/python"))
from p2pd_control import WATCH, Control  # noqa: E402

FULL_MIB = 64  # the least that --record-max takes
LOCAL = ["--local-network", "--disable-quic"]


def replay(path, *flags, code=0):
    done = subprocess.run([PROGRAM, "replay", path, *flags], capture_output=True, text=True, timeout=patient(300), check=False)
    check(done.returncode == code, f"replay {path}: exit {done.returncode}, wanted {code}: {done.stdout[-600:]} {done.stderr[-600:]}")
    return done.stdout


def figures(text):
    rows = re.findall(r"(\d+) events and (\d+) commands, (\d+) calls as recorded; (.*)", text)
    check(rows, f"replay said: {text}")
    return [(int(e), int(c), int(k), how) for e, c, k, how in rows]


def record(base):
    """Folders of three recordings: a maker's run, a follower's two runs, the second one killed."""
    network = base / "network"
    forks.write_network(network)
    maker = Daemon("maker", network, base / "maker", [*LOCAL, "--devnet-make-blocks", "--record", base / "rec-maker"])
    flags = [*LOCAL, "--boot-nodes", maker.enr, "--record", base / "rec-follower"]
    follower = Daemon("follower", network, base / "follower", flags)
    until(lambda: follower.head_slot() >= 3, 60, "the follower hears of blocks")
    programs(follower, base / "follower" / "control.sock")
    follower.stop()
    again = Daemon("again", network, base / "follower", flags, port=follower.port)
    before = again.head_slot()
    until(lambda: again.head_slot() >= max(before, 0) + 2, 60, "the follower goes on from its store")
    again.process.kill()
    maker.stop()
    return network


def programs(node, socket):
    """What comes beside the port: a program that sees all gossip, joins a topic, drops a peer that is not there, and goes."""
    program = Control(str(socket), "recorded")
    program.request("subscribe", topic="*", mode=WATCH)
    program.wait("message", 60)
    head = node.head_slot()
    until(lambda: node.head_slot() > head, 60, "blocks go on")
    ssz, fork = node.block_ssz("head")
    request = urllib.request.Request(
        f"{node.rest}/eth/v2/beacon/blocks", data=ssz, method="POST",
        headers={"Content-Type": "application/octet-stream", "Eth-Consensus-Version": fork},
    )
    try:
        urllib.request.urlopen(request, timeout=patient(20)).close()  # it is known already; that is an answer too
    except urllib.error.HTTPError as error:
        check(error.code < 500, f"publishing by the API: {error.code}")
    program.socket.close()


def same(base):
    for name, count in (("rec-maker", 1), ("rec-follower", 2)):
        rows = figures(replay(base / name))
        check(len(rows) == count, f"{name}: {len(rows)} recordings, wanted {count}")
        check(all(e > 30 and k > 30 for e, _, k, _ in rows), f"{name}: {rows}")
        wanted = ["to the end of the run", "the recording ends before the run does"]
        check([r[3] for r in rows] == wanted[:count], f"{name}: ends {rows}")
    return rows


def differs(base):
    """A replay can fail: a bit that came in is changed. Not every bit decides something (a timer's nanosecond does not): one does."""
    folder = base / "changed"
    shutil.copytree(base / "rec-maker" / "000001", folder)
    whole = (folder / "inputs").read_bytes()
    for at in range(len(whole) // 4, len(whole), len(whole) // 40):
        (folder / "inputs").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        done = subprocess.run([PROGRAM, "replay", folder], capture_output=True, text=True, timeout=patient(300), check=False)
        check(done.returncode in (0, 1), f"a changed recording: exit {done.returncode}: {done.stderr}")
        if done.returncode == 1 and "recorded:" in done.stdout:
            return
    check(False, "none of 30 changed bits was noticed")


def ring(base, network):
    """Old recordings make room for new ones, also those of killed processes, whose space was kept for more; others' files stay."""
    folder = base / "ring"
    folder.mkdir()
    (folder / "mine.txt").write_text("not a recording")
    for _ in range(5):
        node = Daemon("ring", network, base / "ring-data", [*LOCAL, "--record", folder, "--record-max", 64])
        node.process.kill()
        used = sum(f.stat().st_blocks * 512 for f in folder.rglob("*") if f.is_file())
        check(used <= 64 << 20, f"recordings take {used >> 20} MiB, 64 are allowed")
    left = sorted(p.name for p in folder.iterdir())
    check(left[-1] == "mine.txt" and "000005" in left and "000001" not in left, f"in the ring: {left}")
    for path in folder.rglob("*"):
        check(path.name == "mine.txt" or path.stat().st_mode & 0o077 == 0, f"others may read {path}")


def full(base, network):
    """A run that says more than --record-max: the node goes on, the recording is replayed up to there. One without its beginning is
    refused."""
    folder = base / "full"
    node = Daemon("full", network, base / "full-data", [*LOCAL, "--record", folder, "--record-max", FULL_MIB])
    program = Control(str(base / "full-data" / "control.sock"))
    for i in range(FULL_MIB + 1):
        program.request("publish", topic="nothing", data=bytes(1 << 20))
    check(node.get("/eth/v1/node/identity"), "the node goes on when its recording is full")
    program.socket.close()
    node.stop()
    check(node.said("the recording ended early: --record-max, or a full disk"), "a word of the end")
    inputs = folder / "000001" / "inputs"
    check(FULL_MIB / 2 < inputs.stat().st_size >> 20 <= FULL_MIB, f"the recording has {inputs.stat().st_size} bytes")
    (_, commands, _, how), = figures(replay(folder))
    check(commands > FULL_MIB / 2 and how == "the recording ends before the run does", f"{commands} commands, {how}")
    with inputs.open("r+b") as file:  # as if the first pages had been given up for later ones
        rest = file.read()[1 << 20 :]
        file.seek(0)
        file.write(rest)
        file.truncate()
    done = subprocess.run([PROGRAM, "replay", folder / "000001"], capture_output=True, text=True, timeout=patient(60), check=False)
    check(done.returncode == 1 and "its beginning is gone" in done.stderr, f"without its beginning: {done.returncode} {done.stderr}")
    return commands


def refusals(base, network):
    for flags, words in (
        (["--record", base / "x"], "--disable-quic"),
        (["--record", base / "x", "--disable-quic", "--nat", "upnp"], "--nat"),
        (["--record", "/proc/x", "--disable-quic"], "/proc/x"),
    ):
        done = subprocess.run(
            [PROGRAM, "run", "--testnet-dir", network, "--datadir", base / "refused", "--listen-address", "127.0.0.1",
             "--port", "0", "--http-port", "0", *flags],
            capture_output=True, text=True, timeout=patient(60), check=False,
        )
        check(done.returncode != 0 and words in done.stderr, f"{flags}: exit {done.returncode}: {done.stderr}")
    replay(base / "network", code=1)


def run():
    base = scratch("recording")
    network = record(base)
    rows = same(base)
    differs(base)
    ring(base, network)
    commands = full(base, network)
    refusals(base, network)
    note(f"{rows[0][0]} events, {rows[0][2]} calls replayed; a changed one is noticed; a full recording has {commands} commands")


if __name__ == "__main__":
    main(run)
