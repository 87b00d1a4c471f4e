"""Network namespaces on one bridge, each with an address group of its own, in a world without any other network."""

import os
import subprocess
import sys

from harness.proc import SKIP

INSIDE = "P2PD_IN_NAMESPACE"


def enter():
    """Run the calling script again in a fresh network and mount namespace; nothing of the host's network is in it."""
    if os.environ.get(INSIDE):
        # `ip netns` keeps its names below /run: the host's stays as it is.
        for command in ("mount -t tmpfs none /run", "ip link set lo up", "ip link add br0 type bridge"):
            subprocess.run(command.split(), check=True)
        subprocess.run("ip addr add 10.255.0.1/8 dev br0".split(), check=True)
        subprocess.run("ip link set br0 up".split(), check=True)
        return
    unshare = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        print("this machine gives no network namespaces (unshare is refused)")
        sys.exit(SKIP)
    env = dict(os.environ, **{INSIDE: "1"})
    os.execvpe("unshare", [*unshare, sys.executable, *sys.argv], env)


def add(name, group):
    """A namespace with the address 10.GROUP.0.1; returns (address, wrapper for its commands)."""
    ip = f"10.{group}.0.1"
    for command in (
        f"ip netns add {name}",
        f"ip link add v{name} type veth peer name eth0 netns {name}",
        f"ip link set v{name} master br0 up",
        f"ip -n {name} link set lo up",
        f"ip -n {name} addr add {ip}/8 dev eth0",
        f"ip -n {name} link set eth0 up",
    ):
        subprocess.run(command.split(), check=True)
    return ip, ["ip", "netns", "exec", name]


def cut(name):
    """Pull its cable out of the bridge."""
    subprocess.run(f"ip link set v{name} down".split(), check=True)


def mend(name):
    subprocess.run(f"ip link set v{name} up".split(), check=True)
