// One object, decoded and hashed by @chainsafe/ssz with @lodestar/types:
//     node bench.mjs KIND FILE MILLISECONDS HASHER
// HASHER: hashtree (native, batches) or as-sha256 (WebAssembly SIMD). Each object goes through the
// two ways the library has, plain values and tree views; the faster one is printed:
// "ROOT DECODE+ROOT ROOT".
import { readFileSync } from "node:fs";
import { setHasher } from "@chainsafe/persistent-merkle-tree";
const [kind, file, msText, which] = process.argv.slice(2);
const { hasher } = await import(`@chainsafe/persistent-merkle-tree/hasher/${which}`);
if (hasher.initialize) await hasher.initialize();
setHasher(hasher);
const { ssz } = await import("@lodestar/types");
const { ListCompositeType } = await import("@chainsafe/ssz");

const type = {
  block: () => ssz.electra.SignedBeaconBlock,
  column: () => ssz.fulu.DataColumnSidecar,
  attestations: () => new ListCompositeType(ssz.electra.Attestation, 16384),
  state: () => ssz.electra.BeaconState,
}[kind]();
const bytes = new Uint8Array(readFileSync(file));
const ms = Number(msText);

function cpu() {
  const u = process.cpuUsage();
  return (u.user + u.system) * 1000;
}

// The smaller of wall and CPU time.
function perRun(f) {
  const start = Number(process.hrtime.bigint());
  const startCpu = cpu();
  for (let n = 1; ; n++) {
    const r = f();
    const t = Number(process.hrtime.bigint()) - start;
    if (t >= ms * 1e6) return [Buffer.from(r).toString("hex"), Math.round(Math.min(t, cpu() - startCpu) / n)];
  }
}

const value = type.deserialize(bytes);
const plain = [
  perRun(() => type.hashTreeRoot(type.deserialize(bytes))),
  perRun(() => type.hashTreeRoot(value)),
];
const views = perRun(() => type.deserializeToViewDU(bytes).hashTreeRoot());
if (plain[0][0] !== views[0]) throw Error("roots differ");
console.log(views[0], Math.min(plain[0][1], views[1]), Math.min(plain[1][1], views[1]));
