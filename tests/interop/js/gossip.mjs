// Gossipsub of js-libp2p, with the lines of tests/interop/rust/src/gossip.rs, so that one script drives both.
//
// usage: node gossip.mjs [--signed] [--v10|--v11|--v12] [--lurk] [--heartbeat MS] [--quiet] [--eth]
// It is copied beside the node_modules of tests/interop/js, which is where Node looks for packages.
import readline from "node:readline";
import {encodeChunk, hex, sha256, u64} from "./wire.mjs";

const args = process.argv.slice(2);
const has = (name) => args.includes(name);
const option = (name, otherwise) => (has(name) ? args[args.indexOf(name) + 1] : otherwise);
const say = (ev, more = {}) => process.stdout.write(JSON.stringify({ev, ...more}) + "\n");

const {createLibp2p} = await import("libp2p");
const {tcp} = await import("@libp2p/tcp");
const {yamux} = await import("@libp2p/yamux");
const {noise} = await import("@chainsafe/libp2p-noise");
const {identify} = await import("@libp2p/identify");
const {gossipsub} = await import("@libp2p/gossipsub");
const {generateKeyPair} = await import("@libp2p/crypto/keys");
const {multiaddr} = await import("@multiformats/multiaddr");
const snappy = (await import("snappy")).default; // the native one, as Lodestar has it

const signed = has("--signed");
const quiet = has("--quiet");
const lurk = has("--lurk");

// libp2p counts into whatever register it is given: this one only keeps sums, by name and labels.
const counters = {};
const metric = (kind) => ({name}) => {
  const key = (labels) => (labels && Object.keys(labels).length ? `${name}{${Object.values(labels)}}` : name);
  const add = (a, b) => {
    const [labels, n] = typeof a === "object" ? [a, b ?? 1] : [null, a ?? 1];
    counters[key(labels)] = (counters[key(labels)] ?? 0) + n;
  };
  const set = (a, b) => (typeof a === "object" ? (counters[key(a)] = b) : (counters[name] = a));
  const none = () => {};
  return {inc: add, set, observe: none, startTimer: () => none, addCollect: none, reset: none, kind};
};
const register = {gauge: metric("gauge"), histogram: metric("histogram"), avgMinMax: metric("avgMinMax")};

const versions = ["/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"];
const at = has("--v10") ? 2 : has("--v11") ? 1 : 0;

// The transform opens each message once; its id is of the opened data.
const dataTransform = {
  inboundTransform: (topic, data) => snappy.uncompressSync(Buffer.from(data)),
  outboundTransform: (topic, data) => snappy.compressSync(Buffer.from(data)),
};
const eth2Id = (m) => {
  const topic = Buffer.from(m.topic);
  return sha256(Buffer.concat([Buffer.from([1, 0, 0, 0]), u64(topic.length), topic, m.data])).subarray(0, 20);
};

// As Go's and everybody's: the author's id and its number. (js-libp2p's own takes the key without the id's head.)
const signedId = (m) => {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(m.sequenceNumber);
  return Buffer.concat([m.from.toMultihash().bytes, number]);
};

const node = await createLibp2p({
  start: false,
  privateKey: await generateKeyPair("secp256k1"),
  addresses: {listen: ["/ip4/127.0.0.1/tcp/0"]},
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionMonitor: {abortConnectionOnPingFailure: false}, // it gives up rust-libp2p's connections after ten seconds
  connectionManager: {maxConnections: 500, inboundConnectionThreshold: 1000, maxIncomingPendingConnections: 500},
  services: {
    identify: identify({agentVersion: "gossip-js/1"}),
    pubsub: gossipsub({
      globalSignaturePolicy: signed ? "StrictSign" : "StrictNoSign",
      fallbackToFloodsub: false,
      ...(signed ? {msgIdFn: signedId} : {msgIdFn: eth2Id, dataTransform}),
      allowPublishToZeroTopicPeers: true,
      floodPublish: false,
      heartbeatInterval: Number(option("--heartbeat", 700)),
      mcacheLength: 6,
      mcacheGossip: 3,
      maxInboundDataLength: 12 << 20,
      maxOutboundBufferSize: 64 << 20,
      idontwantMinDataSize: 1000,
      ...(lurk ? {D: 0, Dlo: 0, Dhi: 0, Dout: 0, Dscore: 0} : {D: 8, Dlo: 6, Dhi: 12}),
      scoreParams: {IPColocationFactorWeight: 0},
      metricsRegister: register,
      metricsTopicStrToLabel: new Map(),
    }),
  },
});
const pubsub = node.services.pubsub;
pubsub.protocols = versions.slice(at); // its option of that name is not read
await node.start();

