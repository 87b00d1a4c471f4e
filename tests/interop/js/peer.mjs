// A peer on js-libp2p 3 (yamux, gossipsub 1.2) for the corpus chain. It holds the chain or nothing, by the config.
//
// usage: node peer.mjs CONFIG.json
//   chain     folder of the corpus (tests/vectors/corpus)
//   offset_ms what is added to the machine's clock to be in the chain's time
//   holds     true: serves the chain up to its clock's slot, and gossips each slot's objects as the slot comes
//   columns   column subnets to subscribe to ([] for none)
//   lies      true: of the first column that it gives by range, the proof is wrong
// Lines in:  {"cmd":"dial","to":MULTIADDR} {"cmd":"status"} {"cmd":"blocks_by_range","start":1,"count":9}
//            {"cmd":"blocks_by_root","roots":[HEX]} {"cmd":"columns_by_range",...} {"cmd":"stop"}
// Lines out: one JSON object each, "ev" names it.
import fs from "node:fs";
import readline from "node:readline";
import {Chain} from "./chain.mjs";
import {decodeChunks, decodeRequest, encodeChunk, encodeError, encodeRequest, hex, messageId, sha256, u64} from "./wire.mjs";

const config = JSON.parse(fs.readFileSync(process.argv[2]));
const chain = new Chain(config.chain);
const say = (ev, more = {}) => process.stdout.write(JSON.stringify({ev, t: Date.now(), ...more}) + "\n");

const {createLibp2p} = await import("libp2p");
const {tcp} = await import("@libp2p/tcp");
const {yamux} = await import("@libp2p/yamux");
const {noise} = await import("@chainsafe/libp2p-noise");
const {identify} = await import("@libp2p/identify");
const {gossipsub} = await import("@libp2p/gossipsub");
const {generateKeyPair} = await import("@libp2p/crypto/keys");
const {multiaddr} = await import("@multiformats/multiaddr");
const snappy = (await import("snappyjs")).default;

const nowMs = () => Date.now() + config.offset_ms;
const slotNow = () => Math.max(0, Math.floor((nowMs() - chain.genesis * 1000) / (chain.secondsPerSlot * 1000)));

const node = await createLibp2p({
  privateKey: await generateKeyPair("secp256k1"), // as every consensus client has it
  addresses: {listen: ["/ip4/127.0.0.1/tcp/0"]},
  connectionManager: {inboundConnectionThreshold: 1000}, // not five a second: tests dial often
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify({agentVersion: "corpus-peer/1"}),
    pubsub: gossipsub({
      globalSignaturePolicy: "StrictNoSign", allowPublishToZeroTopicPeers: true, D: 8, Dlo: 6, Dhi: 12,
      msgIdFn: (m) => messageId(m.topic, m.data),
    }),
  },
});
const pubsub = node.services.pubsub;
let lies = config.lies;
let peer = null; // the connection that requests go over

// ---- req/resp ----
const PREFIX = "/eth2/beacon_chain/req/";
// All bytes until the other side's end. (The stream's own iterator of libp2p 3.3.11 never ends, or loses bytes, when data and end
// were there before it was asked for, as they are when a request comes with the protocol's proposal in one packet.)
const readAll = (stream) => new Promise((resolve, reject) => {
  const parts = [];
  const done = () => resolve(Buffer.concat(parts));
  stream.addEventListener("message", (e) => parts.push(Buffer.from(e.data.subarray())));
  stream.addEventListener("end", done);
  stream.addEventListener("close", (e) => (e.error ? reject(e.error) : done()));
  if (stream.remoteWriteStatus === "closed" && stream.readBufferLength === 0) done();
});

function handle(name, version, answer) {
  return node.handle(`${PREFIX}${name}/${version}/ssz_snappy`, async (incoming) => {
    const stream = incoming.stream ?? incoming;
    try {
      const request = decodeRequest(await readAll(stream));
      const chunks = answer(request);
      for (const chunk of chunks) stream.send(chunk);
      await stream.close();
      say("served", {name, version, request: hex(request), chunks: chunks.length});
    } catch (error) {
      say("serve_failed", {name, version, error: error.message});
    }
  });
}

const visible = () => (config.holds ? slotNow() : 0);

function status(version) {
  const head = chain.head(visible());
  const digest = chain.digestAtSlot(slotNow()).digest;
  const parts = [digest, Buffer.alloc(32), u64(0), head.root, u64(head.slot)];
  return Buffer.concat(version >= 2 ? [...parts, u64(0)] : parts); // earliest_available_slot: genesis
}

const contextOf = (slot) => chain.digestAtSlot(slot).digest;
const blockChunk = (b) => encodeChunk(b.ssz, contextOf(b.slot));
const inRange = (request) => {
  const start = Number(request.readBigUInt64LE(0));
  const count = Number(request.readBigUInt64LE(8));
  return (slot) => slot >= start && slot < start + count && slot <= visible();
};

