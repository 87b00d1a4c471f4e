// The corpus chain as a peer holds it: blocks, columns, what is gossiped in which slot, and the fork digests of its clock.
import fs from "node:fs";
import path from "node:path";

const from0x = (text) => Buffer.from(text.slice(2), "hex");

export class Chain {
  constructor(dir) {
    this.info = JSON.parse(fs.readFileSync(path.join(dir, "chain.json")));
    this.genesis = this.info.genesis_time;
    this.secondsPerSlot = this.info.config.SECONDS_PER_SLOT;
    this.slotsPerEpoch = 8; // minimal preset
    this.digests = Object.entries(this.info.fork_digests_by_epoch)
      .map(([epoch, d]) => ({epoch: Number(epoch), digest: from0x(d.digest), fork: d.fork}))
      .sort((a, b) => a.epoch - b.epoch);
    this.blocks = new Map(); // slot -> {slot, root, ssz}
    this.blobs = []; // {slot, block, index, ssz}
    this.columns = new Map(); // slot -> [ssz of column 0, 1, ...]
    for (const m of JSON.parse(fs.readFileSync(path.join(dir, "manifest.json")))) {
      const ssz = () => fs.readFileSync(path.join(dir, m.file));
      if (m.kind === "SignedBeaconBlock") this.blocks.set(m.slot, {slot: m.slot, root: from0x(m.root), ssz: ssz()});
      if (m.kind === "BlobSidecar") this.blobs.push({slot: m.slot, block: from0x(m.block_root), index: m.index, ssz: ssz()});
      if (m.kind === "DataColumnSidecars") {
        const all = ssz();
        const roots = m.roots.map(from0x);
        this.columns.set(m.slot, roots.map((root, i) => ({index: i, root, block: from0x(m.block_root), ssz: all.subarray(i * m.size_each, (i + 1) * m.size_each)})));
      }
    }
    this.attestations = new Map(); // slot -> [{topic, ssz}]
    for (const a of JSON.parse(fs.readFileSync(path.join(dir, "gossip-attestations.json")))) {
      if (!this.attestations.has(a.slot)) this.attestations.set(a.slot, []);
      this.attestations.get(a.slot).push({topic: a.topic, ssz: from0x(a.ssz)});
    }
    this.lastSlot = Math.max(...this.blocks.keys());
  }

  digestAtEpoch(epoch) {
    return this.digests.filter((d) => d.epoch <= epoch).at(-1);
  }

  digestAtSlot(slot) {
    return this.digestAtEpoch(Math.floor(slot / this.slotsPerEpoch));
  }

  head(slot) {
    for (let s = slot; s > 0; s--) if (this.blocks.has(s)) return this.blocks.get(s);
    return {slot: 0, root: Buffer.alloc(32)};
  }
}
