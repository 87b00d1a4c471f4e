#!/usr/bin/env node
// A program beside beacon-p2pd in JavaScript: the control protocol (docs/control.md) on Node's own modules, and a validator.
//
//     p2pd_control.mjs SOCKET GENESIS_TIME SECONDS_PER_SLOT [TOPIC...]
//
// It judges what comes on the topics (default: all), as docs/examples/python/p2pd_control.py does, one JSON line a message.
// Put your client's own checks in the place of `judge`.
import {createHash} from "node:crypto";
import {connect} from "node:net";

const HELLO = 0x01, SUBSCRIBE = 0x02, VERDICTS = 0x04;
const WELCOME = 0x81, RESULT = 0x82, MESSAGE = 0x83, LOST = 0x84, BYE = 0x85;
const JUDGE = 1, ACCEPT = 0, IGNORE = 1, REJECT = 2;

function frame(kind, ...parts) {
  const body = Buffer.concat([Buffer.of(kind), ...parts]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(body.length);
  return Buffer.concat([size, body]);
}

function u16(x) {
  const b = Buffer.alloc(2);
  b.writeUInt16LE(x);
  return b;
}

function u32(x) {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(x);
  return b;
}

const text = (s) => Buffer.concat([u16(Buffer.byteLength(s)), Buffer.from(s)]);

// MESSAGE: ID u64, TIME u64, WAIT u32, HASH 20, PEER u8 length, TOPIC u16 length, DATA the rest.
function message(f) {
  const peerEnd = 42 + f[41];
  const topicEnd = peerEnd + 2 + f.readUInt16LE(peerEnd);
  return {
    id: f.readBigUInt64LE(1),
    time: f.readBigUInt64LE(9),
    wait: f.readUInt32LE(17),
    hash: f.subarray(21, 41),
    peer: f.subarray(42, peerEnd),
    topic: f.toString("utf8", peerEnd + 2, topicEnd),
    data: f.subarray(topicEnd),
  };
}

// Spec: consensus-specs specs/altair/p2p-interface.md, "The gossip domain: gossipsub".
function messageId(topic, ssz) {
  const name = Buffer.from(topic), length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(name.length));
  return createHash("sha256").update(Buffer.of(1, 0, 0, 0)).update(length).update(name).update(ssz).digest().subarray(0, 20);
}

// The slot that a block or an attestation is of; null for other topics.
function slotOf(topic, ssz) {
  const name = topic.split("/")[3];
  if (name === "beacon_block") return Number(ssz.readBigUInt64LE(100));
  if (name.startsWith("beacon_attestation_")) return Number(ssz.readBigUInt64LE(ssz.length === 240 ? 16 : 4));
  return null;
}

function judge(m, genesisTime, secondsPerSlot) {
  if (!messageId(m.topic, m.data).equals(m.hash)) return REJECT;
  const slot = slotOf(m.topic, m.data), now = (Number(m.time / 1000000n) / 1000 - genesisTime) / secondsPerSlot;
  return slot !== null && (slot > now + 1 || slot < now - 64) ? IGNORE : ACCEPT;
}

function main(path, genesisTime, secondsPerSlot, ...topics) {
  const socket = connect(path);
  let rest = Buffer.alloc(0);
  const entries = [];

  function onFrame(f) {
    switch (f[0]) {
      case WELCOME:
        (topics.length ? topics : ["*"]).forEach((t, i) => socket.write(frame(SUBSCRIBE, u32(i + 1), Buffer.of(JUDGE), text(t))));
        break;
      case RESULT:
        if (f.readUInt16LE(5) !== 0) throw new Error(`${topics[f.readUInt32LE(1) - 1]}: ${f.toString("utf8", 9)}`);
        break;
      case MESSAGE: {
        const m = message(f), verdict = judge(m, Number(genesisTime), Number(secondsPerSlot));
        if (m.wait > 0) { // 13 bytes: ID, verdict, score change 0
          const entry = Buffer.alloc(13);
          entry.writeBigUInt64LE(m.id);
          entry[8] = verdict;
          entries.push(entry);
        }
        console.log(JSON.stringify({topic: m.topic, verdict, delay: Date.now() / 1000 - Number(m.time) / 1e9}));
        break;
      }
      case LOST:
        console.log(JSON.stringify({lost: Number(f.readBigUInt64LE(1))}));
        break;
      case BYE:
        throw new Error(`closed: ${f.toString("utf8", 5)}`);
      default: // a kind of a later daemon
    }
  }

  socket.on("connect", () => socket.write(frame(HELLO, u16(1), u16(1), text("js"))));
  socket.on("data", (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32LE(0)) {
      const end = 4 + rest.readUInt32LE(0);
      onFrame(rest.subarray(4, end));
      rest = rest.subarray(end);
    }
    if (entries.length) socket.write(frame(VERDICTS, ...entries.splice(0)));
  });
  socket.on("close", () => process.exit(1));
}

main(...process.argv.slice(2));
