"""The daemon under test: started with flags, watched by its JSON log, its HTTP API and its metrics."""

import http.client
import json
import os
import re
import urllib.error
import urllib.request

from harness.proc import TOP, Failure, Process, check, free_port, patient, until

PROGRAM = os.environ.get("P2PD_PROGRAM", str(TOP / "build" / "release" / "beacon-p2pd"))


def http_bytes(url, accept, seconds=10):
    """What a GET answers, or None while nobody answers or it is 404."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=patient(seconds)) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise Failure(f"GET {url}: {error.code} {error.read()[:200]!r}") from None
    except (OSError, TimeoutError, http.client.HTTPException):
        return None  # nobody there, or somebody else who does not speak HTTP


def http_json(url, seconds=10):
    body = http_bytes(url, "application/json", seconds)
    return None if body is None else json.loads(body)


class Daemon:
    """One beacon-p2pd process on 127.0.0.1 (or where `wrapper` and `ip` say) with ports of its own."""

    def __init__(
        self,
        name,
        network,
        datadir,
        flags=(),
        wrapper=(),
        start_seconds=30,
        private=True,
        ip="127.0.0.1",
        listen=None,
        port=None,
        advertise=None,
    ):
        self.name, self.events, self.rest = name, [], f"http://{ip}:{free_port()}"
        self.port = port or free_port()
        listen = listen or [ip]
        datadir.mkdir(parents=True, exist_ok=True)
        argv = [
            *wrapper,
            PROGRAM,
            "run",
            "--testnet-dir",
            network,
            "--datadir",
            datadir,
            "--listen-address",
            ",".join(listen),
            "--port",
            self.port,
            "--enr-address",
            advertise or ",".join(listen),
            "--http-address",
            ip,
            "--http-port",
            self.rest.rsplit(":", 1)[1],
            *(["--enable-private-discovery"] if private else []),
            "--log-format",
            "json",
            *([] if "--log-level" in flags else ["--log-level", "info,chain=debug"]),  # each block by its way
            *flags,
        ]
        self.process = Process(name, argv, on_line=self._on_line)
        self.process.wait_line(r'"msg": ?"listening"', start_seconds)
        identity = until(self.identity, start_seconds, f"{name} answers on {self.rest}")
        self.enr, self.peer_id = identity["enr"], identity["peer_id"]
        self.multiaddr = f"/ip{'6' if ':' in listen[0] else '4'}/{listen[0]}/tcp/{self.port}/p2p/{self.peer_id}"

    def _on_line(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            return
        if isinstance(event, dict):
            self.events.append(event)

    def get(self, path):
        return http_json(self.rest + path)

    def identity(self):
        answer = self.get("/eth/v1/node/identity")
        return answer and answer["data"]

    def peers(self, state="connected"):
        answer = self.get("/eth/v1/node/peers")
        return [p for p in (answer or {"data": []})["data"] if state is None or p["state"] == state]

    def peer(self, peer_id):
        """The row of a connected peer, or None."""
        return next((p for p in self.peers() if p["peer_id"] == peer_id), None)

    def header(self, block):
        """{root, slot, parent} of "head", a slot or a root; None if it has no such block."""
        answer = self.get(f"/eth/v1/beacon/headers/{block}")
        if not answer:
            return None
        message = answer["data"]["header"]["message"]
        return {
            "root": answer["data"]["root"],
            "slot": int(message["slot"]),
            "parent": message["parent_root"],
        }

    def head_slot(self):
        """-1 while it has no block."""
        head = self.header("head")
        return head["slot"] if head else -1

    def block_ssz(self, block):
        request = urllib.request.Request(
            f"{self.rest}/eth/v2/beacon/blocks/{block}", headers={"Accept": "application/octet-stream"}
        )
        with urllib.request.urlopen(request, timeout=patient(10)) as answer:
            check(
                answer.headers.get("Content-Type", "").startswith("application/octet-stream"),
                f"{self.name}: block {block} came as {answer.headers.get('Content-Type')}, not as SSZ",
            )
            return answer.read(), answer.headers.get("Eth-Consensus-Version")

    def envelope_ssz(self, block):
        """The block's payload envelope; None while it is not here."""
        return http_bytes(
            f"{self.rest}/eth/v1/beacon/execution_payload_envelopes/{block}", "application/octet-stream"
        )

    def metrics(self):
        """{'name{labels}': value}"""
        try:
            with urllib.request.urlopen(self.rest + "/metrics", timeout=patient(10)) as answer:
                text = answer.read().decode()
        except OSError as error:
            raise Failure(f"{self.name}: /metrics: {error}") from None
        found = {}
        for line in text.splitlines():
            row = re.match(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)", line)
            if row:
                found[row.group(1)] = float(row.group(2))
        return found

    def metric(self, name, **labels):
        """The sum over the rows of a metric that carry these labels."""
        total = 0.0
        for key, value in self.metrics().items():
            if key.split("{")[0] == name and all(f'{k}="{v}"' in key for k, v in labels.items()):
                total += value
        return total

    def said(self, msg, **fields):
        """Events of the JSON log with this message and these fields."""
        return [
            e
            for e in list(self.events)
            if e.get("msg") == msg and all(e.get(k) == v for k, v in fields.items())
        ]

    def blocks_by_way(self):
        """{root: way} as the log tells it, the first way a block came."""
        ways = {}
        for event in self.said("block"):
            ways.setdefault(event["root"], event["via"])
        return ways

    def chain(self, head="head", down_to=0):
        """Walk the parents from `head`: [{root, slot, parent}], newest first; each link is checked by fetching the parent."""
        at = self.header(head)
        check(at, f"{self.name} has no {head}")
        found = [at]
        while at["slot"] > down_to and int(at["parent"], 16) != 0:
            parent = self.header(at["parent"])
            if parent is None:
                break
            check(
                parent["slot"] < at["slot"],
                f"{self.name}: parent of slot {at['slot']} has slot {parent['slot']}",
            )
            at = parent
            found.append(at)
        return found

    def stop(self):
        """SIGINT; the exit code must be 0."""
        code = self.process.stop()
        check(code == 0, f"{self.name} ended with code {code} after SIGINT")
