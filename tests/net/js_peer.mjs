// A scriptable peer on js-libp2p, with the lines that matrix.py says and hears.
// It is copied beside the node_modules of tests/interop/js, which is where Node looks for packages.
// usage: node js_peer.mjs [-ip ADDR] [-muxers yamux|mplex|mplex,yamux|quic] [-noearly]
// in:  connect MULTIADDR | ping PEER | echo PEER BYTES STREAMS | close PEER | quit
import readline from "node:readline";
import crypto from "node:crypto";

const args = process.argv.slice(2);
const option = (name, otherwise) => (args.includes(name) ? args[args.indexOf(name) + 1] : otherwise);
const say = (ev, more = {}) => process.stdout.write(JSON.stringify({ev, ...more}) + "\n");
const ECHO = "/p2pd/echo/1";
const PATIENCE = 120_000; // ms; on a loaded machine its own limits of 5 and 10 s end what is only slow

const {createLibp2p} = await import("libp2p");
const {tcp} = await import("@libp2p/tcp");
const {yamux} = await import("@libp2p/yamux");
const {mplex} = await import("@libp2p/mplex");
const {noise} = await import("@chainsafe/libp2p-noise");
const {identify} = await import("@libp2p/identify");
const {ping} = await import("@libp2p/ping");
const {generateKeyPair} = await import("@libp2p/crypto/keys");
const {multiaddr} = await import("@multiformats/multiaddr");

const ip = option("-ip", "127.0.0.1");
const overQuic = option("-muxers", "") === "quic"; // without TCP
const makers = {yamux, mplex};
// A noise whose payload offers no muxers, and that ignores the remote's: negotiation inside the channel.
const plainNoise = (components) => {
  const n = noise()(components);
  const skip = (f) => (connection, options) => f.call(n, connection, {...options, skipStreamMuxerNegotiation: true});
  n.secureInbound = skip(n.secureInbound);
  n.secureOutbound = skip(n.secureOutbound);
  return n;
};
const node = await createLibp2p({
  privateKey: await generateKeyPair(option("-key", "secp256k1")),
  addresses: {listen: [`/${ip.includes(":") ? "ip6" : "ip4"}/${ip}/${overQuic ? "udp/0/quic-v1" : "tcp/0"}`]},
  connectionManager: {
    inboundConnectionThreshold: 1000, // not five a second: tests dial often
    dialTimeout: PATIENCE, addressDialTimeout: PATIENCE, inboundUpgradeTimeout: PATIENCE, connectionCloseTimeout: PATIENCE,
    inboundStreamProtocolNegotiationTimeout: PATIENCE, outboundStreamProtocolNegotiationTimeout: PATIENCE,
  },
  connectionMonitor: {abortConnectionOnPingFailure: false}, // pings wait behind a GiB
  transports: [overQuic ? (await import("@chainsafe/libp2p-quic")).quic() : tcp()],
  connectionEncrypters: [args.includes("-noearly") ? plainNoise : noise()],
  streamMuxers: overQuic ? [] : option("-muxers", "yamux,mplex").split(",").map((name) => makers[name]({maxInboundStreams: 2000, maxOutboundStreams: 2000,
    maxStreamBufferSize: 1 << 30, // mplex has no windows: who reads slower than it is written to must hold it
    disconnectThreshold: 5000})), // js-mplex gives up a connection with more than five new streams a second
  services: {identify: identify({timeout: PATIENCE}), ping: ping({timeout: PATIENCE})},
});

await node.handle(ECHO, async (stream) => {
  try {
    for await (const chunk of stream) {
      if (!stream.send(chunk)) await stream.onDrain();
    }
    await stream.close();
  } catch (error) {
    say("served_badly", {err: error.message});
  }
}, {maxInboundStreams: 2000, maxOutboundStreams: 2000});

node.addEventListener("connection:open", ({detail: c}) =>
  say("connected", {peer: c.remotePeer.toString(), mux: c.multiplexer, outbound: c.direction === "outbound"}));
node.addEventListener("connection:close", ({detail: c}) => say("disconnected", {peer: c.remotePeer.toString()}));
node.addEventListener("peer:identify", ({detail: r}) =>
  say("identify", {peer: r.peerId.toString(), agent: r.agentVersion, protos: r.protocols,
    signed: r.signedPeerRecord != null, observed: r.observedAddr?.toString() ?? ""}));

const connectionTo = (peer) => node.getConnections().find((c) => c.remotePeer.toString() === peer);

async function readBack(stream, body, echoed) {
  for await (const chunk of stream) {
    const got = chunk.subarray();
    if (Buffer.compare(got, body.subarray(echoed.n, echoed.n + got.length)) !== 0) throw new Error(`other bytes at ${echoed.n}`);
    echoed.n += got.length;
    echoed.more?.();
  }
  return echoed.n;
}

async function write(stream, body, echoed, ahead) {
  for (let at = 0; at < body.length; at += 65536) {
    while (at - echoed.n > ahead) await new Promise((resolve) => { echoed.more = resolve; });
    if (!stream.send(body.subarray(at, at + 65536))) await stream.onDrain();
  }
  await stream.close(); // our side only: the echo still comes
}

async function echoOne(c, body) {
  const stream = await c.newStream(ECHO, {maxOutboundStreams: 2000});
  const echoed = {n: 0};
  // mplex has no windows, and send() is never full there: who does not wait makes the other side hold what he does not read.
  const ahead = c.multiplexer.includes("mplex") ? 512 * 1024 : Infinity;
  return (await Promise.all([readBack(stream, body, echoed), write(stream, body, echoed, ahead)]))[0];
}

async function echo(peer, bytes, streams) {
  const body = crypto.randomBytes(bytes);
  const since = Date.now();
  const got = await Promise.all(Array.from({length: streams}, () => echoOne(connectionTo(peer), body)));
  say("echo", {sent: bytes * streams, got: got.reduce((a, b) => a + b, 0), ms: Date.now() - since});
}

const commands = {
  connect: async (to) => void (await node.dial(multiaddr(to))),
  ping: async (peer) => say("ping", {ms: await node.services.ping.ping(connectionTo(peer).remotePeer)}),
  echo: (peer, bytes, streams) => echo(peer, Number(bytes), Number(streams)),
  close: async (peer) => connectionTo(peer).close(),
  quit: async () => process.exit(0),
};
readline.createInterface({input: process.stdin}).on("line", async (line) => {
  const [name, ...rest] = line.split(" ");
  try {
    await commands[name](...rest);
  } catch (error) {
    say(name, {err: String(error?.message ?? error)});
  }
}).on("close", () => process.exit(0));
say("up", {peer: node.peerId.toString(), addrs: node.getMultiaddrs().map(String)});
