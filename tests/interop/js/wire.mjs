// The wire's encodings, independent of the daemon: snappy frames, req/resp chunks, gossip message ids.
import {createHash} from "node:crypto";
import snappy from "snappyjs";

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
export const hex = (bytes) => Buffer.from(bytes).toString("hex");

export const u64 = (n) => {
  const b = Buffer.alloc(8);
  b.writeBigUInt64LE(BigInt(n));
  return b;
};

export function varint(n) {
  const out = [];
  for (; n > 127; n = Math.floor(n / 128)) out.push((n & 127) | 128);
  out.push(n);
  return Buffer.from(out);
}

const CRC32C = new Uint32Array(256).map((_, i) => {
  let c = i;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0x82f63b78 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function maskedCrc(bytes) {
  let c = 0xffffffff;
  for (const x of bytes) c = CRC32C[(c ^ x) & 255] ^ (c >>> 8);
  c = ~c >>> 0;
  return (((c >>> 15) | (c << 17)) + 0xa282ead8) >>> 0;
}

const STREAM_ID = Buffer.from([0xff, 6, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59]);

// Snappy frames: compressed chunks of at most 64 KiB.
export function frames(data) {
  const parts = [STREAM_ID];
  for (let i = 0; i < data.length; i += 65536) {
    const piece = data.subarray(i, i + 65536);
    const body = Buffer.from(snappy.compress(piece));
    const head = Buffer.alloc(8);
    head.writeUIntLE(0, 0, 1); // compressed
    head.writeUIntLE(body.length + 4, 1, 3);
    head.writeUInt32LE(maskedCrc(piece), 4);
    parts.push(head, body);
  }
  return Buffer.concat(parts);
}

function readFrames(buf, at, length) {
  const pieces = [];
  let got = 0;
  let seenId = false;
  while (got < length || !seenId) {
    if (at + 4 > buf.length) throw new Error("snappy frames end early");
    const type = buf[at];
    const size = buf.readUIntLE(at + 1, 3);
    const body = buf.subarray(at + 4, at + 4 + size);
    if (body.length !== size) throw new Error("snappy frame is cut");
    at += 4 + size;
    if (type === 0xff) {
      seenId = true;
      continue;
    }
    if (type > 1) throw new Error(`snappy frame type ${type}`);
    const piece = type === 0 ? Buffer.from(snappy.uncompress(body.subarray(4))) : body.subarray(4);
    if (maskedCrc(piece) !== body.readUInt32LE(0)) throw new Error("snappy checksum");
    pieces.push(piece);
    got += piece.length;
  }
  if (got !== length) throw new Error(`declared ${length} bytes, got ${got}`);
  return {data: Buffer.concat(pieces), at};
}

function readVarint(buf, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    if (at >= buf.length) throw new Error("varint is cut");
    const b = buf[at++];
    value += (b & 127) * 2 ** shift;
    if (b < 128) return {value, at};
  }
}

export const encodeRequest = (body) => Buffer.concat([varint(body.length), frames(body)]);

export function decodeRequest(buf) {
  if (buf.length === 0) return Buffer.alloc(0);
  const {value, at} = readVarint(buf, 0);
  return readFrames(buf, at, value).data;
}

export const encodeChunk = (body, context = null) =>
  Buffer.concat([Buffer.from([0]), context ?? Buffer.alloc(0), varint(body.length), frames(body)]);

export const encodeError = (code, text) =>
  Buffer.concat([Buffer.from([code]), varint(text.length), frames(Buffer.from(text))]);

// All chunks of a response: [{code, context, data}].
export function decodeChunks(buf, withContext) {
  const out = [];
  let at = 0;
  while (at < buf.length) {
    const code = buf[at++];
    let context = null;
    if (code === 0 && withContext) {
      context = hex(buf.subarray(at, at + 4));
      at += 4;
    }
    const length = readVarint(buf, at);
    const read = readFrames(buf, length.at, length.value);
    at = read.at;
    out.push({code, context, data: read.data});
  }
  return out;
}

// Spec: consensus-specs specs/altair/p2p-interface.md "Message-ID", the computation
export function messageId(topic, data) {
  const name = Buffer.from(topic);
  let domain = [1, 0, 0, 0];
  let body;
  try {
    body = snappy.uncompress(Buffer.from(data));
  } catch {
    domain = [0, 0, 0, 0];
    body = data;
  }
  return sha256(Buffer.concat([Buffer.from(domain), u64(name.length), name, Buffer.from(body)])).subarray(0, 20);
}
