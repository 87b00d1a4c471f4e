#!/usr/bin/env python3
"""The control socket from outside: who is let in, what comes, what goes, and that nobody who connects can harm the daemon.

A local network of our own nodes makes blocks and attestations; a daemon joins it, and programs in Python (the client of the
docs, and bare sockets) do right and wrong.
"""

import os
import random
import socket
import stat
import struct
import subprocess
import sys
import time

from harness.daemon import PROGRAM, Daemon
from harness.devnet import SECONDS_PER_SLOT, Devnet
from harness.proc import TOP, check, main, note, patient, say, scratch, until

sys.path.insert(0, str(TOP / "docs/examples/python"))
from p2pd_control import WATCH, Control, encode, message_id  # noqa: E402

CLIENTS_MAX = 8
QUEUE_MAX = 16 << 20
FRAME_SECONDS = 30  # FRAME_TIME_NS of src/api/control.c


def closed(sock):
    """Has the daemon closed this connection? What it said before is read away."""
    sock.settimeout(patient(10))
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def bare(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return sock


def what_comes(daemon, path):
    """Blocks and attestations as they arrive: named by the specification's id, timed, from our peers."""
    control = Control(str(path))
    check(control.request("subscribe", mode=WATCH, topic="*")[0] == "ok", "subscribed to all")
    kinds, last, end = {}, 0, time.monotonic() + patient(10 * SECONDS_PER_SLOT)
    while time.monotonic() < end and min(kinds.get(k, 0) for k in ("beacon_block", "beacon_attestation")) < 3:
        for name, got in control.batch(1):
            check(name == "message", f"{name}: {got}")
            check(got["wait"] == 0, "nobody asked us for a verdict")
            check(message_id(got["topic"], got["data"]) == got["hash"], f"id of {got['topic']}")
            check(abs(got["time"] / 1e9 - time.time()) < 30 and got["time"] >= last, "arrival times rise")
            check(got["peer"], "a message without its sender")
            last = got["time"]
            kind = got["topic"].split("/")[3].rstrip("_0123456789")
            kinds[kind] = kinds.get(kind, 0) + 1
    check(len(kinds) >= 2, f"in many slots came {kinds}")
    return kinds


def what_goes(first, second):
    """What a program publishes through one daemon, a program at the other gets."""
    one, other = Control(str(first)), Control(str(second))
    check(other.request("subscribe", mode=WATCH, topic="voluntary_exit")[0] == "ok", "subscribed")
    ssz = struct.pack("<QQ", 0, 12345).ljust(112, b"\0")
    check(one.request("publish", topic="voluntary_exit", data=ssz)[0] == "ok", "published")
    end = time.monotonic() + patient(20)
    while not any(n == "message" and g["data"] == ssz for n, g in other.batch(1)):
        check(time.monotonic() < end, "the other daemon's program did not get it")
    check(one.request("publish", topic="voluntary_exit", data=ssz)[0] == "exists", "not twice")
    check(one.request("publish", topic="voluntary_exit", data=ssz[:-1])[0] == "refused", "not a cut one")
    check(one.request("publish", topic="no_such", data=ssz)[0] == "topic", "not on any topic")


def asks_peers(daemon, path):
    """Blocks that a program asks peers for are the daemon's own, chunk by chunk."""
    control = Control(str(path))
    last = daemon.head_slot() - 1
    ssz = struct.pack("<QQQ", 1, last, 1)
    code, why = control.request(
        "request", count=last, wait=10000, peer=b"", text="beacon_blocks_by_range", data=ssz
    )
    check(code == "ok", f"blocks by range: {code} {why}")
    chunks = [got for name, got in control.batch(0) if name == "chunk"]
    check([c["count"] for c in chunks] == list(range(1, len(chunks) + 1)) and chunks, "chunks in order")
    for chunk in chunks:
        slot = struct.unpack_from("<Q", chunk["data"], 100)[0]
        check(daemon.block_ssz(slot)[0] == chunk["data"], f"another block of slot {slot}")
        check(chunk["peer"] and any(chunk["context"]), "who sent it, of which fork")
    return len(chunks)


def duties(daemon, path):
    """A sync committee subnet that a program joins is told to all, and not any more when it leaves."""
    control = Control(str(path))

    def told():
        metadata = daemon.identity()["metadata"]
        return int(metadata["seq_number"]), metadata["syncnets"]

    before = told()
    check(control.request("join", time=0, topic="sync_committee_2")[0] == "ok", "joined")
    until(lambda: told() == (before[0] + 1, "0x04"), 20, "the subnet is in the metadata")
    control.socket.close()
    until(lambda: told() == (before[0] + 2, before[1]), 20, "and not any more")


def others_are_refused(daemon, path):
    """The file's mode keeps other users out; where somebody opens it, the kernel's word does."""
    mode = stat.S_IMODE(path.stat().st_mode)
    check(mode == 0o600, f"the socket's mode is {mode:o}")
    if os.geteuid() != 0:
        return "not shown for another user: that takes root"
    for folder in [path.parent, *path.parent.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o755)
    path.chmod(0o666)
    code = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(sys.argv[1]); s.settimeout(50); sys.exit(0 if s.recv(1) == b'' else 1)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"another user was let in: {done.stdout}{done.stderr}")
    path.chmod(0o600)
    until(lambda: daemon.said("program refused", why="it runs as another user"), 10, "a word of the refusal")
    return "another user is refused"


