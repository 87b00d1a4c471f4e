"""The corpus chain (tests/vectors/corpus), its clock, its network directory, and js-libp2p peers that hold it or nothing."""

import hashlib
import json
import shutil
import threading
import time

from harness.lodestar import write_config
from harness.proc import PEERS, TOP, Failure, Process, check, node, patient

CORPUS = TOP / "tests" / "vectors" / "corpus"
FAR_FUTURE = 2**64 - 1


class Clock:
    """The chain's time: the machine's clock moved so that now is the beginning of `start_slot`.

    The chain's slots last two seconds, as its config says, and its payload timestamps are fixed: so the clocks of the test run at
    their natural speed and only begin at another time. Nothing is stepped or compressed.
    """

    def __init__(self, corpus, start_slot):
        info = json.loads((corpus / "chain.json").read_text())
        self.genesis, self.seconds_per_slot = info["genesis_time"], info["config"]["SECONDS_PER_SLOT"]
        self.offset = self.genesis + start_slot * self.seconds_per_slot - time.time()

    def now(self):
        return time.time() + self.offset

    def slot(self):
        return max(0, int((self.now() - self.genesis) // self.seconds_per_slot))

    def whole_second(self):
        """Wait for the next beginning of a second of the chain's time, and return it: a process started now begins with it."""
        time.sleep(-self.now() % 1)
        return round(self.now())

    def sleep_until_slot(self, slot):
        time.sleep(max(0.0, self.genesis + slot * self.seconds_per_slot - self.now()))


def blocks():
    """[{slot, root, sha256, fork}] of the manifest, by slot; the files are what the manifest says."""
    found = [
        m for m in json.loads((CORPUS / "manifest.json").read_text()) if m["kind"] == "SignedBeaconBlock"
    ]
    for m in found:
        check(
            hashlib.sha256((CORPUS / m["file"]).read_bytes()).hexdigest() == m["sha256"],
            f"{m['file']} is damaged",
        )
    return sorted(found, key=lambda m: m["slot"])


def network_dir(path):
    """config.yaml and genesis.ssz of the corpus' network, as clients take them."""
    path.mkdir(parents=True, exist_ok=True)
    config = json.loads((CORPUS / "chain.json").read_text())["config"]
    schedule = config.pop("BLOB_SCHEDULE")
    values = {k: int(v) if isinstance(v, str) and v.isdigit() else v for k, v in config.items()}
    write_config(path / "config.yaml", values)
    with open(path / "config.yaml", "a", encoding="ascii") as file:
        file.write("BLOB_SCHEDULE:\n")
        for row in schedule:
            file.write(f"  - EPOCH: {row['EPOCH']}\n    MAX_BLOBS_PER_BLOCK: {row['MAX_BLOBS_PER_BLOCK']}\n")
    shutil.copy(CORPUS / "minimal/deneb/state_genesis_0.ssz", path / "genesis.ssz")
    return path


class JsPeer:
    """tests/interop/js/peer.mjs as a process: commands in, events out."""

    def __init__(self, name, work, clock, holds, columns=(), lies=False):
        self.name, self.events, self._changed = name, [], threading.Condition()
        # The program runs beside the packages that npm installed for it.
        home = PEERS / "js"
        for source in (TOP / "tests/interop/js").glob("*.mjs"):
            if not (home / source.name).exists() or (home / source.name).read_bytes() != source.read_bytes():
                shutil.copy(source, home / source.name)
        config = work / f"{name}.json"
        config.write_text(
            json.dumps(
                {
                    "chain": str(CORPUS),
                    "offset_ms": round(clock.offset * 1000),
                    "holds": holds,
                    "columns": list(columns),
                    "lies": lies,
                }
            )
        )
        self.process = Process(
            name,
            [node(), "--require", TOP / "tests/interop/lodestar/polyfill.cjs", home / "peer.mjs", config],
            on_line=self._on_line,
        )
        listening = self.wait("listening", 30)
        self.addr, self.peer_id = listening["addr"], listening["peer"]

    def _on_line(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            return
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def command(self, cmd, **arguments):
        self.process.send(json.dumps({"cmd": cmd, **arguments}))

    def wait(self, ev, seconds, start=0, **fields):
        """The first event of this kind with these fields, from the start-th on."""
        seconds = patient(seconds)
        end, at = time.monotonic() + seconds, start
        with self._changed:
            while True:
                for event in self.events[at:]:
                    at += 1
                    if event["ev"] == "command_failed" and event["cmd"] in (fields.get("name"), ev):
                        raise Failure(f"{self.name}: {event}")
                    if event["ev"] == ev and all(event.get(k) == v for k, v in fields.items()):
                        return event
                left = end - time.monotonic()
                if left <= 0:
                    raise Failure(
                        f"{self.name}: no event {ev} {fields or ''} within {seconds} s; the last: {self.events[-5:]}"
                    )
                self._changed.wait(min(left, 1))
                self.process.must_run()

    def ask(self, name, seconds=15, **arguments):
        """Send a request over its connection; returns the chunks of the answer, none of them an error."""
        start = len(self.events)
        self.command(name, **arguments)
        chunks = self.wait("answer", seconds, start, name=name)["chunks"]
        bad = [c for c in chunks if c["code"] != 0]
        check(not bad, f"{self.name}: {name} {arguments} was answered by {bad[:1]}")
        return chunks

    def all(self, ev, **fields):
        with self._changed:
            return [e for e in self.events if e["ev"] == ev and all(e.get(k) == v for k, v in fields.items())]

    def stop(self):
        self.command("stop")
        return self.process.wait_end(15)
