"""Lodestar 1.5.1 as a real client: a finalizing devnet of one node, bellatrix -> capella, minimal preset, slots of two seconds and more."""

import os
import shutil
import time
import urllib.parse
import urllib.request
from pathlib import Path

from harness.daemon import http_json
from harness.proc import PEERS, TOP, Process, check, free_port, node, patient, say, until

HERE = TOP / "tests" / "interop" / "lodestar"
LOAD = os.getloadavg()[0] / os.cpu_count()
# Where many others run, Lodestar attests too late for short slots, and nothing becomes final; eight without a block, and it makes no more.
SECONDS_PER_SLOT = 2 if LOAD < 4 else 4 if LOAD < 10 else 8
SLOTS_PER_EPOCH = 8
GENESIS_HASH = "0x" + "42" * 32  # the execution block that the merged genesis builds on
# What config.yaml holds of Lodestar's running config: the daemon gets no key that no other client would give it.
NETWORK_KEYS = (
    "PRESET_BASE",
    "CONFIG_NAME",
    "MIN_GENESIS_TIME",
    "GENESIS_DELAY",
    "SECONDS_PER_SLOT",
    "TERMINAL_TOTAL_DIFFICULTY",
    "MIN_GENESIS_ACTIVE_VALIDATOR_COUNT",
    "SECONDS_PER_ETH1_BLOCK",
    "ETH1_FOLLOW_DISTANCE",
    "DEPOSIT_CHAIN_ID",
    "DEPOSIT_NETWORK_ID",
    "DEPOSIT_CONTRACT_ADDRESS",
    "CHURN_LIMIT_QUOTIENT",
    "EJECTION_BALANCE",
)
FAR_FUTURE = 2**64 - 1


def start_seconds(nodes):
    """From now to a genesis before which so many nodes can start and connect: longer on a machine that is busy. A chain that
    begins before its nodes know each other does not begin: each waits for the others to be ahead."""
    return int(15 + 5 * nodes * min(4, max(1, LOAD)))


def before_genesis(make, count, margin=5):
    """The Lodestars of make(genesis time), up before their genesis; where the machine was too slow for that, others with more time."""
    ahead = start_seconds(count)
    while True:
        nodes = make(int(time.time()) + ahead)
        for node in nodes:
            node.spawn()
        for node in nodes:
            node.ready()
        if time.time() < nodes[0].genesis_time - margin:
            return nodes
        say(f"genesis has passed: {ahead} s were too few")
        for node in nodes:
            node.stop()
        ahead *= 2


def yaml_value(value):
    """Fork versions are quoted as Lighthouse writes them; names too."""
    return f"'{value}'" if isinstance(value, str) and not value.isdigit() else value


def write_config(path, values):
    path.write_text("".join(f"{key}: {yaml_value(value)}\n" for key, value in values.items()))


