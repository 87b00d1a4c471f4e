"""A daemon's word on its peers: orders, rules, events, and what `beacon-p2pd why` prints."""

import json
import re
import subprocess
import urllib.error
import urllib.request

from harness.daemon import PROGRAM
from harness.proc import check, patient


def order(daemon, what, peer, status=200, **more):
    """What the API answers to an order, and that it has this status."""
    request = urllib.request.Request(f"{daemon.rest}/p2pd/v1/peers/{what}", method="POST",
                                     data=json.dumps({"peer": peer, **more}).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=patient(10)) as answer:
            got, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        got, text = error.code, error.read().decode()
    check(got == status, f"{what} {peer}: {got} {text}, wanted {status}")
    return text


def rules(daemon):
    return daemon.get("/p2pd/v1/peers/rules")["data"]


def banned(daemon, who):
    return next((b for b in rules(daemon)["bans"] if b["who"] == who), None)


def why(daemon, peer, code=0):
    """What the program prints."""
    ip, port = daemon.rest.removeprefix("http://").rsplit(":", 1)
    done = subprocess.run([PROGRAM, "why", str(peer), "--http-address", ip, "--http-port", port], capture_output=True, text=True,
                          timeout=patient(60), check=False, stdin=subprocess.DEVNULL)
    check(done.returncode == code, f"why {peer}: code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def reasons(daemon, peer_id):
    """The reasons of a peer's events, in order."""
    events = daemon.get("/p2pd/v1/peers/events")["data"]
    return [e["reason"] for e in events if e["peer_id"] == peer_id]


def row(daemon, peer_id):
    return next((p for p in daemon.peers(None) if p["peer_id"] == peer_id), None)


def digest_of(daemon):
    out = subprocess.run([PROGRAM, "enr", "view", daemon.enr], capture_output=True, text=True, timeout=patient(30), check=True).stdout
    return re.search(r"(?:digest|fork)\D*0x([0-9a-f]{8})", out).group(1)
