// Builds a valid signed chain deneb -> electra -> fulu with the npm state-transition library (no network) and re-verifies
// every block with full checks (state root, proposer, all BLS signatures). Blobs, blob sidecars and data columns are real KZG.
// usage: LODESTAR_PRESET=minimal node gen-chain.mjs OUTROOT NVAL EPOCHS_PER_FORK
import * as st from "@lodestar/state-transition"; import {ssz} from "@lodestar/types"; import * as P from "@lodestar/params";
import {createBeaconConfig, createChainForkConfig} from "@lodestar/config"; import {defaultChainConfig} from "@lodestar/config"; import * as presets from "@lodestar/config/configs";
import {PublicKey, SecretKey, Signature, aggregateSignatures} from "@chainsafe/blst"; import {Tree} from "@chainsafe/persistent-merkle-tree"; import {DasContextJs} from "@crate-crypto/node-eth-kzg";
import fs from "node:fs"; import path from "node:path"; import {createHash} from "node:crypto";
const [,, OUT, NV = "64", EPF = "2"] = process.argv; const N = +NV, SPE = P.SLOTS_PER_EPOCH, E = +EPF; const PRESET = P.ACTIVE_PRESET;
const sha = (b) => createHash("sha256").update(b).digest(); const hex = (b) => "0x" + Buffer.from(b).toString("hex");
let ctr = 0; const det = (n, tag) => { let o = Buffer.alloc(0); while (o.length < n) o = Buffer.concat([o, sha(Buffer.from(`${tag}/${ctr++}`))]); return o.subarray(0, n); };
const base = PRESET === "minimal" ? presets.minimalChainConfig : presets.mainnetChainConfig;
const chain = {...base, PRESET_BASE: PRESET, CONFIG_NAME: `corpus-${PRESET}`, SECONDS_PER_SLOT: 2, SLOT_DURATION_MS: 2000, ALTAIR_FORK_EPOCH: 0, BELLATRIX_FORK_EPOCH: 0, CAPELLA_FORK_EPOCH: 0, DENEB_FORK_EPOCH: 0, ELECTRA_FORK_EPOCH: E, FULU_FORK_EPOCH: 2 * E, GLOAS_FORK_EPOCH: Infinity,
  BLOB_SCHEDULE: [{EPOCH: 2 * E, MAX_BLOBS_PER_BLOCK: 9}, {EPOCH: 2 * E + 1, MAX_BLOBS_PER_BLOCK: 12}]};
const fc = createChainForkConfig(chain); const sks = Array.from({length: N}, (_, i) => st.interopSecretKey(i)); const pks = sks.map((s) => s.toPublicKey());
// genesis (deneb)
const GT = 1700000000; const hdr = ssz.deneb.ExecutionPayloadHeader.defaultViewDU(); hdr.blockHash = Buffer.alloc(32, 0x42); hdr.timestamp = GT; hdr.gasLimit = 3e7; hdr.baseFeePerGas = 10n ** 9n; hdr.prevRandao = Buffer.alloc(32, 0x42);
const deps = []; const rl = ssz.phase0.DepositDataRootList.defaultViewDU();
for (let i = 0; i < N; i++) { const pubkey = pks[i].toBytes(); const wc = Buffer.from(sha(pubkey)); wc[0] = 0; if (i % 3 === 1) { wc.fill(0); wc[0] = 1; wc.set(det(20, "wc"), 12); }
  const dm = {pubkey, withdrawalCredentials: wc, amount: 32e9 + (i % 3 === 1 ? 1e9 : 0)}; const dom = st.computeDomain(P.DOMAIN_DEPOSIT, fc.GENESIS_FORK_VERSION, Buffer.alloc(32)); const sr = st.computeSigningRoot(ssz.phase0.DepositMessage, dm, dom);
  const data = {...dm, signature: sks[i].sign(sr).toBytes()}; rl.push(ssz.phase0.DepositData.hashTreeRoot(data)); rl.commit(); const tree = new Tree(rl.node); deps.push({proof: [...tree.getSingleProof(ssz.phase0.DepositDataRootList.getPathInfo([i]).gindex)], data}); }
