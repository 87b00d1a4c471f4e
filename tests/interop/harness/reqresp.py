"""The corpus as a server of req/resp holds it, and peers on rust-libp2p and js-libp2p that do the framing: Book says which objects
answer a request, the peer's own snappy and its own length prefixes carry them."""

import json
import os
import shutil
import struct
import subprocess
import threading
import time

from harness.corpus import CORPUS
from harness.proc import PEERS, TOP, Failure, Process, check, node, patient

PREFIX = "/eth2/beacon_chain/req/"
RUST = os.environ.get("P2PD_RUSTPEER", str(PEERS / "bin/rustpeer"))
BUILD = TOP / "build" / os.environ.get("P2PD_TOOLS", "dev")
SLOTS_PER_EPOCH = 8  # minimal preset
NAMES = [
    "status/1", "status/2", "goodbye/1", "ping/1", "metadata/2", "metadata/3", "beacon_blocks_by_range/2", "beacon_blocks_by_root/2",
    "beacon_blocks_by_head/1", "blob_sidecars_by_range/1", "blob_sidecars_by_root/1", "data_column_sidecars_by_range/1",
    "data_column_sidecars_by_root/1", "execution_payload_envelopes_by_range/1", "execution_payload_envelopes_by_root/1",
    "inclusion_lists_by_indices/1", "light_client_bootstrap/1", "light_client_updates_by_range/1", "light_client_finality_update/1",
    "light_client_optimistic_update/1",
]  # fmt: skip


def protocol(name):
    return f"{PREFIX}{name}/ssz_snappy"


def u64(*numbers):
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def has_context(name):
    return name.split("/")[0] not in ("status", "goodbye", "ping", "metadata")


