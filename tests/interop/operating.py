#!/usr/bin/env python3
"""What an operator does before and beside a run: `check` finds each thing that is wrong and says what to do; an identity goes out and comes
in, in each form; a node tells no more of itself than it is told to, and advertises the ports that it is told to.
"""

import json
import resource
import socket
import stat
import subprocess

from harness.corpus import network_dir
from harness.daemon import PROGRAM, Daemon
from harness.proc import check, free_port, main, note, patient, scratch

# Of a peer id that js-libp2p made: its secret as hex and as the JSON file's privKey, and its name.
SECRET = "1111111111111111111111111111111111111111111111111111111111111111"


def tell(*arguments, code=0, stdin="", limit=None):
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=patient(60), check=False,
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))) if limit else None,
    )
    check(done.returncode == code, f"{arguments}: exit {done.returncode}, wanted {code}: {done.stdout[-400:]} {done.stderr[-400:]}")
    return done.stdout + done.stderr


def rows(*arguments, limit=None):
    """{what: (finding, text)} of beacon-p2pd check. Its exit code must fit; the clock is this machine's own affair."""
    done = subprocess.run(
        [PROGRAM, "check", *map(str, arguments)], capture_output=True, text=True, timeout=patient(60), check=False,
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))) if limit else None,
    )
    found = {line[5:14].strip(): (line[:4].strip(), line[15:]) for line in done.stdout.splitlines()[:-1]}
    bad = any(f == "BAD" for f, _ in found.values())
    check(done.returncode == (1 if bad else 0), f"check {arguments}: exit {done.returncode}: {done.stdout} {done.stderr}")
    check("clock" in found, f"nothing of the clock: {done.stdout} {done.stderr}")
    return found


def checkups(base, network):
    port = free_port()
    common = ["--testnet-dir", network, "--listen-address", "127.0.0.1", "--http-port", free_port(), "--datadir", base / "d"]
    fine = rows(*common, "--port", port, "--quic-port", free_port(), "--enr-address", "127.0.0.1", "--boot-nodes", boot_record())
    for what in ("ports", "http", "address", "nat", "record", "network", "identity", "files"):
        check(fine[what][0] == "ok", f"check: {what}: {fine[what]}")
    check(f"tcp {port}, udp {port}" in fine["record"][1], f"record: {fine['record']}")
    check(not (base / "d").exists(), "check made a datadir")

    def bad(what, word, *flags, limit=None):
        found = rows(*common, *flags, limit=limit)
        check(found[what][0] == "BAD" and word in found[what][1], f"{flags}: {what} is {found[what]}, wanted {word}")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bad("ports", "ss -lntup", "--port", taken.getsockname()[1])
    bad("files", "LimitNOFILE", "--port", 0, limit=100)
    (base / "d").mkdir()
    (base / "d" / "key").write_bytes(bytes.fromhex(SECRET))
    (base / "d" / "key").chmod(0o644)
    bad("identity", "chmod 600", "--port", 0)
    (base / "d" / "key").write_bytes(b"half")
    bad("identity", "key import", "--port", 0)
    public = rows("--network", "hoodi", "--port", 0, "--http-port", 0, "--listen-address", "127.0.0.1", "--enr-address", "10.1.2.3",
                  "--datadir", base / "e")
    check(public["address"][0] == "BAD" and "not public" in public["address"][1], f"a private address: {public['address']}")
    check("--target-peers" in tell("check", "--target-peer", 3, code=2), "check takes any flag")


def boot_record():
    return tell("enr", "make", "--secret", SECRET, "--ip", "127.0.0.1", "--udp", 9000).strip()


