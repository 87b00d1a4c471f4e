"""Network namespaces with cables between them: a LAN, a router, an Internet of our own. Nothing leaves the machine.

As root, or as anybody in a user namespace of one's own (the test starts itself again in one). A namespace lives as long as
the process that holds it.
"""

import os
import subprocess
import sys

from harness.proc import Process, check


def need_root():
    """Start this very test again inside a user namespace, unless we may make namespaces already."""
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "-rn", "--mount", sys.executable, *sys.argv])


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
        done = subprocess.run(self.wrap(*argv), input=stdin, capture_output=True, text=True, timeout=120, check=False)
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