class Lodestar:
    """A beacon node with validators and a mock execution engine, on ports of its own."""

    def __init__(
        self,
        run_dir,
        capella_epoch,
        genesis_time,
        validators=16,
        own=None,
        ip="127.0.0.1",
        wrapper=(),
        discovery=True,
        all_subnets=False,
        name="lodestar",
        log_level=None,
    ):
        """own: the first and last of the validators that this node runs (default: all; (): none). ip and wrapper: where it
        runs, as `ip netns exec NAME`. Without discovery it knows only who dials it."""
        self.run_dir, self.capella_epoch, self.genesis_time = Path(run_dir), capella_epoch, genesis_time
        self.validators, self.own = validators, (0, validators - 1) if own is None else own
        self.ip, self.wrapper, self.discovery, self.name = ip, list(wrapper), discovery, name
        self.all_subnets, self.log_level = all_subnets, log_level
        self.port, self.rest_port, self.engine_port = free_port(), free_port(), free_port()
        self.rest = f"http://{ip}:{self.rest_port}"
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.process = self.engine = None
        self.slowest = 0.0  # of its answers, in seconds

    def start(self, boot_enr):
        """As one who comes to a chain that is there: see before_genesis() for who begins one."""
        self.spawn(boot_enr)
        self.ready()

    def spawn(self, boot_enr=None):
        data = self.run_dir / "data"
        shutil.rmtree(data, ignore_errors=True)
        self.engine = Process(
            f"engine of {self.name}", [*self.wrapper, node(), HERE / "mock-el.mjs", self.engine_port]
        )
        self.engine.wait_line("listening", 20)
        # No environment variable may be named LODESTAR: its option parser would take it for an option.
        env = {"LODESTAR_PRESET": "minimal"}
        argv = [
            *self.wrapper,
            node(),
            "--require",
            HERE / "polyfill.cjs",
            "--max-old-space-size=2048",
            PEERS / "lodestar/node_modules/@chainsafe/lodestar/lib/index.js",
            "dev",
            "--genesisValidators",
            self.validators,
            *(["--startValidators", f"{self.own[0]}..{self.own[1]}"] if self.own else []),
            "--genesisTime",
            self.genesis_time,
            "--genesisEth1Hash",
            GENESIS_HASH,
            "--dataDir",
            data,
            "--listenAddress",
            self.ip,
            "--port",
            self.port,
            "--enr.ip",
            self.ip,
            "--enr.tcp",
            self.port,
            "--enr.udp",
            self.port,
            "--rest",
            "--rest.address",
            self.ip,
            "--rest.port",
            self.rest_port,
            "--rest.namespace",
            "*",
            "--beaconNodes",
            self.rest,
            "--eth1",
            "false",
            "--execution.urls",
            f"http://127.0.0.1:{self.engine_port}",
            "--network.connectToDiscv5Bootnodes",
            "--targetPeers",
            "10",
            "--suggestedFeeRecipient",
            "0x" + "00" * 19 + "ee",
            "--params.SECONDS_PER_SLOT",
            SECONDS_PER_SLOT,
            "--params.ALTAIR_FORK_EPOCH",
            "0",
            "--params.BELLATRIX_FORK_EPOCH",
            "0",
            "--params.CAPELLA_FORK_EPOCH",
            self.capella_epoch,
        ]
        if boot_enr:
            argv += ["--bootnodes", boot_enr]
        if self.all_subnets:
            argv += ["--subscribeAllSubnets"]
        if self.log_level:
            argv += ["--logLevel", self.log_level]
        if not self.discovery:
            argv += ["--discv5", "false"]
        self.process = Process(self.name, argv, cwd=self.run_dir, env=env)

    def ready(self):
        identity = until(lambda: self.get("/eth/v1/node/identity"), 90, f"{self.name}'s REST answers")["data"]
        self.enr, self.peer_id = identity["enr"], identity["peer_id"]
        self.multiaddr = f"/ip4/{self.ip}/tcp/{self.port}/p2p/{self.peer_id}"

    def connect(self, other):
        """Have it dial another Lodestar."""
        query = urllib.parse.urlencode({"peerId": other.peer_id, "multiaddr": other.multiaddr.split("/p2p/")[0]})
        url = f"{self.rest}/eth/v1/lodestar/connect_peer?{query}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=patient(20)) as answer:
                answer.read()
        except OSError:
            pass  # the caller looks whether they are connected

    def stop(self):
        for process in (self.process, self.engine):
            if process:
                process.kill()

    def get(self, path):
        begun = time.monotonic()
        try:
            return http_json(self.rest + path)
        finally:
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def slot(self):
        return max(0, int((time.time() - self.genesis_time) // SECONDS_PER_SLOT))

    def spec(self):
        return until(lambda: self.get("/eth/v1/config/spec"), 30, "Lodestar tells its config")["data"]

    def network_dir(self, path, with_state):
        """The network as a directory that clients take: config.yaml and genesis.ssz, or the genesis root and time alone."""
        path.mkdir(parents=True, exist_ok=True)
        spec = self.spec()
        values = {k: int(v) if v.isdigit() else v for k, v in ((k, spec[k]) for k in NETWORK_KEYS)}
        for key in spec:
            if key.endswith("_FORK_VERSION") and not key.startswith("EIP"):
                values[key] = spec[key]
            if key.endswith("_FORK_EPOCH") and not key.startswith("EIP"):
                values[key] = int(spec[key])
        for fork, version in (("DENEB", "0x04000001"), ("ELECTRA", "0x05000001"), ("FULU", "0x06000001")):
            values[f"{fork}_FORK_VERSION"], values[f"{fork}_FORK_EPOCH"] = version, FAR_FUTURE
        genesis = until(lambda: self.get("/eth/v1/beacon/genesis"), 30, "Lodestar tells its genesis")["data"]
        if with_state:
            state = urllib.request.Request(
                self.rest + "/eth/v2/debug/beacon/states/genesis",
                headers={"Accept": "application/octet-stream"},
            )
            with urllib.request.urlopen(state, timeout=patient(20)) as answer:
                (path / "genesis.ssz").write_bytes(answer.read())
        else:
            (path / "genesis_validators_root.txt").write_text(genesis["genesis_validators_root"] + "\n")
            values["MIN_GENESIS_TIME"], values["GENESIS_DELAY"] = int(genesis["genesis_time"]), 0
        write_config(path / "config.yaml", values)
        return path

    def header(self, block):
        answer = self.get(f"/eth/v1/beacon/headers/{block}")
        if not answer:
            return None
        message = answer["data"]["header"]["message"]
        return {
            "root": answer["data"]["root"],
            "slot": int(message["slot"]),
            "parent": message["parent_root"],
        }

    def chain(self, last):
        """{slot: root} of its canonical blocks from 1 to `last`; a slot without a block has no entry."""
        found = {}
        for slot in range(1, last + 1):
            header = self.header(slot)
            if header and header["slot"] == slot:
                found[slot] = header["root"]
        return found

    def finalized_epoch(self):
        answer = self.get("/eth/v1/beacon/states/head/finality_checkpoints")
        return int(answer["data"]["finalized"]["epoch"]) if answer else 0

    def connected(self):
        """Peer ids that it lists as connected."""
        answer = self.get("/eth/v1/node/peers")
        return {p["peer_id"] for p in (answer or {"data": []})["data"] if p["state"] == "connected"}

    def sees(self, peer_id):
        """Its own row of a peer, or None: both peer lists must have it, connected."""
        rows = []
        for path in ("/eth/v1/node/peers", "/eth/v1/lodestar/peers"):
            answer = self.get(path)
            row = next((p for p in (answer or {"data": []})["data"] if p["peer_id"] == peer_id), None)
            if row is None or row["state"] != "connected":
                return None
            rows.append(row)
        return {**rows[0], **rows[1]}

    def score(self, peer_id):
        """What it thinks of a peer: its score and the gossip part of it; a peer never complained of has no row."""
        for path in ("/eth/v1/lodestar/lodestar-peer-score-stats", "/eth/v1/lodestar/peers/score"):
            answer = self.get(path)
            for row in (answer or {"data": []})["data"]:
                if row["peer_id"] == peer_id:
                    return {"score": float(row["score"]), "gossip": float(row["gossip_score"])}
        return {"score": 0.0, "gossip": 0.0}


    def likes(self, peer_id):
        """Its score of a peer, which must not be below zero.

        It counts a message as promised and not kept when it has no time to read it within three seconds: on a machine on which it
        needs a second for an answer of its own that alone is no fault of the peer's.
        """
        score = self.score(peer_id)
        if score["score"] >= 0 and score["gossip"] >= 0:
            return score
        stats = gossip_stats(self, peer_id)
        check(
            score["score"] >= 0 and self.slowest > 1 and not stats["topics"] and stats.get("behaviour_penalty", 0) > 0,
            f"{self.name}'s score of {peer_id} is {score}: {stats}; its slowest answer took {self.slowest:.1f} s",
        )
        return {"score": score["score"], "gossip": 0.0}


def gossip_stats(lodestar, peer_id):
    """What its gossip score of a peer is made of."""
    answer = lodestar.get("/eth/v1/lodestar/gossip-peer-score-stats") or {"data": []}
    row = next((r for r in answer["data"] if r["peer_id"] == peer_id), {"topics": {}})
    bad = ("mesh_failure_penalty", "invalid_message_deliveries")
    topics = {
        t: v for t, v in row["topics"].items() if v["mesh_message_deliveries_active"] or any(v[b] for b in bad)
    }
    return {**row, "topics": topics}


def run_directory_genesis(run_dir, capella_epoch, network):
    """Let Lodestar make the genesis that it will make again (it depends on nothing but the arguments), and write the network. Returns
    the time of genesis, before which there is time for another start."""
    first = before_genesis(lambda genesis: [Lodestar(run_dir, capella_epoch, genesis)], 3, margin=start_seconds(1))[0]
    first.network_dir(network, with_state=False)
    first.stop()
    return first.genesis_time