const g = st.initializeBeaconStateFromEth1(fc, st.createEmptyEpochCacheImmutableData(chain, {genesisValidatorsRoot: Buffer.alloc(32)}), Buffer.alloc(32, 0x42), GT, deps, undefined, hdr); g.genesisTime = GT; g.commit();
const raw = ssz.deneb.BeaconState.deserialize(g.serialize()); const gs = ssz.deneb.BeaconState.toViewDU(raw); const config = createBeaconConfig(chain, gs.genesisValidatorsRoot);
const pubkeyCache = st.createPubkeyCache(); st.syncPubkeys(pubkeyCache, gs.validators.getAllReadonlyValues());
let state = st.createCachedBeaconState(gs, {config, pubkeyCache});
const atts = []; const man = []; const put = (fork, name, buf, x) => { const d = path.join(OUT, PRESET, fork); fs.mkdirSync(d, {recursive: true}); fs.writeFileSync(path.join(d, name), buf); man.push({preset: PRESET, fork, ...x, file: `${PRESET}/${fork}/${name}`, size: buf.length, sha256: createHash("sha256").update(buf).digest("hex")}); };
if (PRESET === "minimal") put("deneb", "state_genesis_0.ssz", Buffer.from(gs.serialize()), {kind: "BeaconState", slot: 0, root: hex(gs.hashTreeRoot())});
const kzg = DasContextJs.create({usePrecomp: false}); const mkBlob = (s, i) => { const b = Buffer.alloc(131072); for (let k = 0; k < 4096; k += 7) det(31, "blob").copy(b, k * 32 + 1); b.writeUInt32BE(s * 100 + i, 28); return b; };
const sign = (i, type, obj, dt, slot) => sks[i].sign(st.computeSigningRoot(type, obj, state0.config.getDomain(state0.slot, dt, slot))).toBytes(); let state0;
let prevRoot, prevSlot; const LAST = 3 * E * SPE - 1; let nblob = 0, t0 = Date.now(); const ops = {att: 0, chg: 0};
var savedSc = {}, savedCol = 0; const changes = []; for (let i = 0; i < N; i += 3) changes.push(i);
for (let slot = 1; slot <= LAST; slot++) {
  if (slot % 11 === 7) continue; // skipped slots are part of the corpus
  const pre = st.processSlots(state.clone(), slot); state0 = pre; const fork = config.getForkName(slot), T = ssz[fork], ep = Math.floor(slot / SPE), prop = pre.epochCtx.getBeaconProposer(slot);
  const parentRoot = ssz.phase0.BeaconBlockHeader.hashTreeRoot(pre.latestBlockHeader);
  const body = T.BeaconBlockBody.defaultValue();
  body.randaoReveal = sign(prop, ssz.Epoch, ep, P.DOMAIN_RANDAO, slot); body.eth1Data = pre.eth1Data.toValue(); body.graffiti = Buffer.from(`corpus ${fork} ${slot}`.padEnd(32, "\0"));
  // attestations for the previous slot (committees of slot-1, voting for its head)
  const as = slot - 1; if (as > 0) { const aep = Math.floor(as / SPE); const n = pre.epochCtx.getCommitteeCountPerSlot(aep); const bRoot = as === prevSlot ? parentRoot : st.getBlockRootAtSlot(pre, as);
    const tgt = aep * SPE === slot ? parentRoot : st.getBlockRootAtSlot(pre, Math.max(aep * SPE, 0)); const cur = aep === ep ? pre.currentJustifiedCheckpoint : pre.previousJustifiedCheckpoint;
    const mk = (index) => ({slot: as, index, beaconBlockRoot: bRoot, source: cur.toValue(), target: {epoch: aep, root: aep * SPE === as && as === prevSlot ? bRoot : tgt}});
    const post = P.ForkSeq[config.getForkName(as)] >= P.ForkSeq.electra, blkE = P.ForkSeq[fork] >= P.ForkSeq.electra; const sgs = (vs, data) => [...vs].map((v) => Signature.fromBytes(sign(v, ssz.phase0.AttestationData, data, P.DOMAIN_BEACON_ATTESTER, as)));
    if (blkE) { const data = mk(0); let all = [], bits = [], cbits = new Array(P.MAX_COMMITTEES_PER_SLOT).fill(false); for (let c = 0; c < n; c++) { const vs = pre.epochCtx.getBeaconCommittee(as, c); all.push(...sgs(vs, data)); bits.push(...Array.from(vs, () => true)); cbits[c] = true; }
      body.attestations.push(ssz.electra.Attestation.fromJson({aggregation_bits: bitsHex(bits, true), data: ssz.phase0.AttestationData.toJson(data), signature: hex(aggregateSignatures(all).toBytes()), committee_bits: bitsHex(cbits, false)})); }
    else for (let c = 0; c < n; c++) { const vs = pre.epochCtx.getBeaconCommittee(as, c), data = mk(c); body.attestations.push(ssz.phase0.Attestation.fromJson({aggregation_bits: bitsHex(Array.from(vs, () => true), true), data: ssz.phase0.AttestationData.toJson(data), signature: hex(aggregateSignatures(sgs(vs, data)).toBytes())})); }

    const forkA = config.getForkName(as), TA = ssz[forkA], cps = n;
    for (let c = 0; c < n; c++) { const vs = [...pre.epochCtx.getBeaconCommittee(as, c)]; const data = mk(post ? 0 : c); const subnet = (cps * (as % SPE) + c) % 64;
      const sig = (v) => sign(v, ssz.phase0.AttestationData, data, P.DOMAIN_BEACON_ATTESTER, as); const v0 = vs[as % vs.length];
      let single; if (post) single = ssz.electra.SingleAttestation.serialize({committeeIndex: c, attesterIndex: v0, data, signature: sig(v0)});
      else single = ssz.phase0.Attestation.serialize(ssz.phase0.Attestation.fromJson({aggregation_bits: bitsHex(vs.map((v) => v === v0), true), data: ssz.phase0.AttestationData.toJson(data), signature: hex(sig(v0))}));
      const agg = aggregateSignatures(vs.map((v) => Signature.fromBytes(sig(v)))).toBytes(); const cb = new Array(P.MAX_COMMITTEES_PER_SLOT).fill(false); cb[c] = true;
      const aj = {aggregation_bits: bitsHex(vs.map(() => true), true), data: ssz.phase0.AttestationData.toJson(data), signature: hex(agg), ...(post ? {committee_bits: bitsHex(cb, false)} : {})};
      const AT = post ? ssz.electra : ssz.phase0; const ap = {aggregatorIndex: vs[0], aggregate: AT.Attestation.fromJson(aj), selectionProof: sign(vs[0], ssz.Slot, as, P.DOMAIN_SELECTION_PROOF, as)};
      const sap = AT.SignedAggregateAndProof.serialize({message: ap, signature: sign(vs[0], AT.AggregateAndProof, ap, P.DOMAIN_AGGREGATE_AND_PROOF, as)});
      atts.push({slot: as, fork: forkA, topic: `beacon_attestation_${subnet}`, ssz: hex(single)}, {slot: as, fork: forkA, topic: "beacon_aggregate_and_proof", ssz: hex(sap)}); }
    ops.att += body.attestations.length; }
  // sync aggregate over the parent root (one committee seat in 8 left out)
  const scc = pre.epochCtx.currentSyncCommitteeIndexed.validatorIndices, sbits = Array.from(scc, (_, i) => i % 8 !== slot % 8); const psl = Math.max(slot, 1) - 1; const sroot = st.computeSigningRoot(ssz.Root, parentRoot, config.getDomain(pre.slot, P.DOMAIN_SYNC_COMMITTEE, psl)); const cacheS = new Map();
  const ss = [...scc].filter((_, i) => sbits[i]).map((v) => { if (!cacheS.has(v)) cacheS.set(v, sks[v].sign(sroot)); return cacheS.get(v); });
  body.syncAggregate = ssz.altair.SyncAggregate.fromJson({sync_committee_bits: bitsHex(sbits, false), sync_committee_signature: hex(aggregateSignatures(ss).toBytes())});
  if (slot % 5 === 0 && changes.length) { const i = changes.shift(); const m = {validatorIndex: i, fromBlsPubkey: pks[i].toBytes(), toExecutionAddress: det(20, "addr")}; const d = st.computeDomain(P.DOMAIN_BLS_TO_EXECUTION_CHANGE, config.GENESIS_FORK_VERSION, pre.genesisValidatorsRoot); body.blsToExecutionChanges.push({message: m, signature: sks[i].sign(st.computeSigningRoot(ssz.capella.BLSToExecutionChange, m, d)).toBytes()}); ops.chg++; }
  const blobs = []; if (slot % 6 === 1 && nblob < 1000) for (let i = 0; i < 1 + (Math.floor(slot / 6) % 2); i++) blobs.push(mkBlob(slot, i)); const comms = blobs.map((b) => kzg.blobToKzgCommitment(b)); nblob += blobs.length; body.blobKzgCommitments = comms;
  const ph = pre.latestExecutionPayloadHeader; const p = T.ExecutionPayload.defaultValue(); Object.assign(p, {parentHash: ph.blockHash, feeRecipient: Buffer.alloc(20, 0xee), stateRoot: det(32, "s"), receiptsRoot: det(32, "r"), prevRandao: st.getRandaoMix(pre, ep), blockNumber: ph.blockNumber + 1, gasLimit: 3e7, gasUsed: 1.5e7, timestamp: GT + slot * 2, extraData: Buffer.from("corpus"), baseFeePerGas: 10n ** 9n + BigInt(slot), blockHash: det(32, "b"), transactions: Array.from({length: slot % 4}, () => { const t = Buffer.from(det(100 + 13 * slot % 90, "tx")); t[0] = 2; return t; }), withdrawals: st.getExpectedWithdrawals(P.ForkSeq[fork], pre).expectedWithdrawals, blobGasUsed: BigInt(131072 * blobs.length), excessBlobGas: 0n});
  body.executionPayload = p;
  if (P.ForkSeq[fork] >= P.ForkSeq.electra && slot % 9 === 3) { body.executionRequests.deposits.push({pubkey: pks[3].toBytes(), withdrawalCredentials: Buffer.concat([Buffer.from([1]), Buffer.alloc(31, 7)]), amount: 1e9, signature: det(96, "sig"), index: BigInt(slot)}); body.executionRequests.withdrawals.push({sourceAddress: det(20, "src"), validatorPubkey: pks[4].toBytes(), amount: 1000000000n}); body.executionRequests.consolidations.push({sourceAddress: det(20, "src"), sourcePubkey: pks[5].toBytes(), targetPubkey: pks[6].toBytes()}); }
  const block = {slot, proposerIndex: prop, parentRoot, stateRoot: Buffer.alloc(32), body}; const ext = {executionPayloadStatus: st.ExecutionPayloadStatus.valid, dataAvailabilityStatus: st.DataAvailabilityStatus.Available};
  const tmp = st.stateTransition(state, {message: block, signature: Buffer.alloc(96)}, {...ext, verifyStateRoot: false, verifyProposer: false, verifySignatures: false, dontTransferCache: true}); block.stateRoot = tmp.hashTreeRoot();
  const signed = {message: block, signature: sign(prop, T.BeaconBlock, block, P.DOMAIN_BEACON_PROPOSER, slot)};
  state = st.stateTransition(state, signed, {...ext, verifyStateRoot: true, verifyProposer: true, verifySignatures: true});
  const root = T.BeaconBlock.hashTreeRoot(block); prevRoot = root; prevSlot = slot; const bodyRoot = T.BeaconBlockBody.hashTreeRoot(body);
  put(fork, `signed_block_${slot}.ssz`, Buffer.from(T.SignedBeaconBlock.serialize(signed)), {kind: "SignedBeaconBlock", slot, root: hex(root), body_root: hex(bodyRoot), state_root: hex(block.stateRoot), blobs: blobs.length});
  if (blobs.length) { const sh = {message: {slot, proposerIndex: prop, parentRoot, stateRoot: block.stateRoot, bodyRoot}, signature: signed.signature}; const tree = new Tree(T.BeaconBlockBody.toView(body).node); const gi = T.BeaconBlockBody.getPathInfo(["blobKzgCommitments"]).gindex;
    const branch = (leaf, gidx, proof) => { let h = leaf, i = gidx; for (const s of proof) { h = i & 1n ? sha(Buffer.concat([s, h])) : sha(Buffer.concat([h, s])); i >>= 1n; } return h; };
    if (fork !== "fulu") { if (savedSc[fork] = (savedSc[fork] ?? 0) + 1, savedSc[fork] <= 2) blobs.forEach((b, i) => { if (i > 0 && savedSc[fork] > 1) return; const gidx = T.BeaconBlockBody.getPathInfo(["blobKzgCommitments", i]).gindex, pr = tree.getSingleProof(gidx); const leaf = ssz.deneb.KZGCommitment.hashTreeRoot(comms[i]); if (hex(branch(leaf, gidx, pr)) !== hex(bodyRoot)) throw Error("blob proof");
        const sc = {index: i, blob: b, kzgCommitment: comms[i], kzgProof: kzg.computeBlobKzgProof(b, comms[i]), signedBlockHeader: sh, kzgCommitmentInclusionProof: pr}; put(fork, `blob_sidecar_${slot}_${i}.ssz`, Buffer.from(ssz.deneb.BlobSidecar.serialize(sc)), {kind: "BlobSidecar", slot, index: i, block_root: hex(root), root: hex(ssz.deneb.BlobSidecar.hashTreeRoot(sc))}); }); }
    else { const pr = tree.getSingleProof(gi); if (hex(branch(ssz.deneb.BlobKzgCommitments.hashTreeRoot(comms), gi, pr)) !== hex(bodyRoot)) throw Error("col proof"); const cps = blobs.map((b) => kzg.computeCellsAndKzgProofs(b)); savedCol++;
      for (let c = 0; c < 128; c++) { const dc = {index: c, column: cps.map((x) => x.cells[c]), kzgCommitments: comms, kzgProofs: cps.map((x) => x.proofs[c]), signedBlockHeader: sh, kzgCommitmentsInclusionProof: pr}; if (!kzg.verifyCellKzgProofBatch(comms, comms.map(() => c), dc.column, dc.kzgProofs)) throw Error("cell proof"); put(fork, `data_column_sidecar_${slot}_${c}.ssz`, Buffer.from(ssz.fulu.DataColumnSidecar.serialize(dc)), {kind: "DataColumnSidecar", slot, index: c, block_root: hex(root), root: hex(ssz.fulu.DataColumnSidecar.hashTreeRoot(dc))}); } } }
  if ((PRESET === "minimal" && (slot + 2) % (E * SPE) === 0) || slot === LAST) put(fork, `state_${slot}.ssz`, Buffer.from(state.serialize()), {kind: "BeaconState", slot, root: hex(block.stateRoot)});
}
function bitsHex(bits, list) { const n = list ? bits.length + 1 : bits.length, b = Buffer.alloc(Math.ceil(n / 8)); bits.forEach((x, i) => x && (b[i >> 3] |= 1 << (i & 7))); if (list) b[bits.length >> 3] |= 1 << (bits.length & 7); return hex(b); }

