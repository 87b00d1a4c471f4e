// A peer with js-libp2p's kad-dht, a server that keeps whatever it is given below /t/. The commands and answers of
// tests/interop/rust/src/kad.rs: keys and values are hex.
//
// usage: node peer.mjs [PROTOCOL]
// in:  connect MULTIADDR | walk | table | find PEER | put KEY VALUE | get KEY | provide KEY | providers KEY | quit
import readline from "node:readline";

// kad-dht 16 is written for Node 22: what it uses of it and Node 20 lacks.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((a, b) => ([resolve, reject] = [a, b]));
  return {promise, resolve, reject};
};

const {createLibp2p} = await import("libp2p");
const {tcp} = await import("@libp2p/tcp");
const {yamux} = await import("@libp2p/yamux");
const {noise} = await import("@chainsafe/libp2p-noise");
const {identify} = await import("@libp2p/identify");
const {ping} = await import("@libp2p/ping");
const {kadDHT, passthroughMapper, EventTypes} = await import("@libp2p/kad-dht");
const {multiaddr} = await import("@multiformats/multiaddr");
const {peerIdFromString} = await import("@libp2p/peer-id");
const {CID} = await import("multiformats/cid");

const say = (ev, more = {}) => process.stdout.write(JSON.stringify({ev, ...more}) + "\n");
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));

const node = await createLibp2p({
  addresses: {listen: ["/ip4/127.0.0.1/tcp/0"]},
  connectionManager: {inboundConnectionThreshold: 1000},
  connectionGater: {denyDialMultiaddr: () => false}, // loopback is what there is
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    dht: kadDHT({
      protocol: process.argv[2] ?? "/ipfs/kad/1.0.0",
      clientMode: false,
      peerInfoMapper: passthroughMapper,
      initialQuerySelfInterval: 500,
      querySelfInterval: 5000,
      validators: {t: async () => {}},
      // The greater one: as our daemon has it for a raw prefix.
      selectors: {t: (key, all) => all.reduce((best, v, i) => (Buffer.compare(v, all[best]) > 0 ? i : best), 0)},
    }),
  },
});
const dht = node.services.dht;

// An answer whatever happens; a query that fails for one peer goes on.
async function answer(name, events, take) {
  const out = {ok: false, peers: [], value: null};
  try {
    for await (const e of events) {
      take(e, out);
    }
  } catch (e) {
    out.err = String(e);
  }
  say(name, out);
}

const found = (e, out) => {
  if (e.type === EventTypes.FINAL_PEER) {
    out.ok = true;
    out.peers.push(e.peer.id.toString());
  }
};
const stored = (e, out) => {
  out.ok ||= e.type === EventTypes.PEER_RESPONSE;
};

const commands = {
  connect: (to) => node.dial(multiaddr(to)).catch((e) => say("connect", {ok: false, err: String(e)})),
  walk: () => dht.refreshRoutingTable().catch((e) => say("walk", {ok: false, err: String(e)})),
  table: () => say("table", {ok: true, peers: [...dht.routingTable.kb.toIterable()].map((p) => p.peerId.toString())}),
  find: (id) => answer("find", dht.getClosestPeers(peerIdFromString(id).toMultihash().bytes), found),
  put: (key, value) => answer("put", dht.put(bytes(key), bytes(value)), stored),
  get: (key) => answer("get", dht.get(bytes(key)), (e, out) => {
    if (e.type === EventTypes.VALUE) {
      Object.assign(out, {ok: true, value: Buffer.from(e.value).toString("hex")});
    }
  }),
  provide: (key) => answer("provide", dht.provide(CID.decode(bytes(key))), stored),
  providers: (key) => answer("providers", dht.findProviders(CID.decode(bytes(key))), (e, out) => {
    if (e.type === EventTypes.PROVIDER) {
      out.ok = true;
      out.peers.push(...e.providers.map((p) => p.id.toString()));
    }
  }),
  quit: () => process.exit(0),
};

say("up", {peer: node.peerId.toString(), addr: node.getMultiaddrs()[0].toString().replace(/\/p2p\/.*/, "")});
readline.createInterface({input: process.stdin}).on("line", (line) => {
  const [name, ...words] = line.trim().split(/\s+/);
  commands[name]?.(...words);
}).on("close", () => process.exit(0));