def harm(daemon, path):
    """Programs that do everything wrong, at once; the daemon serves the right one."""
    rng = random.Random(7)
    good = Control(str(path))
    for _ in range(40):
        sock = bare(path)
        start = encode("hello", low=1, high=1, text="x") if rng.random() < 0.5 else b""
        try:
            sock.sendall(start + rng.randbytes(rng.randrange(1, 3000)))
            sock.shutdown(socket.SHUT_WR)
        except (ConnectionError, BrokenPipeError):
            pass
        check(closed(sock), "garbage kept a connection open")
    check(closed_by(path, b"GET / HTTP/1.1\r\n\r\n"), "HTTP is no frame")

    slow = bare(path)
    for byte in encode("hello", low=1, high=1, text="slow"):
        slow.sendall(bytes([byte]))
    slow.settimeout(patient(10))
    check(slow.recv(100), "a byte at a time is answered too")

    deaf = bare(path)  # asks and never reads
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(encode("hello", low=1, high=1, text="deaf"))
    ask, sent = encode("leave", tag=1, topic="beacon_block") * 2000, 0
    try:
        while sent < 40 * QUEUE_MAX:
            sent += deaf.send(ask)
    except (ConnectionError, BrokenPipeError):
        pass
    check(sent < 40 * QUEUE_MAX, "a program that never reads was served for ever")
    until(lambda: daemon.said("program does not read its answers: closed"), 10, "a word of it")
    deaf.close()

    rest = [bare(path) for _ in range(CLIENTS_MAX + 2)]
    until(
        lambda: len(daemon.said("program refused", why="as many programs as are allowed are connected")) >= 2,
        20,
        "more than eight are refused",
    )
    check(good.request("leave", topic="beacon_block")[0] == "not_found", "the right one is served")
    for sock in [*rest, slow]:
        sock.close()


def halves(daemon, path):
    """Programs that never say HELLO, or stop within a frame, hold every place; they lose it, and others get in. One that is idle
    between frames is not among them."""
    idle = Control(str(path))
    silent = [bare(path) for _ in range(CLIENTS_MAX // 2)]
    for sock in (halfway := [bare(path) for _ in range(CLIENTS_MAX - 1 - len(silent))]):
        sock.sendall(encode("hello", low=1, high=1, text="half") + encode("leave", tag=1, topic="beacon_block")[:-3])
    until(lambda: daemon.metric("p2pd_control_clients") == CLIENTS_MAX, 20, "every place is taken")
    until(lambda: daemon.metric("p2pd_control_clients") == 1, FRAME_SECONDS + 60, "those who send halves are closed")
    check(all(closed(sock) for sock in silent + halfway), "a connection of half a frame is still open")
    check(Control(str(path)).request("leave", topic="beacon_block")[0] == "not_found", "another program is let in")
    check(idle.request("leave", topic="beacon_block")[0] == "not_found", "the idle one is still served")
    return len(silent + halfway)


def closed_by(path, data):
    sock = bare(path)
    sock.sendall(data)
    return closed(sock)


def refuses_to_start(why, flags, network, datadir):
    datadir.mkdir(exist_ok=True)
    argv = [PROGRAM, "run", "--testnet-dir", network, "--datadir", datadir, "--port", "0", "--http-port", "0"]
    done = subprocess.run(
        [*map(str, argv), *map(str, flags)], capture_output=True, text=True, timeout=patient(60), check=False
    )
    check(done.returncode != 0 and why in done.stderr, f"{flags}: {done.returncode} {done.stderr[:300]}")


def control():
    work = scratch("control")
    devnet = Devnet(3, work / "net", ["--late-after", 0])
    flags = ["--boot-nodes", devnet.boot_enr(), "--local-network", "--subscribe-all-subnets"]
    daemon = Daemon("daemon", devnet.network, work / "d1", flags)
    path = work / "d1" / "control.sock"
    other = Daemon("other", devnet.network, work / "d2", [*flags, "--control-socket", work / "other.sock"])
    alone = Daemon("alone", devnet.network, work / "d4", flags[:3])
    until(lambda: len(daemon.peers()) >= 2 and len(other.peers()) >= 2, 60, "both have peers")

    kinds = what_comes(daemon, path)
    say(f"came: {kinds}")
    what_goes(path, work / "other.sock")
    asked = asks_peers(daemon, path)
    refused = others_are_refused(daemon, path)
    duties(alone, work / "d4" / "control.sock")
    alone.stop()
    rss = daemon.process.rss_kib()
    harm(daemon, path)
    until(lambda: daemon.metric("p2pd_control_clients") == 0, 20, "all programs are gone")
    grown = daemon.process.rss_kib() - rss
    halved = halves(daemon, path)

    check(not (work / "d2" / "control.sock").exists(), "the socket is elsewhere")
    refuses_to_start("in use by another process", ["--control-socket", path], devnet.network, work / "d3")
    (work / "file").write_text("mine")
    refuses_to_start("is no socket", ["--control-socket", work / "file"], devnet.network, work / "d3")
    check((work / "file").read_text() == "mine", "a file that is not ours was touched")
    refuses_to_start("longer than", ["--control-socket", work / ("x" * 120)], devnet.network, work / "d3")
    refuses_to_start(
        "leave out", ["--validation", "external", "--disable-control-socket"], devnet.network, work / "d3"
    )

    daemon.process.kill()  # leaves its socket file behind
    check(path.exists(), "kill -9 leaves the file")
    again = Daemon("daemon again", devnet.network, work / "d1", flags)
    check(Control(str(path)).welcome["low"] == 1, "a stale file is replaced")
    again.stop()
    check(not path.exists(), "a clean stop removes the file")
    other.stop()
    note(f"{kinds} seen; {asked} blocks asked of peers; {refused}; after 50 bad programs the daemon had grown by {grown} KiB; {halved} that send halves lose their places")


if __name__ == "__main__":
    main(control)