console.log({ops, nblob, secs: (Date.now() - t0) / 1000, finalized: state.finalizedCheckpoint.epoch, justified: state.currentJustifiedCheckpoint.epoch, slot: state.slot});
const fd = {}; for (const e of [0, E, 2 * E, 2 * E + 1]) fd[e] = {fork: config.getForkName(e * SPE), digest: hex(config.forkBoundary2ForkDigest ? config.forkBoundary2ForkDigest(config.getForkBoundaryAtEpoch(e)) : config.forkName2ForkDigest(config.getForkName(e * SPE)))};
fs.writeFileSync(path.join(OUT, PRESET, "chain-generated-deneb+electra+fulu.json"), JSON.stringify({generator: "@lodestar/state-transition 1.41.0 (npm), gen-chain.mjs", genesis_time: GT, genesis_validators_root: hex(gs.genesisValidatorsRoot), fork_digests_by_epoch: fd, config: JSON.parse(JSON.stringify(chain, (k, v) => v === Infinity ? "18446744073709551615" : typeof v === "bigint" ? v.toString() : v instanceof Uint8Array ? hex(v) : v))}, (k, v) => (v && v.type === "Buffer" ? hex(Buffer.from(v.data)) : v), 1));
const mf = path.join(OUT, "manifest.json"); let old = fs.existsSync(mf) ? JSON.parse(fs.readFileSync(mf)) : []; const nf = new Set(man.map((m) => m.file)); old = old.filter((m) => !nf.has(m.file)); fs.writeFileSync(mf, JSON.stringify([...old, ...man], null, 1)); console.log("files", man.length, "bytes", man.reduce((a, m) => a + m.size, 0));

fs.writeFileSync(path.join(OUT, "gossip-attestations.json"), JSON.stringify(atts, null, 0).replaceAll("},{", "},\n{"));console.log(atts.length);