#!/usr/bin/env python3
"""Real users of the API, 3: the curl examples of docs/api.md as they stand; what is posted at one node comes out of another one's
event stream; --events and the stream tell the same; and clients that drip their requests hold nobody up for long.

maker makes blocks. `follower` follows it. `poster` knows only `listener`, and nobody but us, who carry the maker's blocks to it."""

import concurrent.futures
import fnmatch
import http.client
import json
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness.daemon import Daemon
from harness.devnet import write_network
from harness.proc import TOP, check, main, note, patient, say, scratch, until

SLOT_MS = 1000
ROOT, SIGNATURE = "0x" + "11" * 32, "0x" + "22" * 96
ORIGIN = "https://pages.example"
DRIPPING = 128  # all connections that the server takes
REQUEST_SECONDS = 30  # src/api/server.h
READERS = 32  # WORKING_MAX of src/api/exchange.c is 2


# ---- documentation ----

def run_examples(daemon, work):
    text = (TOP / "docs/api.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    ran = 0
    for line in "".join(blocks).splitlines():
        if line.startswith("# "):
            wanted = line[2:].replace("[", "[[]").replace("...", "*") + ("" if line.endswith("...") else "*")
            check(fnmatch.fnmatchcase(out.replace("\r", ""), wanted), f"{command}\nanswers {out[:400]!r}, the docs say {line[2:]!r}")
            continue
        command = line.replace("http://127.0.0.1:5052", daemon.rest)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=work, capture_output=True, text=True, check=False, timeout=patient(30))
        check(done.returncode == 0, f"{command}\nended with {done.returncode}: {done.stdout[:300]} {done.stderr[:300]}")
        out, ran = done.stdout, ran + 1
    check(ran >= 10, f"only {ran} examples in docs/api.md")
    return ran


# ---- streams ----

class Stream:
    """Server-sent events, read by a thread: [(event, data)]."""

    def __init__(self, url):
        self.events = []
        self.answer = urllib.request.urlopen(url, timeout=patient(60))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        name = None
        try:
            for raw in self.answer:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.events.append((name, json.loads(line[6:])))
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def all(self, name):
        return [data for event, data in list(self.events) if event == name]