class Book:
    """Objects by kind, and the answer to each request. An object: slot, block root, index, file, offset, size."""

    def __init__(self, steps, slot_now):
        self.steps, self.slot_now = steps, slot_now  # [(epoch, digest)]
        self.objects = {}  # kind -> [object], by slot and index
        self.parents = {}

    def add(self, kind, slot, root, index, file, offset, size):
        row = {"slot": slot, "root": root, "index": index, "file": str(file), "offset": offset, "size": size}
        self.objects.setdefault(kind, []).append(row)
        self.objects[kind].sort(key=lambda o: (o["slot"], o["index"]))

    def digest(self, slot):
        return [d for epoch, d in self.steps if epoch <= slot // SLOTS_PER_EPOCH][-1]

    def of(self, kind):
        return self.objects.get(kind, [])

    def head(self):
        return self.of("block")[-1]

    def status(self, version):
        head = self.head()
        parts = bytes.fromhex(self.digest(self.slot_now)) + bytes(40) + bytes.fromhex(head["root"]) + u64(head["slot"])
        return parts + (u64(0) if version == 2 else b"")

    def chain_down(self, root, count):
        found, blocks = [], {b["root"]: b for b in self.of("block")}
        while root in blocks and len(found) < count:
            found.append(blocks[root])
            root = self.parents.get(root)
        return found

    def wanted(self, name, r):
        """The objects that answer a request of this method, in their order."""
        kinds = {"beacon_blocks": "block", "blob_sidecars": "blob", "data_column": "column", "execution": "envelope"}
        kind = next((k for start, k in kinds.items() if name.startswith(start)), None)
        if name.endswith("by_range") and kind:
            start, count = struct.unpack_from("<QQ", r)
            columns = None
            if kind == "column":
                check(struct.unpack_from("<I", r, 16)[0] == 20, "offset of the columns is not 20")
                columns = struct.unpack(f"<{(len(r) - 20) // 8}Q", r[20:])
            return [o for o in self.of(kind) if start <= o["slot"] < start + count and (columns is None or o["index"] in columns)]
        if name.startswith("beacon_blocks_by_head"):
            return self.chain_down(r[:32].hex(), struct.unpack_from("<Q", r, 32)[0])
        if name.startswith("blob_sidecars_by_root"):
            ids = [(r[i : i + 32].hex(), struct.unpack_from("<Q", r, i + 32)[0]) for i in range(0, len(r), 40)]
            return [o for root, i in ids for o in self.of(kind) if (o["root"], o["index"]) == (root, i)]
        if name.startswith("data_column_sidecars_by_root"):
            n = struct.unpack_from("<I", r)[0] // 4 if r else 0
            at = [*struct.unpack_from(f"<{n}I", r), len(r)]
            found = []
            for begin, end in zip(at, at[1:]):
                root, columns = r[begin : begin + 32].hex(), struct.unpack(f"<{(end - begin - 36) // 8}Q", r[begin + 36 : end])
                found += [o for o in self.of(kind) if o["root"] == root and o["index"] in columns]
            return found
        if name.endswith("by_root"):
            roots = [r[i : i + 32].hex() for i in range(0, len(r), 32)]
            return [o for root in roots for o in self.of(kind) if o["root"] == root]
        if name == "light_client_bootstrap":
            return [o for o in self.of("bootstrap") if o["root"] == r.hex()]
        if name == "light_client_updates_by_range":
            start, count = struct.unpack("<QQ", r)
            return [o for o in self.of("update") if start <= o["index"] < start + count]
        if name == "inclusion_lists_by_indices":
            return [o for o in self.of("list") if o["slot"] == struct.unpack_from("<Q", r)[0]]
        return self.of(name)  # finality and optimistic updates, under their own names

    def answer(self, name, r):
        method, version = name.split("/")
        if method == "status":
            return [{"code": 0, "context": None, "hex": self.status(int(version)).hex()}]
        if method == "ping":
            return [{"code": 0, "context": None, "hex": u64(1).hex()}]
        if method == "metadata":
            return [{"code": 0, "context": None, "hex": (u64(1) + bytes(9) + (u64(128) if version == "3" else b"")).hex()}]
        if method == "goodbye":
            return []
        found = self.wanted(method, r)
        if not found and method.startswith("light_client") and method != "light_client_updates_by_range":
            return [{"code": 3, "text": "not here"}]
        return [{"code": 0, "context": self.digest(o["slot"]), **o} for o in found]


def bytes_of(o):
    with open(o["file"], "rb") as file:
        file.seek(o["offset"])
        return file.read(o["size"])


class Peer:
    """A framing peer as a process, answering by a book."""

    def __init__(self, kind, book, names=NAMES):
        self.kind, self.book, self.asked, self._changed = kind, book, [], threading.Condition()
        self.events = []
        if kind == "js":
            for source in (TOP / "tests/interop/js").glob("*.mjs"):
                if not (PEERS / "js" / source.name).exists() or (PEERS / "js" / source.name).read_bytes() != source.read_bytes():
                    shutil.copy(source, PEERS / "js" / source.name)
            argv = [node(), "--require", TOP / "tests/interop/lodestar/polyfill.cjs", PEERS / "js/reqresp.mjs"]
        else:
            argv = [RUST, "reqresp"]
        self.process = Process(f"{kind} peer", [*argv, *(protocol(n) for n in names)], on_line=self._on_line)
        listening = self.wait("listening", 30)
        self.addr, self.peer_id = listening["addr"], listening["peer"]

    def _on_line(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            return
        if event.get("ev") == "asked":
            name = event["protocol"][len(PREFIX) : -len("/ssz_snappy")]
            request = bytes.fromhex(event["request"] or "")
            self.send(cmd="answer", id=event["id"], chunks=self.book.answer(name, request))
            event = {"ev": "asked", "name": name, "request": request}
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def send(self, **command):
        self.process.send(json.dumps(command))

    def wait(self, ev, seconds=20, start=0, **fields):
        seconds = patient(seconds)
        end, at = time.monotonic() + seconds, start
        with self._changed:
            while True:
                for event in self.events[at:]:
                    at += 1
                    if event["ev"] == ev and all(event.get(k) == v for k, v in fields.items()):
                        return event
                left = end - time.monotonic()
                if left <= 0:
                    raise Failure(f"{self.kind}: no event {ev} {fields or ''} within {seconds} s; the last: {str(self.events[-3:])[:600]}")
                self._changed.wait(min(left, 1))
                self.process.must_run()

    def ask(self, name, request, seconds=30):
        """The chunks that its remote answers: [(code, context, bytes)]."""
        start = len(self.events)
        self.send(cmd="ask", protocol=protocol(name), request=None if request is None else request.hex(), context=has_context(name))
        answer = self.wait("answer", seconds, start)
        check("error" not in answer, f"{self.kind} asks {name}: {answer}")
        return [(c["code"], c["context"], bytes.fromhex(c["data"])) for c in answer["chunks"]]

    def stop(self):
        self.send(cmd="quit")
        return self.process.wait_end(10)


def fill_store(datadir, network, lines):
    """Objects into the store of a daemon that does not run yet; what `make` lines print comes back."""
    datadir.mkdir(parents=True, exist_ok=True)
    program = BUILD / "tests/net/net_store"
    done = subprocess.run(
        [program, datadir / "store", network], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=patient(120), check=False
    )
    check(done.returncode == 0, f"{program}: {done.stderr}")
    return done.stdout.split()


def corpus_book(work, slot_now):
    """The chain of tests/vectors/corpus with its columns."""
    info = json.loads((CORPUS / "chain.json").read_text())
    steps = sorted((int(epoch), d["digest"][2:]) for epoch, d in info["fork_digests_by_epoch"].items())
    book, roots = Book(steps, slot_now), {}
    for m in json.loads((CORPUS / "manifest.json").read_text()):
        if m["kind"] == "SignedBeaconBlock":
            roots[m["slot"]] = m["root"][2:]
            book.add("block", m["slot"], m["root"][2:], 0, CORPUS / m["file"], 0, m["size"])
        elif m["kind"] == "DataColumnSidecars":
            for i in range(128):
                book.add("column", m["slot"], m["block_root"][2:], i, CORPUS / m["file"], i * m["size_each"], m["size_each"])
    for o in book.of("block"):
        book.parents[o["root"]] = bytes_of(o)[116:148].hex()  # offset, signature, slot, proposer_index
    shared = TOP / ".." / "shared" / "corpus"
    if (shared / "manifest.json").exists():
        for m in json.loads((shared / "manifest.json").read_text()):
            if m["kind"] == "BlobSidecar" and m["preset"] == "minimal" and roots.get(m["slot"]) == m["block_root"][2:]:
                book.add("blob", m["slot"], m["block_root"][2:], m["index"], shared / m["file"], 0, m["size"])
    return book
