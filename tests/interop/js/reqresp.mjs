// Req/resp framing on js-libp2p 3, with snappyjs for the frames. What is answered the test decides: each request is told as a line, and
// a line says which chunks to send. The lines are those of `rustpeer reqresp` (tests/interop/rust/src/reqresp.rs).
// usage: node reqresp.mjs PROTOCOL...
import fs from "node:fs";
import readline from "node:readline";
import {decodeChunks, decodeRequest, encodeChunk, encodeError, encodeRequest, hex} from "./wire.mjs";

const say = (ev, more = {}) => process.stdout.write(JSON.stringify({ev, ...more}) + "\n");
const {createLibp2p} = await import("libp2p");
const {tcp} = await import("@libp2p/tcp");
const {yamux} = await import("@libp2p/yamux");
const {noise} = await import("@chainsafe/libp2p-noise");
const {identify} = await import("@libp2p/identify");
const {generateKeyPair} = await import("@libp2p/crypto/keys");
const {multiaddr} = await import("@multiformats/multiaddr");

const node = await createLibp2p({
  privateKey: await generateKeyPair("secp256k1"),
  addresses: {listen: ["/ip4/127.0.0.1/tcp/0"]},
  connectionManager: {inboundConnectionThreshold: 1000}, // not five a second: tests dial often
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {identify: identify({agentVersion: "reqresp-peer/1"})},
});
let peer = null;

// All bytes until the other side's end; as in peer.mjs.
const readAll = (stream) => new Promise((resolve, reject) => {
  const parts = [];
  const done = () => resolve(Buffer.concat(parts));
  stream.addEventListener("message", (e) => parts.push(Buffer.from(e.data.subarray())));
  stream.addEventListener("end", done);
  stream.addEventListener("close", (e) => (e.error ? reject(e.error) : done()));
  if (stream.remoteWriteStatus === "closed" && stream.readBufferLength === 0) done();
});

function bytesOf(chunk) {
  if (chunk.hex !== undefined) return Buffer.from(chunk.hex, "hex");
  const data = Buffer.alloc(chunk.size);
  const file = fs.openSync(chunk.file);
  fs.readSync(file, data, 0, chunk.size, chunk.offset);
  fs.closeSync(file);
  return data;
}

const answers = new Map();
let next = 0;
for (const protocol of process.argv.slice(2)) {
  await node.handle(protocol, async (incoming) => {
    const stream = incoming.stream ?? incoming;
    try {
      const bytes = await readAll(stream);
      const id = ++next;
      const answer = new Promise((resolve) => answers.set(id, resolve));
      say("asked", {id, protocol, request: bytes.length === 0 ? null : hex(decodeRequest(bytes))});
      for (const c of await answer) {
        const out = c.text !== undefined ? encodeError(c.code, c.text) : encodeChunk(bytesOf(c), c.context ? Buffer.from(c.context, "hex") : null);
        if (!stream.send(out)) await stream.onDrain?.();
      }
      await stream.close();
    } catch (error) {
      say("serve_failed", {protocol, error: error.message});
    }
  });
}

const commands = {
  async dial(c) {
    peer = await node.dial(multiaddr(c.to));
  },
  async answer(c) {
    answers.get(c.id)?.(c.chunks);
    answers.delete(c.id);
  },
  async ask(c) {
    try {
      const stream = await peer.newStream(c.protocol);
      const answer = readAll(stream);
      if (c.request !== null) stream.send(encodeRequest(Buffer.from(c.request, "hex")));
      await stream.close();
      say("answer", {chunks: decodeChunks(await answer, c.context).map((k) => ({code: k.code, context: k.context, data: hex(k.data)}))});
    } catch (error) {
      say("answer", {error: error.message});
    }
  },
  async quit() {
    await node.stop();
    process.exit(0);
  },
};
node.addEventListener("connection:open", (e) => {
  peer ??= e.detail; // the first one: later ones come to ask and go
  say("connected", {peer: e.detail.remotePeer.toString()});
});
node.addEventListener("connection:close", (e) => say("disconnected", {peer: e.detail.remotePeer.toString()}));
readline.createInterface({input: process.stdin}).on("line", (line) => {
  const c = JSON.parse(line);
  commands[c.cmd](c).catch((error) => say("command_failed", {cmd: c.cmd, error: error.message}));
});
say("listening", {addr: node.getMultiaddrs()[0].toString(), peer: node.peerId.toString()});
