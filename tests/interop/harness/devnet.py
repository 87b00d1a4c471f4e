"""`beacon-p2pd devnet` as a network that other tests join, and a network directory for daemons that make their own chain."""

import hashlib
import time

from harness.daemon import PROGRAM, http_json
from harness.proc import Process, free_port, until

SECONDS_PER_SLOT = 3


def write_network(path, name, slot_ms):
    """A network of all forks to fulu at genesis, three seconds ahead; one daemon with --devnet-make-blocks makes its chain."""
    path.mkdir()
    mark = name.encode()[:3].hex()
    lines = ["PRESET_BASE: minimal", f"CONFIG_NAME: {name}", f"MIN_GENESIS_TIME: {int(time.time()) + 3}", "GENESIS_DELAY: 0",
             f"SLOT_DURATION_MS: {slot_ms}", f"GENESIS_FORK_VERSION: 0x00{mark}"]
    for i, fork in enumerate(["ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU"], 1):
        lines += [f"{fork}_FORK_VERSION: 0x{i:02x}{mark}", f"{fork}_FORK_EPOCH: 0"]
    (path / "config.yaml").write_text("\n".join(lines) + "\n")
    root = hashlib.sha256(b"p2pd devnet validators" + (64).to_bytes(8, "little") + bytes(32)).hexdigest()
    (path / "genesis_validators_root.txt").write_text(f"0x{root}\n")


class Devnet:
    """n nodes under `data`; node i answers HTTP on ports[i]."""

    def __init__(self, nodes, data, flags=()):
        first = free_port(nodes)
        self.ports, self.network = [first + i for i in range(nodes)], data / "network"
        self.process = Process(
            "devnet", [PROGRAM, "devnet", "--nodes", nodes, "--datadir", data, "--http-port", first, *flags]
        )

    def get(self, i, path):
        answer = http_json(f"http://127.0.0.1:{self.ports[i]}{path}", 5)
        return answer and answer["data"]

    def identity(self, i):
        return self.get(i, "/eth/v1/node/identity")

    def boot_enr(self, seconds=30):
        return until(lambda: self.identity(0), seconds, "the first node answers")["enr"]

    def peers(self, i):
        return [p for p in self.get(i, "/eth/v1/node/peers") or [] if p["state"] == "connected"]

    def head(self, i):
        """{root, slot}, or None before the first block."""
        head = self.get(i, "/eth/v1/beacon/headers/head")
        return head and {"root": head["root"], "slot": int(head["header"]["message"]["slot"])}

    def head_slot(self, i):
        head = self.head(i)
        return head["slot"] if head else -1

    def heads(self):
        return [(self.head(i) or {"root": None})["root"] for i in range(len(self.ports))]

    def same_head(self):
        """One head on all nodes; they may differ for the moment in which a block travels."""
        seen = self.heads()
        return len(set(seen)) == 1 and seen[0] is not None

    def stop(self):
        return self.process.stop(seconds=25)
