// ChainSafe's discv5 as a peer: peer.mjs IP[,IP6] PORT[,PORT6] BOOT_ENR. JSON lines out; in: "find", "ping ENR", "enr ENR",
// "talk ENR PROTOCOL TEXT", "set KEY HEX", "known". TALKREQs of protocol "echo" are answered with what they hold, others with nothing.
import {createInterface} from "node:readline";
import {Discv5} from "@chainsafe/discv5";
import {ENR, SignableENR} from "@chainsafe/enr";
import {generateKeyPair} from "@libp2p/crypto/keys";
import {multiaddr} from "@multiformats/multiaddr";

const [, , ips, ports, boot] = process.argv;
const emit = (ev, fields = {}) => console.log(JSON.stringify({ev, ...fields}));
const privateKey = await generateKeyPair("secp256k1");
const enr = SignableENR.createFromPrivateKey(privateKey);
const bindAddrs = {};
for (const [i, ip] of ips.split(",").entries()) {
  const family = ip.includes(":") ? "6" : "4";
  bindAddrs[`ip${family}`] = multiaddr(`/ip${family}/${ip}/udp/${ports.split(",")[i]}`);
  enr.setLocationMultiaddr(bindAddrs[`ip${family}`]);
}
const node = Discv5.create({enr, privateKey, bindAddrs, config: {enrUpdate: false, allowUnverifiedSessions: true}});

node.on("talkReqReceived", (address, _enr, request) => {
  const echo = Buffer.from(request.protocol).toString() === "echo";
  node.sendTalkResp(address, request.id, echo ? request.request : Buffer.alloc(0)).catch((e) => emit("error", {text: e.message}));
});
await node.start();
node.addEnr(ENR.decodeTxt(boot));
emit("up", {enr: enr.toENR().encodeTxt()});

const commands = {
  find: async () => ({enrs: (await node.findRandomNode()).map((e) => e.encodeTxt())}),
  known: async () => ({enrs: node.kadValues().map((e) => e.encodeTxt())}),
  enr: async (record) => ({enr: (await node.findEnr(ENR.decodeTxt(record).nodeId))?.encodeTxt()}),
  set: async (key, hex) => {
    enr.set(key, Buffer.from(hex, "hex"));
    return {enr: enr.toENR().encodeTxt(), seq: Number(enr.seq)};
  },
  ping: async (record) => ({seq: String((await node.sendPing(ENR.decodeTxt(record))).enrSeq)}),
  talk: async (record, protocol, text) => ({body: Buffer.from(await node.sendTalkReq(ENR.decodeTxt(record), Buffer.from(text), protocol)).toString("hex")}),
};

for await (const line of createInterface({input: process.stdin})) {
  const [verb, ...rest] = line.split(" ");
  try {
    emit(verb, await commands[verb](...rest));
  } catch (e) {
    emit(verb, {err: e.message});
  }
}
process.exit(0);
