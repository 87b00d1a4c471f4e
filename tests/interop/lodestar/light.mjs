// Lodestar's light client as a program: it trusts one block root and follows the chain by a Beacon API.
// light.mjs URL ROOT: JSON lines of each header that it has verified, by the sync committee's signature.
import {pathToFileURL} from "node:url";
import {createIChainForkConfig} from "@lodestar/config";
import {chainConfigFromJson, chainConfigTypes} from "@lodestar/config";
import {fromHexString} from "@chainsafe/ssz";
import {getClient} from "@lodestar/api";
import EventSource from "eventsource";

const at = (path) => import(pathToFileURL(new URL(`node_modules/@lodestar/light-client/lib/${path}`, import.meta.url).pathname));
const {Lightclient, LightclientEvent} = await at("index.js");
const {LightClientRestTransport} = await at("transport/rest.js");

// This Lodestar is older than versioned events: what the published description wraps in {version, data} it wants bare.
class Transport extends LightClientRestTransport {
  subscribeEventstream() {
    if (this.subscribedEventstream) return;
    this.subscribedEventstream = true;
    const topics = {light_client_optimistic_update: "LightClientOptimisticUpdate", light_client_finality_update: "LightClientFinalityUpdate"};
    const source = new EventSource(`${url}/eth/v1/events?topics=${Object.keys(topics).join(",")}`);
    for (const [topic, name] of Object.entries(topics)) {
      source.addEventListener(topic, (event) => {
        const {data} = JSON.parse(event.data);
        const types = config.getLightClientForkTypes(Number(data.attested_header.beacon.slot));
        say("streamed", {topic});
        this.eventEmitter.emit(topic, types[name].fromJson(data));
      });
    }
  }
}

const say = (ev, fields = {}) => process.stdout.write(JSON.stringify({ev, ...fields}) + "\n");
const [url, root] = process.argv.slice(2);
const get = async (path) => (await (await fetch(url + path)).json()).data;

// What the network is, from the same API.
const spec = await get("/eth/v1/config/spec");
const known = Object.fromEntries(Object.entries(spec).filter(([key]) => key in chainConfigTypes));
const config = createIChainForkConfig(chainConfigFromJson(known));
const genesis = await get("/eth/v1/beacon/genesis");

const log = (level) => (message, context, error) => say("log", {level, message, context, error: error?.message});
const client = await Lightclient.initializeFromCheckpointRoot({
  config,
  logger: {error: log("error"), warn: log("warn"), info: log("info"), debug: log("debug")},
  genesisData: {genesisTime: Number(genesis.genesis_time), genesisValidatorsRoot: genesis.genesis_validators_root},
  transport: new Transport(getClient({baseUrl: url}, {config})),
  checkpointRoot: fromHexString(root),
});
const hex = (bytes) => "0x" + Buffer.from(bytes).toString("hex");
client.emitter.on(LightclientEvent.lightClientOptimisticUpdate, ({beacon}) =>
  say("optimistic", {slot: beacon.slot, state_root: hex(beacon.stateRoot)}));
client.emitter.on(LightclientEvent.lightClientFinalityUpdate, ({beacon}) =>
  say("final", {slot: beacon.slot, state_root: hex(beacon.stateRoot)}));
say("trusted", {slot: client.getHead().beacon.slot});
client.start();
