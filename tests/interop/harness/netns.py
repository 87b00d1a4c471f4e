"""Network namespaces with cables between them: a LAN, a router, an Internet of our own. Nothing leaves the machine.

The test itself runs in a fresh namespace without any other network: enter(). The others live as long as the processes that hold
them. On the test's bridge each has an address group of its own: add().
"""

import os
import subprocess
import sys

from harness.proc import SKIP, Process, check, patient

INSIDE = "P2PD_IN_NAMESPACE"
_bridged = {}


def enter():
    """Run the calling script again in a fresh network namespace; nothing of the host's network is in it."""
    if os.environ.get(INSIDE):
        subprocess.run("ip link set lo up".split(), check=True)
        return
    unshare = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        print("this machine gives no network namespaces (unshare is refused)")
        sys.exit(SKIP)
    os.execvpe("unshare", [*unshare, sys.executable, *sys.argv], dict(os.environ, **{INSIDE: "1"}))


class Namespace:
    def __init__(self, name):
        self.name = name
        # Held by a cat of our own: it ends with us, and the namespace with it.
        self.holder = Process(f"namespace {name}", ["unshare", "-n", "sh", "-c", "echo up; exec cat"])
        self.holder.wait_line("^up$", 30)
        self.run("ip", "link", "set", "lo", "up")

    def wrap(self, *argv):
        return ["nsenter", "-t", str(self.holder.child.pid), "-n", *map(str, argv)]

    def run(self, *argv, stdin=None, ok=True):
        """Run to the end; its output."""
        done = subprocess.run(self.wrap(*argv), input=stdin, capture_output=True, text=True, timeout=patient(120), check=False)
        check(not ok or done.returncode == 0, f"{self.name}: {argv}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def start(self, name, *argv, **options):
        return Process(name, self.wrap(*argv), **options)

    def address(self, device, address):
        self.run("ip", "address", "add", address, "dev", device)

    def route(self, to, via):
        self.run("ip", "route", "add", to, "via", via)


def cable(a, device_a, address_a, b, device_b, address_b):
    a.run("ip", "link", "add", device_a, "type", "veth", "peer", "name", device_b, "netns", b.holder.child.pid)
    for ns, device, address in ((a, device_a, address_a), (b, device_b, address_b)):
        if address:
            ns.address(device, address)
        ns.run("ip", "link", "set", device, "up")


# ---- on one bridge, in the test's own namespace ----


def _ip(words):
    subprocess.run(["ip", *words.split()], check=True)


def add(name, group):
    """A namespace with the address 10.GROUP.0.1; returns (address, wrapper for its commands)."""
    if not _bridged:
        _ip("link add br0 type bridge")
        _ip("addr add 10.255.0.1/8 dev br0")
        _ip("link set br0 up")
    ns = _bridged[name] = Namespace(name)
    _ip(f"link add v{name} type veth peer name eth0 netns {ns.holder.child.pid}")
    _ip(f"link set v{name} master br0 up")
    ns.address("eth0", f"10.{group}.0.1/8")
    ns.run("ip", "link", "set", "eth0", "up")
    return f"10.{group}.0.1", ns.wrap()


def cut(name):
    """Pull its cable out of the bridge."""
    _ip(f"link set v{name} down")


def mend(name):
    _ip(f"link set v{name} up")