if (has("--eth")) {
  const readAll = (stream) => new Promise((resolve, reject) => {
    const parts = [];
    const done = () => resolve(Buffer.concat(parts));
    stream.addEventListener("message", (e) => parts.push(Buffer.from(e.data.subarray())));
    stream.addEventListener("end", done);
    stream.addEventListener("close", (e) => (e.error ? reject(e.error) : done()));
    if (stream.remoteWriteStatus === "closed" && stream.readBufferLength === 0) done();
  });
  const serve = (name, version, answer) => node.handle(`/eth2/beacon_chain/req/${name}/${version}/ssz_snappy`, async (incoming) => {
    const stream = incoming.stream ?? incoming;
    try {
      stream.send(answer(await readAll(stream)));
      await stream.close();
    } catch (error) {
      say("serve_failed", {name, why: error.message});
    }
  });
  const echo = (request) => Buffer.concat([Buffer.from([0]), request]);
  await serve("status", 1, echo);
  await serve("status", 2, echo);
  await serve("ping", 1, echo);
  await serve("metadata", 2, () => encodeChunk(Buffer.alloc(17)));
  await serve("metadata", 3, () => encodeChunk(Buffer.alloc(25)));
}

function payload(n, size) {
  const data = Buffer.alloc(Math.max(8, size));
  const mask = (1n << 64n) - 1n;
  let x = ((BigInt(n) * 0x9e3779b97f4a7c15n) & mask) | 1n;
  data.writeBigUInt64LE(BigInt(n));
  for (let i = 8; i < data.length; i++) {
    if (i % 8 === 0) {
      x ^= (x << 13n) & mask;
      x ^= x >> 7n;
      x ^= (x << 17n) & mask;
    }
    data[i] = Number((x >> BigInt((i % 8) * 8)) & 255n);
  }
  return data;
}

function stats() {
  const peers = {};
  for (const [id, streams] of pubsub.streamsOutbound ?? new Map()) {
    const mesh = [...pubsub.mesh.values()].filter((m) => m.has(id)).length;
    peers[id] = {protocol: streams.protocol ?? "", score: pubsub.score.score(id), mesh};
  }
  say("stats", {counters, peers});
}

pubsub.addEventListener("gossipsub:message", ({detail}) => {
  if (quiet) return;
  const {msg, msgId} = detail;
  const data = Buffer.from(msg.data);
  const n = data.length >= 8 ? Number(data.readBigUInt64LE()) : 0;
  say("msg", {topic: msg.topic, id: signed ? hex(sha256(Buffer.from(msgId, "base64")).subarray(0, 20)) : hex(eth2Id(msg)), n, size: data.length});
});
pubsub.addEventListener("subscription-change", ({detail}) => {
  for (const s of detail.subscriptions) if (s.subscribe) say("subscribed", {peer: detail.peerId.toString(), topic: s.topic});
});
node.addEventListener("connection:open", ({detail: c}) =>
  say("connected", {peer: c.remotePeer.toString(), outbound: c.direction === "outbound"}));
node.addEventListener("connection:close", ({detail: c}) => say("disconnected", {peer: c.remotePeer.toString()}));

const commands = {
  dial: (to) => node.dial(multiaddr(to)),
  subscribe: (topic) => {
    pubsub.score.params.topics[topic] = {topicWeight: 0.5, timeInMeshWeight: 0.03, timeInMeshQuantum: 1000, timeInMeshCap: 300,
      firstMessageDeliveriesWeight: 1, firstMessageDeliveriesDecay: 0.9, firstMessageDeliveriesCap: 20,
      meshMessageDeliveriesWeight: 0, meshMessageDeliveriesDecay: 0.9, meshMessageDeliveriesCap: 10,
      meshMessageDeliveriesThreshold: 1, meshMessageDeliveriesWindow: 10, meshMessageDeliveriesActivation: 60_000,
      meshFailurePenaltyWeight: 0, meshFailurePenaltyDecay: 0.9,
      invalidMessageDeliveriesWeight: -100, invalidMessageDeliveriesDecay: 0.9};
    pubsub.subscribe(topic);
    say("joined");
  },
  unsubscribe: (topic) => (pubsub.unsubscribe(topic), say("left")),
  publish: async (topic, first, count, size) => {
    for (let n = Number(first); n < Number(first) + Number(count); n++) await pubsub.publish(topic, payload(n, Number(size)));
  },
  stats,
  quit: async () => {
    await node.stop();
    process.exit(0);
  },
};

say("up", {addr: node.getMultiaddrs()[0].toString(), peer: node.peerId.toString()});
readline.createInterface({input: process.stdin}).on("line", async (line) => {
  const [name, ...rest] = line.trim().split(/\s+/);
  try {
    await commands[name](...rest);
  } catch (error) {
    say("failed", {why: error.message, command: line});
  }
}).on("close", () => process.exit(0));