def post(daemon, path, body, version="fulu", ssz=False):
    """(status, answer)"""
    data = body if ssz else json.dumps(body).encode()
    headers = {"Content-Type": "application/octet-stream" if ssz else "application/json", "Eth-Consensus-Version": version}
    request = urllib.request.Request(daemon.rest + path, data=data, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=patient(10)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def carry_blocks(maker, poster, listener, last):
    """Every block of the maker by POST, as SSZ and JSON in turn."""
    for i, block in enumerate(reversed(maker.chain(last))):
        if i % 2 == 0:
            ssz, version = maker.block_ssz(block["root"])
            status, answer = post(poster, "/eth/v2/beacon/blocks", ssz, version, ssz=True)
        else:
            value = maker.get(f"/eth/v2/beacon/blocks/{block['root']}")
            body = value["data"] if i % 4 == 1 else {"signed_block": value["data"], "kzg_proofs": [], "blobs": []}
            status, answer = post(poster, "/eth/v2/beacon/blocks", body, value["version"])
        check(status in (200, 202), f"the block of slot {block['slot']} is answered {status} {answer}")
        until(lambda b=block: listener.header(b["root"]), 20, f"the listener has the block of slot {block['slot']}")


def operations(poster):
    """(path, body, topic of the event that follows)"""
    head = poster.header("head")
    slot, epoch = head["slot"], head["slot"] // 8
    header = {"message": {"slot": "1", "proposer_index": "5", "parent_root": ROOT, "state_root": ROOT, "body_root": ROOT}, "signature": SIGNATURE}
    other = {"message": {**header["message"], "body_root": "0x" + "33" * 32}, "signature": SIGNATURE}
    vote = {"slot": str(slot), "index": "0", "beacon_block_root": head["root"], "source": {"epoch": str(max(epoch - 1, 0)), "root": ROOT},
            "target": {"epoch": str(epoch), "root": head["root"]}}
    indexed = {"attesting_indices": ["1", "2"], "data": vote, "signature": SIGNATURE}
    twice = {**indexed, "data": {**vote, "beacon_block_root": "0x" + "44" * 32}}
    return [
        ("/eth/v1/beacon/pool/voluntary_exits", {"message": {"epoch": "0", "validator_index": "7"}, "signature": SIGNATURE}, "voluntary_exit"),
        ("/eth/v1/beacon/pool/bls_to_execution_changes",
         [{"message": {"validator_index": "3", "from_bls_pubkey": "0x" + "55" * 48, "to_execution_address": "0x" + "66" * 20},
           "signature": SIGNATURE}], "bls_to_execution_change"),
        ("/eth/v1/beacon/pool/proposer_slashings", {"signed_header_1": header, "signed_header_2": other}, "proposer_slashing"),
        ("/eth/v2/beacon/pool/attester_slashings", {"attestation_1": indexed, "attestation_2": twice}, "attester_slashing"),
        ("/eth/v2/beacon/pool/attestations",
         [{"committee_index": "0", "attester_index": "9", "data": vote, "signature": SIGNATURE}], "single_attestation"),
    ]


def sync_objects(poster, stream):
    """What counts in its own slot only: posted anew until one came through in time."""
    genesis = int(poster.get("/eth/v1/beacon/genesis")["data"]["genesis_time"])
    root = poster.header("head")["root"]

    def posted(path, body):
        status, answer = post(poster, path, [body])
        check(status == 200, f"POST {path}: {status} {answer}")

    def came():
        slot = str(int((time.time() - genesis) * 1000 / SLOT_MS))
        message = {"slot": slot, "beacon_block_root": root, "validator_index": slot, "signature": SIGNATURE}
        posted("/eth/v1/beacon/pool/sync_committees?subnets=1,2", message)
        status, answer = post(poster, "/eth/v1/beacon/pool/sync_committees", [message])
        check(status == 400 and "subnets" in json.loads(answer)["failures"][0]["message"], f"without subnets: {status} {answer}")
        contribution = {"slot": slot, "beacon_block_root": root, "subcommittee_index": "0", "aggregation_bits": "0x01", "signature": SIGNATURE}
        signed = {"message": {"aggregator_index": slot, "contribution": contribution, "selection_proof": SIGNATURE}, "signature": SIGNATURE}
        posted("/eth/v1/validator/contribution_and_proofs", signed)
        time.sleep(0.3)
        return [e for e in stream.all("contribution_and_proof") if e["message"]["contribution"]["beacon_block_root"] == root]

    until(came, 20, "a contribution comes out of the listener's stream")


def publish(poster, listener):
    """What is posted at one node is told by the other one's stream; what peers would punish is refused."""
    stream = Stream(listener.rest + "/eth/v1/events?topics=voluntary_exit,bls_to_execution_change,proposer_slashing,attester_slashing,"
                                    "single_attestation,attestation,contribution_and_proof")
    duty = {"validator_index": "9", "committee_index": "0", "committees_at_slot": "1", "slot": str(poster.header("head")["slot"]),
            "is_aggregator": True}
    status, answer = post(poster, "/eth/v1/validator/beacon_committee_subscriptions", [duty])
    check(status == 200, f"a subscription is answered {status} {answer}")
    told = 0
    for path, body, topic in operations(poster):
        status, answer = post(poster, path, body)
        check(status == 200, f"POST {path}: {status} {answer}")
        want = body[0] if isinstance(body, list) else body
        until(lambda t=topic, w=want: w in stream.all(t), 20, lambda t=topic: f"the listener tells {t}; it has told {stream.events[-3:]}")
        told += 1
    sync_objects(poster, stream)
    told += 1
    vote = {**operations(poster)[3][1]["attestation_1"], "attesting_indices": ["5", "6"]}  # not slashed yet
    status, answer = post(poster, "/eth/v2/beacon/pool/attester_slashings", {"attestation_1": vote, "attestation_2": vote})
    check(status == 400 and "message" in json.loads(answer), f"a slashing of one vote is answered {status} {answer}")
    for path, body, version, want in (
        ("/eth/v2/beacon/blocks", b"\x00" * 50, "fulu", 400),
        ("/eth/v2/beacon/blocks", b"\x64" + b"\x00" * 5000, "phase0", 400),
        ("/eth/v2/beacon/pool/attestations", b"[{}]", "fulu", 400),
    ):
        status, answer = post(poster, path, body, version, ssz=True)
        check(status == want and json.loads(answer)["code"] == want, f"{path}: {status} {answer}")
    return told


def compare_events(path, stream):
    """The file has what the stream told, in its order."""
    def told():
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        seen = [data for _, data in list(stream.events)]
        at = lines.index(seen[0]) if seen and seen[0] in lines else None
        return at is not None and len(seen) > 30 and lines[at : at + len(seen)] == seen
    until(told, 20, "the file of --events is the stream, line by line")
    kinds = {data["type"] for _, data in stream.events}
    check({"message", "mesh", "peer", "request"} <= kinds, f"the stream had {kinds} only")
    check(not {"lost"} & {json.loads(line)["type"] for line in path.read_text().splitlines()}, "events were lost")
    for data in stream.all("message"):
        check(data["verdict"] in ("accept", "ignore") and data["size"] > 0 and len(str(data["t"])) == 19 and data["peer"], f"{data}")
    return len(stream.events)


# ---- many who read ----

def read_at_once(follower, blocks):
    """What workers read of the store: more at once than there are workers; each answer is the one wanted. Returns how many."""
    wanted = [block for block in blocks for _ in range(READERS)][: 4 * READERS]
    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        roots = list(pool.map(lambda b: follower.get(f"/eth/v1/beacon/headers/{b['root']}")["data"]["root"], wanted))
        bodies = list(pool.map(lambda b: follower.block_ssz(b["root"])[0], wanted))
    check(roots == [b["root"] for b in wanted], "headers read at once are mixed up")
    one_by_one = {b["root"]: follower.block_ssz(b["root"])[0] for b in blocks}
    check(bodies == [one_by_one[b["root"]] for b in wanted], "blocks read at once are mixed up")
    return 2 * len(wanted)


def read_to_the_end(daemon):
    """It stops while reads wait for workers."""
    def reader():
        try:
            while True:
                daemon.block_ssz("head")
        except (OSError, http.client.HTTPException):
            pass  # it has gone

    threads = [threading.Thread(target=reader) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    daemon.stop()
    for thread in threads:
        thread.join()


# ---- other sites ----

def ask(daemon, headers, method="GET"):
    """(status, headers) of a request that a browser would send."""
    request = urllib.request.Request(daemon.rest + "/eth/v1/node/version", headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=patient(10)) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def other_sites(strict, lenient):
    """strict is as by default, lenient allows ORIGIN."""
    preflight = {"Access-Control-Request-Method": "GET"}
    for daemon, headers, method, want in (
        (strict, {"Origin": ORIGIN}, "GET", 403),
        (strict, {"Origin": "null"}, "GET", 403),
        (strict, {"Origin": ORIGIN, **preflight}, "OPTIONS", 403),
        (strict, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "GET", 403),
        (strict, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, "GET", 200),
        (strict, {"Host": "somebody.example"}, "GET", 403),
        (strict, {"Host": "localhost"}, "GET", 200),
        (strict, {"Origin": strict.rest}, "GET", 200),
        (lenient, {"Origin": ORIGIN}, "GET", 200),
        (lenient, {"Origin": ORIGIN, **preflight}, "OPTIONS", 204),
        (lenient, {"Origin": ORIGIN + ".evil.example"}, "GET", 403),
    ):
        status, got = ask(daemon, headers, method)
        check(status == want, f"{method} with {headers} is answered {status}, not {want}")
        allowed = got.get("Access-Control-Allow-Origin")
        check(allowed == (headers.get("Origin") if status < 300 else None), f"{method} with {headers}: {status}, allowed {allowed}")


# ---- those who drip ----

class Dripper:
    """A request of one byte a second, never whole."""

    def __init__(self, rest):
        host, port = rest.removeprefix("http://").split(":")
        self.begun = time.monotonic()
        self.socket = socket.create_connection((host, int(port)), timeout=patient(5))
        self.socket.setblocking(False)
        self.text, self.ended = b"GET /eth/v1/node/version HTTP/1.1\r\nX: " + b"x" * 600, None

    def drip(self):
        try:
            self.socket.send(self.text[:1])
            self.text = self.text[1:]
            if self.socket.recv(1) == b"":
                self.ended = time.monotonic()
        except BlockingIOError:
            pass
        except OSError:
            self.ended = time.monotonic()


def drip(daemon, results):
    clients = [Dripper(daemon.rest) for _ in range(DRIPPING)]
    while any(c.ended is None for c in clients) and time.monotonic() - clients[0].begun < patient(3 * REQUEST_SECONDS):
        for client in clients:
            if client.ended is None:
                client.drip()
        time.sleep(1)
    results.extend(c.ended - c.begun if c.ended else None for c in clients)


def run():
    work = scratch("api")
    write_network(work / "network", "api", SLOT_MS)
    flags = ["--disable-discovery", "--local-network", "--subscribe-all-subnets"]
    maker = Daemon("maker", work / "network", work / "m", [*flags, "--devnet-make-blocks"])
    follower = Daemon("follower", work / "network", work / "f", [*flags, "--libp2p-addresses", maker.multiaddr, "--events", work / "events"])
    stream = Stream(follower.rest + "/p2pd/v1/events")
    victim = Daemon("victim", work / "network", work / "v", [*flags, "--libp2p-addresses", maker.multiaddr])
    until(lambda: victim.peer(maker.peer_id), 30, "the victim is connected")
    times = []
    dripping = threading.Thread(target=drip, args=(victim, times))
    dripping.start()

    until(lambda: follower.head_slot() >= 3, 60, "the follower follows")
    ran = run_examples(follower, work)
    say(f"{ran} examples of docs/api.md run")
    poster = Daemon("poster", work / "network", work / "p", [*flags, "--http-allow-origin", ORIGIN])
    listener = Daemon("listener", work / "network", work / "l", [*flags, "--libp2p-addresses", poster.multiaddr])
    until(lambda: listener.peer(poster.peer_id), 30, "poster and listener are connected")
    head = maker.header("head")["root"]
    carry_blocks(maker, poster, listener, head)
    say("the maker's blocks are carried by POST")
    blocks = maker.chain(head)
    until(lambda: follower.header(head), 30, "the follower has the maker's blocks")
    read = read_at_once(follower, blocks)
    told = publish(poster, listener)
    other_sites(follower, poster)
    events = compare_events(work / "events", stream)

    dripping.join()
    check(None not in times, f"{times.count(None)} of {DRIPPING} clients that drip are still connected")
    until(lambda: victim.head_slot() >= maker.head_slot() - 2, 20, "the victim answers again, and its loop has followed the chain")
    check(victim.metrics()["p2pd_http_overdue_total"] >= DRIPPING / 2, "those that dripped were not counted")
    note(f"{ran} curl examples of docs/api.md; {told} kinds of objects posted at one node and told by the other's stream; {events} events the same "
         f"in the stream and in the file; {read} reads, {READERS} at once; {DRIPPING} clients that dripped were ended within {max(times):.0f} s")
    read_to_the_end(follower)
    for daemon in (listener, poster, victim, maker):
        daemon.stop()


if __name__ == "__main__":
    main(run)