const INCLUSION_PROOF_AT = 8 + 3 * 4 + 208; // in a DataColumnSidecar: index, three offsets, SignedBeaconBlockHeader
const noAttnets = Buffer.alloc(9); // 64 attestation subnets and 4 sync committee subnets, none
for (const v of [1, 2]) await handle("status", v, () => [encodeChunk(status(v))]);
await handle("ping", 1, () => [encodeChunk(u64(1))]);
await handle("goodbye", 1, (request) => (say("goodbye", {reason: hex(request)}), []));
await handle("metadata", 2, () => [encodeChunk(Buffer.concat([u64(1), noAttnets]))]);
await handle("metadata", 3, () => [encodeChunk(Buffer.concat([u64(1), noAttnets, u64(128)]))]);
await handle("beacon_blocks_by_range", 2, (request) => {
  const wanted = inRange(request);
  return [...chain.blocks.values()].filter((b) => wanted(b.slot)).sort((a, b) => a.slot - b.slot).map(blockChunk);
});
await handle("beacon_blocks_by_root", 2, (request) => {
  const roots = [];
  for (let i = 0; i + 32 <= request.length; i += 32) roots.push(hex(request.subarray(i, i + 32)));
  return [...chain.blocks.values()].filter((b) => b.slot <= visible() && roots.includes(hex(b.root))).map(blockChunk);
});
await handle("blob_sidecars_by_root", 1, (request) => {
  const wanted = [];
  for (let i = 0; i + 40 <= request.length; i += 40) wanted.push(hex(request.subarray(i, i + 40)));
  return chain.blobs.filter((b) => b.slot <= visible() && wanted.includes(hex(Buffer.concat([b.block, u64(b.index)]))))
    .map((b) => encodeChunk(b.ssz, contextOf(b.slot)));
});
await handle("data_column_sidecars_by_range", 1, (request) => {
  const wanted = inRange(request);
  const offset = request.readUInt32LE(16);
  if (offset !== 20) return [encodeError(1, "bad offset")];
  const columns = [];
  for (let i = offset; i + 8 <= request.length; i += 8) columns.push(Number(request.readBigUInt64LE(i)));
  const found = [...chain.columns.entries()].filter(([slot]) => wanted(slot))
    .flatMap(([slot, all]) => columns.map((c) => ({slot, ssz: Buffer.from(all[c].ssz)})));
  if (lies && found.length) {
    found[0].ssz[INCLUSION_PROOF_AT] ^= 1;
    lies = false;
  }
  return found.map((c) => encodeChunk(c.ssz, contextOf(c.slot)));
});

async function ask(name, version, body, withContext) {
  const stream = await peer.newStream(`${PREFIX}${name}/${version}/ssz_snappy`);
  if (body) stream.send(encodeRequest(body));
  const answer = readAll(stream);
  await stream.close();
  return decodeChunks(await answer, withContext);
}

// ---- gossip ----
const topicName = (digest, name) => `/eth2/${hex(digest)}/${name}/ssz_snappy`;
const names = ["beacon_block", "beacon_aggregate_and_proof"];
for (let i = 0; i < 64; i++) names.push(`beacon_attestation_${i}`);
const columnNames = (config.columns ?? []).map((i) => `data_column_sidecar_${i}`);
const subscribed = new Set();

// Topics of the digest in force, and an epoch before a boundary those of the next.
function subscribeForSlot(slot) {
  const epoch = Math.floor(slot / chain.slotsPerEpoch);
  for (const d of [chain.digestAtEpoch(epoch), chain.digestAtEpoch(epoch + 1)]) {
    const all = d.fork === "fulu" ? [...names, ...columnNames] : names;
    for (const name of all) {
      const topic = topicName(d.digest, name);
      if (!subscribed.has(topic)) {
        subscribed.add(topic);
        pubsub.subscribe(topic);
      }
    }
  }
}

const payloads = new Map(); // sha256 of the SSZ -> what it is, for telling what came
for (const b of chain.blocks.values()) payloads.set(hex(sha256(b.ssz)), {kind: "block", slot: b.slot});
for (const [slot, all] of chain.columns) for (const c of all) payloads.set(hex(sha256(c.ssz)), {kind: "column", slot, index: c.index});
for (const [slot, all] of chain.attestations) {
  for (const a of all) payloads.set(hex(sha256(a.ssz)), {kind: a.topic.startsWith("beacon_agg") ? "aggregate" : "attestation", slot});
}

