#!/usr/bin/env python3
"""devp2p's discv5 conformance suite (go-ethereum) against our engine on a UDP socket: all ten tests pass.

The suite is Go and costs some 200 CPU seconds to build, once; where Go is missing or cannot fetch it, the test is skipped.
The node under test is tests/interop/discv5_node.c with the profile for many nodes on one host.
"""

import os
import re
import subprocess

from harness.proc import PEERS, SKIP, TOP, check, free_port, main, note, patient, scratch

TESTS = 10
ROUNDS = 10
SECRET = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291"  # devp2p's well-known test key
ARCHIVES = ("proto_discv5", "codec", "crypto", "base")


def devp2p():
    """The suite's binary in build/peers/bin, or None."""
    binary = PEERS / "bin" / "devp2p"
    if not binary.exists():
        subprocess.run([TOP / "tests/interop/peers.sh", "devp2p"], check=False)
    return binary if binary.exists() else None


def archives():
    """The libraries of a build without sanitizers."""
    build = TOP / "build" / os.environ.get("P2PD_BUILD", "release")
    subprocess.run(["ninja", "-C", str(build), *(f"libp2pd_{name}.a" for name in ARCHIVES)], check=True, stdout=subprocess.DEVNULL)
    return [build / f"libp2pd_{name}.a" for name in ARCHIVES]


def node_binary():
    """tests/interop/discv5_node.c, compiled with the flags that find the packages."""
    out = scratch("discv5") / "discv5_node"
    subprocess.run(["cc", "-O1", "-g", "-std=c17", "-D_GNU_SOURCE", f"-I{TOP}/include", str(TOP / "tests/interop/discv5_node.c"),
                    "-o", str(out), *map(str, archives()), "-lsodium", "-lsecp256k1", "-lcrypto", "-lnettle", "-lsnappy"], check=True)
    return out


def rounds(suite, record):
    """The names of its tests, all of which passed. It waits 0.3 s for each answer, which a busy machine may not have: what failed is
    asked again, and what fails each time is wrong."""
    passed, left = [], ["."]
    for _ in range(ROUNDS):
        done = subprocess.run([suite, "discv5", "test", "--tap", "--run", "|".join(left), "--listen1", "127.0.0.1", "--listen2", "127.0.0.2", record],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=patient(300))
        results = re.findall(r"^(ok|not ok) \d+ (\S+)", done.stdout, re.M)
        passed += [name for verdict, name in results if verdict == "ok" and name not in passed]
        left = [f"^{re.escape(name)}$" for verdict, name in results if verdict != "ok"]
        if results and not left:
            return passed
    check(False, f"{left} fail {ROUNDS} times; the last:\n{done.stdout[-6000:]}")


def run():
    suite = devp2p()
    if suite is None:
        print("no Go here that can build go-ethereum's devp2p")
        raise SystemExit(SKIP)
    node = subprocess.Popen([node_binary(), "127.0.0.1", str(free_port()), SECRET], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        record = re.search(r'"record":"(enr:[^"]+)"', node.stdout.readline()).group(1)
        results = rounds(suite, record)
        check(node.poll() is None, f"the node under test ended with {node.returncode}")
    finally:
        node.stdin.close()  # the end of stdin ends it
        node.stdout.close()
        node.wait(patient(10))
    check(len(results) >= TESTS, f"the suite has {results} only")
    note(f"devp2p discv5 suite: {len(results)} of {len(results)} pass ({' '.join(results)})")


if __name__ == "__main__":
    main(run)
