#!/usr/bin/env python3
"""The example network with one command:

    docs/examples/network/run.py [--stay]

Four nodes of beacon-p2pd, each with node.py beside it, and one on go-libp2p that has /example-ws/1.0.0 alone. They make
transactions and spread them, by gossip and by messages both ways with the Go node. Then each node is lost in its turn (kill -9 of
daemon and program): the others go on, and it catches up when it is back. Ends with 0 when all pools were the same each time; with
--stay it goes on until it is stopped. Nothing leaves 127.0.0.1.

BEACON_P2PD names another program than build/release/beacon-p2pd, EXAMPLE_WS a Go node that is built already.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
DAEMON = os.environ.get("BEACON_P2PD", str(TOP / "build/release/beacon-p2pd"))
NODES = 4
SECONDS = 450  # for pools to be the same: much more than it takes, on a busy machine too


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Program:
    """What reads transactions and writes a line for each change of its pool."""

    def __init__(self, argv):
        self.state = {}
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            self.state = json.loads(line)

    def tx(self, text):
        self.child.stdin.write(b"tx " + text.encode() + b"\n")
        self.child.stdin.flush()

    def kill(self):
        self.child.kill()
        self.child.wait()


class Node:
    """A daemon and its program, with a name and a place on disk that outlive both."""

    def __init__(self, name, work, friends):
        self.name, self.dir, self.port = name, work / name, free_port()
        self.friends, self.address = friends, None
        self.start()

    def start(self):
        peers = [f.address for f in self.friends if f is not self and f.address]
        argv = [DAEMON, "run", "--network", "none", "--datadir", self.dir, "--listen-address", "127.0.0.1", "--port", self.port,
                "--disable-quic", "--http-port", 0, "--local-network", "--log-level", "warn"]  # fmt: skip
        argv += ["--peer", ",".join(peers)] if peers else []
        self.daemon = subprocess.Popen([str(a) for a in argv], stdout=subprocess.DEVNULL)
        wait(lambda: self.connects(), f"{self.name} has a control socket", self)
        self.program = Program([sys.executable, HERE / "node.py", self.socket()])

    def socket(self):
        return str(self.dir / "control.sock")

    def connects(self):
        """The daemon is there; and its name, which it tells."""
        sys.path.insert(0, str(HERE.parent / "python"))
        from p2pd_control import Control  # noqa: PLC0415

        try:
            control = Control(self.socket())
        except (OSError, ConnectionError):
            return False
        self.address = f"/ip4/127.0.0.1/tcp/{self.port}/p2p/{base58(control.welcome['peer'])}"
        control.socket.close()
        return True

    def kill(self):
        for child in (self.program.child, self.daemon):
            child.send_signal(signal.SIGKILL)
            child.wait()

    def tx(self, text):
        self.program.tx(text)

    def alive(self):
        return self.daemon.poll() is None

    @property
    def state(self):
        return self.program.state


class GoNode:
    address = None  # it dials, nobody dials it

    def __init__(self, binary, friends):
        self.name, self.binary, self.friends = "go", binary, friends
        self.start()

    def start(self):
        self.program = Program([self.binary, *(f.address for f in self.friends)])

    def kill(self):
        self.program.kill()

    def tx(self, text):
        self.program.tx(text)

    @property
    def state(self):
        return self.program.state


def base58(data):
    digits, number, out = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        out = digits[digit] + out
    return digits[0] * (len(data) - len(data.lstrip(b"\0"))) + out


def wait(condition, what, node=None):
    end = time.monotonic() + SECONDS
    while not condition():
        if node and not node.alive():
            sys.exit(f"{node.name}: its daemon ended with {node.daemon.returncode}")
        if time.monotonic() > end:
            sys.exit(f"in {SECONDS} s not: {what}")
        time.sleep(0.1)


def build_go():
    if "EXAMPLE_WS" in os.environ:
        return os.environ["EXAMPLE_WS"]
    found = [go for go in ("go", str(TOP / "build/peers/bin/go"), "/usr/local/go/bin/go") if shutil.which(go)]
    if not found:
        sys.exit("Go 1.26 is wanted for the node on go-libp2p: https://go.dev/dl, or tests/interop/peers.sh go, which fetches it")
    binary = TOP / "build" / "example-ws"
    print("building the Go node ...", flush=True)
    subprocess.run([found[0], "build", "-o", binary, "."], cwd=HERE / "go", check=True)
    return binary


def show(nodes, what):
    states = "  ".join(f"{n.name}: {n.state.get('pool', 0)} txs, {n.state.get('links', 0)} links" for n in nodes)
    print(f"{what}\n    {states}", flush=True)


def all_have(nodes, count, what):
    """Every pool has so many, the same ones."""
    wait(lambda: {n.state.get("pool") for n in nodes} == {count} and len({n.state["digest"] for n in nodes}) == 1,
         f"{what}: {[(n.name, n.state) for n in nodes]}, wanted {count}")  # fmt: skip
    show(nodes, what)


def story(nodes):
    made = 0
    wait(lambda: all(n.state.get("links", 0) >= len(nodes) - 1 for n in nodes), "all speak with all")
    for node in nodes:
        for i in range(5):
            node.tx(f"from {node.name}, number {i}")
        made += 5
        all_have(nodes, made, f"{node.name} has made five transactions: all have them")
    ours = [n.state for n in nodes if isinstance(n, Node)]
    by_gossip, by_message = sum(s["gossiped"] for s in ours), sum(s["told"] for s in ours)
    print(f"our nodes got {by_gossip} transactions by gossip, {by_message} by messages", flush=True)
    if by_gossip == 0 or by_message < 5:
        sys.exit("both ways should have been used")
    for lost in nodes:
        lost.kill()
        rest = [n for n in nodes if n is not lost]
        for node in rest:
            node.tx(f"from {node.name} without {lost.name}")
        made += len(rest)
        all_have(rest, made, f"{lost.name} is lost: the others go on")
        lost.start()
        all_have(nodes, made, f"{lost.name} is back, with nothing but its name: it has caught up")
        lost.tx(f"{lost.name} is back")
        made += 1
        all_have(nodes, made, f"and {lost.name} is heard")
    return made


def main():
    if not shutil.which(DAEMON):
        print("building beacon-p2pd ...", flush=True)
        subprocess.run([TOP / "run", "--version"], check=True)
    work, nodes = Path(tempfile.mkdtemp(prefix="p2pd-example-")), []
    try:
        binary = build_go()
        for i in range(NODES):
            nodes.append(Node(f"node{i + 1}", work, nodes))
        nodes.append(GoNode(binary, list(nodes)))
        made = story(nodes)
        print(f"{made} transactions, each lost node survived, all pools the same each time", flush=True)
        while "--stay" in sys.argv[1:]:
            time.sleep(5)
            show(nodes, "running; ^C ends it")
    except KeyboardInterrupt:
        pass
    finally:
        for node in nodes:
            node.kill()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