pubsub.addEventListener("gossipsub:message", (event) => {
  const {propagationSource, msg} = event.detail;
  const ssz = Buffer.from(snappy.uncompress(Buffer.from(msg.data)));
  const what = payloads.get(hex(sha256(ssz))) ?? {kind: "unknown"};
  const digest = msg.topic.split("/")[2];
  say("gossip", {topic: msg.topic, from: propagationSource.toString(), right_digest: what.slot !== undefined && digest === hex(contextOf(what.slot)), ...what});
});
const theirTopics = new Set();
pubsub.addEventListener("subscription-change", (event) => {
  for (const s of event.detail.subscriptions) {
    if (s.subscribe) theirTopics.add(s.topic);
    else theirTopics.delete(s.topic);
  }
  say("subscriptions", {slot: slotNow(), topics: [...theirTopics]});
});

async function publish(kind, slot, name, ssz) {
  const topic = topicName(contextOf(slot), name);
  const result = await pubsub.publish(topic, Buffer.from(snappy.compress(ssz)));
  say("published", {kind, slot, name, recipients: result.recipients.length});
}

async function publishSlot(slot) {
  const block = chain.blocks.get(slot);
  if (block) await publish("block", slot, "beacon_block", block.ssz);
  for (const c of chain.columns.get(slot) ?? []) {
    if (theirTopics.has(topicName(contextOf(slot), `data_column_sidecar_${c.index}`))) {
      await publish("column", slot, `data_column_sidecar_${c.index}`, c.ssz);
    }
  }
}

async function publishAttestations(slot) {
  for (const a of chain.attestations.get(slot) ?? []) {
    await publish(a.topic.startsWith("beacon_agg") ? "aggregate" : "attestation", slot, a.topic, a.ssz);
  }
}

// ---- the clock ----
const later = (ms, work) => setTimeout(() => Promise.resolve(work()).catch((error) => say("failed", {error: error.message})), ms);
const msToSlot = (slot, part = 0) => (chain.genesis + (slot + part) * chain.secondsPerSlot) * 1000 - nowMs();

function onSlot(slot) {
  subscribeForSlot(slot);
  say("slot", {slot, mesh: pubsub.getMeshPeers?.(topicName(contextOf(slot), "beacon_block"))?.length ?? null,
    score: peer && pubsub.getScore ? pubsub.getScore(peer.remotePeer.toString()) : null});
  if (config.holds && slot <= chain.lastSlot) {
    later(Math.max(0, msToSlot(slot, 0.1)), () => publishSlot(slot));
    later(Math.max(0, msToSlot(slot, 0.5)), () => publishAttestations(slot));
  }
  later(Math.max(1, msToSlot(slot + 1)), () => onSlot(slot + 1));
}

// ---- commands ----
const showChunks = (name, chunks) => say("answer", {name, chunks: chunks.map((c) => ({
  code: c.code, context: c.context, size: c.data.length, sha256: hex(sha256(c.data)), text: c.code ? c.data.toString() : undefined,
  data: c.data.length <= 128 ? hex(c.data) : undefined}))});

const commands = {
  async dial(c) {
    peer = await node.dial(multiaddr(c.to));
    say("dialled", {muxer: peer.multiplexer, encryption: peer.encryption, peer: peer.remotePeer.toString()});
  },
  async status() { showChunks("status", await ask("status", 2, status(2), false)); },
  async metadata() { showChunks("metadata", await ask("metadata", 3, null, false)); },
  async ping() { showChunks("ping", await ask("ping", 1, u64(1), false)); },
  async blocks_by_range(c) {
    showChunks("blocks_by_range", await ask("beacon_blocks_by_range", 2, Buffer.concat([u64(c.start), u64(c.count), u64(1)]), true));
  },
  async blocks_by_root(c) {
    showChunks("blocks_by_root", await ask("beacon_blocks_by_root", 2, Buffer.from(c.roots.join(""), "hex"), true));
  },
  async columns_by_range(c) {
    const offset = Buffer.alloc(4);
    offset.writeUInt32LE(20);
    const body = Buffer.concat([u64(c.start), u64(c.count), offset, ...c.columns.map(u64)]);
    showChunks("columns_by_range", await ask("data_column_sidecars_by_range", 1, body, true));
  },
  async protocols() {
    const known = await node.peerStore.get(peer.remotePeer);
    say("protocols", {protocols: known.protocols, agent: Buffer.from(known.metadata.get("AgentVersion") ?? []).toString()});
  },
  async stop() {
    await node.stop();
    process.exit(0);
  },
};
node.addEventListener("connection:open", (e) => {
  if (e.detail.direction === "inbound") peer = e.detail;
  say("connected", {peer: e.detail.remotePeer.toString(), direction: e.detail.direction, muxer: e.detail.multiplexer});
});
node.addEventListener("connection:close", (e) => say("disconnected", {peer: e.detail.remotePeer.toString()}));
readline.createInterface({input: process.stdin}).on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.cmd](command).catch((error) => say("command_failed", {cmd: command.cmd, error: error.message}));
});
say("listening", {addr: node.getMultiaddrs()[0].toString(), peer: node.peerId.toString(), slot: slotNow()});
onSlot(slotNow());