def keys(base, network):
    """Out and in again in each form; another identity is not lost; the node has the one that came in."""
    made = base / "made"
    shown = tell("key", "import", "--datadir", made, stdin=SECRET + "\n")
    peer = shown.split()[2]
    check(stat.S_IMODE((made / "key").stat().st_mode) == 0o600, "the key's mode")
    for form in ("hex", "protobuf", "raw"):
        file = base / f"key.{form}"
        tell("key", "export", "--datadir", made, "--format", form, file)
        check(stat.S_IMODE(file.stat().st_mode) == 0o600, f"mode of the {form} file")
        check(peer in tell("key", "import", "--datadir", base / form, file), f"{form} came in as another identity")
        tell("key", "export", "--datadir", made, "--format", form, file, code=1)
    proto = "08021220" + SECRET
    check(peer in tell("key", "import", "--datadir", base / "hexproto", stdin="0x" + proto), "a protobuf in hex")
    for text in ("", "11" * 31, "zz", "0" * 64, "08021221" + SECRET, "x" * 5000):
        tell("key", "import", "--datadir", base / "none", stdin=text, code=1)
    check(not (base / "none" / "key").exists(), "something that is no key was imported")
    other = "22" * 32
    check("--force" in tell("key", "import", "--datadir", made, stdin=other, code=1), "another identity is replaced unasked")
    tell("key", "import", "--datadir", made, "--force", stdin=other)
    check((made / "key.old").read_bytes().hex() == SECRET, "the old identity is lost")
    node = Daemon("imported", network, base / "hex", ["--disable-discovery"])
    check(node.peer_id == peer, f"the node is {node.peer_id}, imported was {peer}")
    node.stop()


def told(node, key):
    for line in tell("connect", node.multiaddr).splitlines():
        if line.split()[:1] == [key]:
            return line[len(key) :].strip()
    return None


def privacy(base, network):
    plain = Daemon("plain", network, base / "plain", ["--disable-discovery"])
    check(told(plain, "agent").startswith("beacon-p2pd/"), f"agent: {told(plain, 'agent')}")
    plain.stop()
    named = Daemon("named", network, base / "named", ["--disable-discovery", "--agent-string", "our own name"])
    check(told(named, "agent") == "our own name", f"agent: {told(named, 'agent')}")
    named.stop()
    quiet = Daemon("quiet", network, base / "quiet", ["--disable-discovery", "--private"])
    check(told(quiet, "agent") == "", f"a private node tells: {told(quiet, 'agent')}")
    quiet.stop()
    run = ["run", "--testnet-dir", network, "--datadir", base / "x", "--port", 0, "--http-port", 0]
    check("exclude" in tell(*run, "--private", "--agent-string", "x", code=2), "both are taken")
    check("ASCII" in tell(*run, "--agent-string", "a\nb", code=2), "a line break is taken")


def ports(base, network):
    """Advertised ports are those that a router has; the second family has ports of its own; the budget is as given."""
    port6 = free_port()
    node = Daemon(
        "ports", network, base / "ports",
        ["--enr-tcp-port", 4001, "--enr-udp-port", 4002, "--enr-quic-port", 4003, "--port6", port6, "--max-memory", 100],
        listen=["127.0.0.1", "::1"],
    )
    record = json.loads(tell("enr", "view", "--json", node.enr))
    text = json.dumps(record)
    for wanted in ("4001", "4002", "4003"):
        check(wanted in text, f"{wanted} is not in the record: {text}")
    addresses = node.identity()["p2p_addresses"]
    check(any(a.startswith("/ip4/127.0.0.1/tcp/4001") for a in addresses), f"identify tells {addresses}")
    with socket.socket(socket.AF_INET6) as s:
        s.settimeout(patient(10))
        s.connect(("::1", port6))
    budget = [v for k, v in node.metrics().items() if k.startswith("p2pd_memory_max_bytes") and '"network"' in k]
    check(budget == [100 << 20], f"--max-memory 100 gives a budget of {budget}")
    node.stop()
    check("IPv6" in tell("run", "--testnet-dir", network, "--datadir", base / "y", "--listen-address", "127.0.0.1", "--port6", 1, code=2),
          "--port6 without IPv6")


def run():
    base = scratch("operator")
    network = network_dir(base / "network") or base / "network"
    checkups(base, network)
    keys(base, network)
    privacy(base, network)
    ports(base, network)
    note("check finds six faults; keys in four forms; ports and names as told")


if __name__ == "__main__":
    main(run)
