#!/usr/bin/env python3
"""The command line as a person meets it: what is refused, in one line that names the thing and the way out; what is kept over
restarts; a public network without Internet. Runs in a network namespace of its own, so that no packet can leave.
"""

import base64
import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import time

from harness.corpus import network_dir
from harness.daemon import PROGRAM, Daemon
from harness.proc import Process, check, free_port, main, note, patient, scratch

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def leave_the_network():
    """A namespace with a loopback and nothing else."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = CLONE_NEWNET if os.getuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
    check(
        libc.unshare(flags) == 0, f"no network namespace can be made here: {os.strerror(ctypes.get_errno())}"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        up = struct.unpack("16sH14s", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1] | IFF_UP
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", up, b""))


wrong = []  # what refuse() found; all of it is told at once


def refuse(arguments, code, *words):
    """The program ends by itself with this code, having said one line on stderr with these words, and nothing on stdout."""
    text = " ".join(map(str, arguments))
    try:
        done = subprocess.run(
            [PROGRAM, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=patient(20),
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        wrong.append(f"{text}: runs, and should be refused")
        return
    lines = [x for x in done.stderr.splitlines() if x]
    missing = [str(w) for w in words if not lines or str(w) not in lines[0]]
    if done.returncode != code:
        wrong.append(f"{text}: exit code {done.returncode}, wanted {code}; it said {lines}")
    elif len(lines) != 1 or done.stdout:
        wrong.append(f"{text}: not one line on stderr: {lines} {done.stdout[:100]}")
    elif missing:
        wrong.append(f"{text}: the line does not name {missing}: {lines[0]}")


def refusals(work, network):
    base = ["run", "--testnet-dir", network, "--listen-address", "127.0.0.1", "--http-port", 0]
    fine = [*base, "--datadir", work / "refused", "--port", 0]
    refuse([*fine, "--no-such-flag"], 2, "--no-such-flag", "--help")
    refuse([*fine, "--target-peer", "3"], 2, "--target-peer", "--target-peers")
    refuse([*fine, "--target-peers", "many"], 2, "--target-peers", "many")
    refuse([*fine, "--target-peers", "100000"], 2, "--target-peers", "100000", "1000")
    refuse([*fine, "--target-peers"], 2, "--target-peers")
    refuse([*base, "--datadir", work / "refused", "--port", "70000"], 2, "--port", "70000", "65535")
    refuse([*fine, "--boot-nodes", "enr:-nonsense"], 2, "--boot-nodes", "enr:-nonsense")
    refuse([*fine, "--trusted-peers", "16Uiu2nonsense"], 2, "--trusted-peers", "16Uiu2nonsense")
    refuse([*fine, "--libp2p-addresses", "/ip4/127.0.0.1"], 2, "--libp2p-addresses", "/ip4/127.0.0.1")
    refuse([*fine, "--log-format", "xml"], 2, "--log-format", "xml", "json")
    refuse([*fine, "--discovery", "mdns"], 2, "--discovery", "mdns", "kad")
    refuse([*fine, "--discovery", "kad", "--disable-discovery"], 2, "--discovery", "--disable-discovery")
    refuse([*fine, "--kad-protocol", "kad"], 2, "--kad-protocol", "kad")
    refuse([*fine, "--kad-mode", "both"], 2, "--kad-mode", "both", "client")
    refuse([*fine, "--kad-raw-prefix", "name"], 2, "--kad-raw-prefix", "name")
    refuse([*fine, "--kad-raw-prefix", "/pk/"], 2, "--kad-raw-prefix", "/pk/", "validator")
    refuse(["run", "--network", "none", "--discovery", "discv5", "--datadir", work / "refused"], 2, "--discovery", "kad")
    refuse(["kad", "table"], 2, "--control-socket")
    refuse(["kad", "--control-socket", work / "none.sock", "table"], 1, "none.sock", "running")
    refuse([*fine, "--listen-address", "nowhere"], 2, "--listen-address", "nowhere")
    refuse(
        ["run", "--network", "nowhere", "--datadir", work / "refused"],
        2,
        "nowhere",
        "mainnet",
        "hoodi",
        "sepolia",
    )
    refuse(
        ["run", "--testnet-dir", work / "nowhere", "--datadir", work / "refused"],
        1,
        work / "nowhere",
        "--testnet-dir",
    )
    refuse([*base, "--port", 0, "--datadir", "/proc/nowhere"], 1, "/proc/nowhere", "--datadir")
    refuse(["dance"], 2, "dance")
    left = [str(p) for p in (work / "refused").rglob("*") if p.is_file()]
    if left:
        wrong.append(f"refused command lines left files behind: {left}")

    broken = work / "broken-network"
    broken.mkdir()
    (broken / "genesis.ssz").write_bytes((network / "genesis.ssz").read_bytes())
    config = (network / "config.yaml").read_text()
    (broken / "config.yaml").write_text(re.sub(r"FULU_FORK_EPOCH: .*", "FULU_FORK_EPOCH: soon", config))
    refuse(
        ["run", "--testnet-dir", broken, "--datadir", work / "refused"],
        2,
        "config.yaml",
        "FULU_FORK_EPOCH",
        "soon",
    )
    (broken / "config.yaml").write_text(config)
    (broken / "genesis.ssz").write_bytes(b"not a state")
    refuse(["run", "--testnet-dir", broken, "--datadir", work / "refused"], 2, "genesis.ssz")

    tcp, port = socket.socket(), free_port()
    tcp.bind(("127.0.0.1", port))
    tcp.listen()
    refuse([*base, "--datadir", work / "busy", "--port", port], 1, port, "--port")
    tcp.close()
    udp, port = socket.socket(type=socket.SOCK_DGRAM), free_port()
    udp.bind(("127.0.0.1", port))
    refuse([*base, "--datadir", work / "busy", "--port", port], 1, port)
    udp.close()
    http, port = socket.socket(), free_port()
    http.bind(("127.0.0.1", port))
    http.listen()
    refuse(
        [
            "run",
            "--testnet-dir",
            network,
            "--datadir",
            work / "busy",
            "--listen-address",
            "127.0.0.1",
            "--port",
            0,
            "--http-port",
            port,
        ],
        1,
        port,
        "--http-port",
    )
    http.close()


def seq_of(enr):
    """The sequence number of a record: the first item after the signature."""
    raw = base64.urlsafe_b64decode(enr.removeprefix("enr:") + "==")
    at = 2 if raw[0] == 0xF8 else 3  # list header
    at += 2 + 64  # signature: b8 40 and 64 bytes
    if raw[at] < 0x80:
        return raw[at]
    return int.from_bytes(raw[at + 1 : at + 1 + raw[at] - 0x80], "big")


def restarts(work, network):
    data = work / "kept"
    first = Daemon("first life", network, data)
    peer_id, enr = first.peer_id, first.enr
    first.stop()
    keys = [p for p in data.rglob("*") if p.is_file() and p.stat().st_size == 32]
    check(len(keys) == 1, f"{data} should hold one key file: {keys}")
    key = keys[0]
    check(stat.S_IMODE(key.stat().st_mode) == 0o600, f"{key} has mode {key.stat().st_mode:o}")
    secret = key.read_bytes()
    second = Daemon("second life", network, data)
    check(second.peer_id == peer_id, "the identity changed over a restart")
    check(
        seq_of(second.enr) > seq_of(enr),
        f"the record's seq went from {seq_of(enr)} to {seq_of(second.enr)} over a restart",
    )
    refuse(
        [
            "run",
            "--testnet-dir",
            network,
            "--datadir",
            data,
            "--listen-address",
            "127.0.0.1",
            "--port",
            0,
            "--http-port",
            0,
        ],
        1,
        data,
    )
    check(second.process.stop(signal.SIGTERM) == 0, "SIGTERM is no clean stop")

    key.write_bytes(secret[:31])
    refuse(
        [
            "run",
            "--testnet-dir",
            network,
            "--datadir",
            data,
            "--listen-address",
            "127.0.0.1",
            "--port",
            0,
            "--http-port",
            0,
        ],
        1,
        key,
    )
    check(key.read_bytes() == secret[:31], "a damaged key file was overwritten")
    key.write_bytes(bytes(32))
    refuse(
        [
            "run",
            "--testnet-dir",
            network,
            "--datadir",
            data,
            "--listen-address",
            "127.0.0.1",
            "--port",
            0,
            "--http-port",
            0,
        ],
        1,
        key,
    )


def kill_nine(work, network):
    """Killed without warning, it starts again with the same identity and a later record."""
    one = Daemon("killed", network, work / "killed")
    peer_id, enr = one.peer_id, one.enr
    one.process.kill()
    two = Daemon("after the kill", network, work / "killed")
    check(two.peer_id == peer_id, "the identity was lost by a kill")
    if seq_of(two.enr) <= seq_of(enr):
        wrong.append(f"after kill -9 the record's seq is {seq_of(two.enr)}, before it was {seq_of(enr)}")
    two.stop()


def without_internet(work, name):
    """Shown by, 3: prints its ENR, tries the built-in boot nodes, says plainly that there is no way; neither fails nor spins."""
    lines = []
    process = Process(
        name,
        [
            PROGRAM,
            "run",
            "--network",
            name,
            "--datadir",
            work / name,
            "--http-port",
            0,
            "--port",
            0,
            "--log-format",
            "json",
        ],
        on_line=lines.append,
    )
    process.wait_line(r'"enr": ?"enr:-', 20)
    process.wait_line(r"Internet", 60)
    events = [json.loads(x) for x in lines if x.startswith("{")]
    told = next(e for e in events if "Internet" in json.dumps(e))
    check(told["level"] == "warn", f"told as {told['level']}")
    before = cpu_seconds(process)
    time.sleep(10)  # a measurement, not a wait: what it burns while nothing can happen
    spent = cpu_seconds(process) - before
    check(spent < 1.0, f"{name} without Internet burns {spent:.1f} CPU seconds in 10 s")
    check(process.child.poll() is None, f"{name} ended")
    warned = [e for e in events if e.get("level") in ("warn", "error")]
    check(len(warned) < 20, f"{len(warned)} warnings in the first moments")
    check(process.stop() == 0, f"{name}: SIGINT is no clean stop")
    return spent


def cpu_seconds(process):
    with open(f"/proc/{process.child.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def enr(*arguments, code=0, stdin=""):
    done = subprocess.run([PROGRAM, "enr", *map(str, arguments)], capture_output=True, text=True, timeout=patient(10), input=stdin, check=False)
    check(done.returncode == code, f"enr {' '.join(map(str, arguments))}: {done}")
    return done


def enr_verbs(work):
    """make, view, sign, verify: a record goes through all four, and damage is seen."""
    key = work / "enr.key"
    made = enr("make", "--key", key, "--ip", "192.0.2.1", "--ip", "2001:db8::1", "--udp", 9000, "--tcp", 9001, "--set", "cgc=08").stdout.strip()
    check(made.startswith("enr:") and stat.S_IMODE(key.stat().st_mode) == 0o600, f"made: {made}, {key.stat()}")
    seen = json.loads(enr("view", "--json", made).stdout)
    check("192.0.2.1" in json.dumps(seen) and "2001:db8::1" in json.dumps(seen), f"seen: {seen}")
    signed = enr("sign", "--key", key, "--udp", 9100, "--unset", "cgc", made).stdout.strip()
    check(seq_of(signed) == seq_of(made) + 1, f"seq {seq_of(signed)} after {seq_of(made)}")
    again = json.loads(enr("view", "--json", signed).stdout)
    check("9100" in json.dumps(again) and "cgc" not in json.dumps(again), f"signed: {again}")
    enr("verify", made, signed)
    enr("verify", stdin=f"{made}\n{signed}\n")
    for broken in (made[:-1] + ("A" if made[-1] != "A" else "B"), made[:-4], "enr:AAAA"):
        check("enr" in enr("verify", broken, code=1).stderr.lower(), f"{broken} is refused without a word")
    other = work / "other.key"
    moved = json.loads(enr("view", "--json", enr("sign", "--key", other, made).stdout.strip()).stdout)
    check(moved["node_id"] != seen["node_id"], "another key gives the same node id")
    # The record of the specification. Spec: devp2p enr.md "Test Vectors"
    known = ("enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPK"
             "Y0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8")
    check("a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7" in enr("view", known).stdout, "the node id of the specification's record")


def run():
    leave_the_network()
    work = scratch("cli")
    network = network_dir(work / "network")
    for flag in ("--help", "--version"):
        done = subprocess.run([PROGRAM, flag], capture_output=True, text=True, timeout=patient(10), check=False)
        check(done.returncode == 0 and done.stdout and not done.stderr, f"{flag}: {done}")
    refusals(work, network)
    enr_verbs(work)
    restarts(work, network)
    kill_nine(work, network)
    spent = [without_internet(work, name) for name in ("hoodi", "mainnet", "sepolia")]
    check(not wrong, f"{len(wrong)} refusals are not as they should be:\n" + "\n".join(wrong))
    note(
        "refusals name the flag and the way out; identity and record survive restarts and a kill; hoodi, mainnet and sepolia without "
        f"Internet use {max(spent):.2f} CPU seconds in 10 s"
    )


if __name__ == "__main__":
    main(run)
