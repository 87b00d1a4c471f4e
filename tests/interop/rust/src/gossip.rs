//! Gossipsub of libp2p: `rustpeer gossip [flags]`. JSON lines out, one command a line in.
//!
//! flags    --signed (StrictSign, else StrictNoSign and snappy data with eth2's ids) | --v10 | --v11 | --floodsub |
//!          --partial (asks for partial messages of what it subscribes to) | --lurk (a mesh of nobody: it lives by IHAVE) | --heartbeat MS | --quiet (no line for a message) | --eth
//! in       dial MULTIADDR | subscribe TOPIC | unsubscribe TOPIC | publish TOPIC FIRST COUNT SIZE |
//!          parts TOPIC GROUP BITS (which parts of a partial message it has) | stats | quit
//! out      up, connected, disconnected, msg, subscribed, stats: libp2p's own counters, scores and meshes
//!
//! --eth answers an Ethereum peer's requests: status and ping with what was asked, metadata with zeros.
use libp2p::{
    futures::{AsyncReadExt, AsyncWriteExt, StreamExt},
    gossipsub::{self, partial_messages, IdentTopic, MessageAuthenticity, MessageId, ValidationMode},
    identify, identity, noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux, Multiaddr, PeerId, StreamProtocol, Swarm,
};
use prometheus_client::registry::Registry;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, time::Duration};
use tokio::io::{AsyncBufReadExt, BufReader};

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossip: gossipsub::Behaviour<Snappy>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    stream: libp2p_stream::Behaviour,
}

/// Opens a message's data once, as consensus clients do it; signed messages are plain.
struct Snappy(bool);

impl gossipsub::DataTransform for Snappy {
    fn inbound_transform(&self, raw: gossipsub::RawMessage) -> Result<gossipsub::Message, std::io::Error> {
        let data = if self.0 {
            raw.data
        } else {
            snap::raw::Decoder::new().decompress_vec(&raw.data).map_err(std::io::Error::other)?
        };
        Ok(gossipsub::Message {
            source: raw.source,
            data,
            sequence_number: raw.sequence_number,
            topic: raw.topic,
        })
    }

    fn outbound_transform(&self, _: &gossipsub::TopicHash, data: Vec<u8>) -> Result<Vec<u8>, std::io::Error> {
        if self.0 {
            return Ok(data);
        }
        snap::raw::Encoder::new().compress_vec(&data).map_err(std::io::Error::other)
    }
}

fn say(ev: &str, mut more: Value) {
    more["ev"] = json!(ev);
    println!("{more}");
}

/// consensus-specs altair p2p-interface: the id of a message with valid snappy data.
fn eth2_id(m: &gossipsub::Message) -> MessageId {
    let topic = m.topic.as_str().as_bytes();
    let mut h = Sha256::new();
    h.update([1u8, 0, 0, 0]);
    h.update((topic.len() as u64).to_le_bytes());
    h.update(topic);
    h.update(&m.data);
    MessageId::from(&h.finalize()[..20])
}

/// The author's id in bytes and its sequence number: what all other implementations take.
fn signed_id(m: &gossipsub::Message) -> MessageId {
    let mut id = m.source.map(|p| p.to_bytes()).unwrap_or_default();
    id.extend(m.sequence_number.unwrap_or_default().to_be_bytes());
    MessageId::from(id)
}

struct Flags(Vec<String>);

impl Flags {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|a| a == name)
    }

    fn number(&self, name: &str, otherwise: u64) -> u64 {
        let at = self.0.iter().position(|a| a == name);
        at.and_then(|i| self.0.get(i + 1)).and_then(|v| v.parse().ok()).unwrap_or(otherwise)
    }
}

fn gossip_config(flags: &Flags) -> gossipsub::Config {
    let mut c = gossipsub::ConfigBuilder::default();
    c.heartbeat_interval(Duration::from_millis(flags.number("--heartbeat", 700)))
        .heartbeat_initial_delay(Duration::from_millis(200))
        .max_transmit_size(12 << 20)
        .history_length(6)
        .history_gossip(3)
        .prune_backoff(Duration::from_secs(60))
        .unsubscribe_backoff(Duration::from_secs(10))
        .connection_handler_queue_len(20_000)
        .flood_publish(false);
    if flags.has("--signed") {
        c.validation_mode(ValidationMode::Strict).message_id_fn(signed_id);
    } else {
        c.validation_mode(ValidationMode::Anonymous).message_id_fn(eth2_id);
    }
    if flags.has("--lurk") {
        c.mesh_n_low(0).mesh_n(0).mesh_n_high(0).mesh_outbound_min(0);
    } else {
        c.mesh_n_low(6).mesh_n(8).mesh_n_high(12).mesh_outbound_min(2);
    }
    if flags.has("--v10") {
        c.protocol_id("/meshsub/1.0.0", gossipsub::Version::V1_0);
    } else if flags.has("--v11") {
        c.protocol_id_prefix("/meshsub"); // 1.1.0 and 1.0.0
    } else if flags.has("--floodsub") {
        c.protocol_id_prefix("/none").support_floodsub();
    }
    c.build().expect("a valid config")
}

fn behaviour(key: &identity::Keypair, flags: &Flags, registry: &mut Registry) -> Behaviour {
    let authenticity =
        if flags.has("--signed") { MessageAuthenticity::Signed(key.clone()) } else { MessageAuthenticity::Anonymous };
    let mut gossip =
        gossipsub::Behaviour::new_with_transform(authenticity, gossip_config(flags), Snappy(flags.has("--signed")))
            .expect("a valid config")
            .with_metrics(registry, gossipsub::MetricsConfig::default());
    gossip
        .with_peer_score(
            gossipsub::PeerScoreParams { ip_colocation_factor_weight: 0.0, ..Default::default() },
            gossipsub::PeerScoreThresholds::default(),
        )
        .expect("valid score parameters");
    Behaviour {
        gossip,
        identify: identify::Behaviour::new(identify::Config::new("eth2/1.0.0".into(), key.public())),
        ping: ping::Behaviour::default(),
        stream: libp2p_stream::Behaviour::new(),
    }
}

/// Time in the mesh, first deliveries and invalid messages count; P3 does not, as with consensus clients.
fn topic_score() -> gossipsub::TopicScoreParams {
    gossipsub::TopicScoreParams {
        topic_weight: 0.5,
        time_in_mesh_weight: 0.03,
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 20.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -100.0,
        invalid_message_deliveries_decay: 0.9,
        ..Default::default()
    }
}

/// Which of eight parts somebody has: a byte of bits.
#[derive(Debug)]
struct Parts([u8; 1]);

impl partial_messages::Metadata for Parts {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }

    fn update(&mut self, data: &[u8]) -> Result<bool, partial_messages::PartialError> {
        let before = self.0[0];
        self.0[0] |= data.first().copied().unwrap_or_default();
        Ok(self.0[0] != before)
    }
}

/// A message to be, of which we have some parts; a part is its number.
struct Group {
    id: Vec<u8>,
    have: u8,
}

impl partial_messages::Partial for Group {
    fn group_id(&self) -> Vec<u8> {
        self.id.clone()
    }

    fn metadata(&self) -> Box<dyn partial_messages::Metadata> {
        Box::new(Parts([self.have]))
    }

    fn partial_action_from_metadata(
        &self,
        _: PeerId,
        metadata: Option<&[u8]>,
    ) -> Result<partial_messages::PartialAction, partial_messages::PartialError> {
        let theirs = metadata.and_then(|m| m.first().copied()).unwrap_or_default();
        let new = self.have & !theirs;
        let parts: Vec<u8> = (0..8).filter(|i| new >> i & 1 == 1).collect();
        let send: Option<(Vec<u8>, Box<dyn partial_messages::Metadata>)> =
            if new == 0 { None } else { Some((parts, Box::new(Parts([theirs | self.have])))) };
        Ok(partial_messages::PartialAction { need: theirs & !self.have != 0, send })
    }
}

/// Answers requests: an answer is a zero and the request's own bytes, or metadata of zeros.
fn serve(control: &mut libp2p_stream::Control, name: &'static str, version: u8, metadata: usize) {
    let id = StreamProtocol::try_from_owned(format!("/eth2/beacon_chain/req/{name}/{version}/ssz_snappy"));
    let mut incoming = control.accept(id.expect("a name")).expect("registered once");
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            tokio::spawn(async move {
                let mut request = Vec::new();
                stream.read_to_end(&mut request).await?;
                let mut answer = vec![0u8];
                if metadata == 0 {
                    answer.extend(request);
                } else {
                    let mut framed = snap::write::FrameEncoder::new(Vec::new());
                    std::io::Write::write_all(&mut framed, &vec![0u8; metadata])?;
                    answer.push(metadata as u8);
                    answer.extend(framed.into_inner().map_err(|e| std::io::Error::other(e.to_string()))?);
                }
                stream.write_all(&answer).await?;
                stream.close().await
            });
        }
    });
}

/// The numbers of a Prometheus text: "name{labels}" -> value; histograms are left out.
fn counters(registry: &Registry) -> HashMap<String, f64> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).expect("a string takes it");
    text.lines()
        .filter(|l| !l.starts_with('#') && !l.contains("_bucket"))
        .filter_map(|l| l.rsplit_once(' '))
        .filter_map(|(name, v)| Some((name.to_string(), v.parse().ok()?)))
        .collect()
}

fn stats(swarm: &Swarm<Behaviour>, registry: &Registry) {
    let gossip = &swarm.behaviour().gossip;
    let peers: serde_json::Map<String, Value> = gossip
        .peer_protocol()
        .map(|(peer, kind)| {
            let row = json!({"protocol": kind.to_string(), "score": gossip.peer_score(peer),
                "mesh": gossip.topics().filter(|t| gossip.mesh_peers(t).any(|p| p == peer)).count()});
            (peer.to_string(), row)
        })
        .collect();
    say("stats", json!({"counters": counters(registry), "peers": peers}));
}

/// Message `n`: its number in eight bytes, then bytes that no compression shortens.
fn payload(n: u64, size: usize) -> Vec<u8> {
    let mut data = n.to_le_bytes().to_vec();
    let mut x = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while data.len() < size {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data.extend(x.to_le_bytes());
    }
    data.truncate(size.max(8));
    data
}

fn command(swarm: &mut Swarm<Behaviour>, registry: &Registry, line: &str, partial: bool) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let gossip = &mut swarm.behaviour_mut().gossip;
    match words[..] {
        ["dial", to] => {
            if let Err(e) = swarm.dial(to.parse::<Multiaddr>().expect("a multiaddr")) {
                say("failed", json!({"why": e.to_string()}));
            }
        }
        ["subscribe", topic] => {
            let topic = IdentTopic::new(topic);
            if partial {
                gossip.enable_partials_for_topic(topic.hash(), true);
            }
            gossip.set_topic_params(topic.clone(), topic_score()).expect("scoring is on");
            say("joined", json!({"ok": gossip.subscribe(&topic).is_ok()}));
        }
        ["unsubscribe", topic] => say("left", json!({"ok": gossip.unsubscribe(&IdentTopic::new(topic))})),
        ["publish", topic, first, count, size] => {
            let first: u64 = first.parse().expect("a number");
            for n in first..first + count.parse::<u64>().expect("a number") {
                let data = payload(n, size.parse().expect("a number"));
                if let Err(e) = gossip.publish(IdentTopic::new(topic), data) {
                    say("publish_failed", json!({"n": n, "why": e.to_string()}));
                }
            }
        }
        ["parts", topic, group, have] => {
            let group = Group { id: group.into(), have: have.parse().expect("a byte") };
            if let Err(e) = gossip.publish_partial(IdentTopic::new(topic), group) {
                say("publish_failed", json!({"why": e.to_string()}));
            }
        }
        ["stats"] => stats(swarm, registry),
        ["quit"] => return false,
        _ => say("failed", json!({"why": format!("no command {line}")})),
    }
    true
}

fn on_message(id: &MessageId, m: &gossipsub::Message) {
    let n = m.data.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    // A long id (an author's and its number) is told by its hash.
    let id = if id.0.len() > 20 { hex::encode(&Sha256::digest(&id.0)[..20]) } else { id.to_string() };
    say("msg", json!({"topic": m.topic.as_str(), "id": id, "n": n, "size": m.data.len()}));
}

fn on_event(event: SwarmEvent<BehaviourEvent>, quiet: bool) {
    match event {
        SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message { message_id, message, .. }))
            if !quiet =>
        {
            on_message(&message_id, &message)
        }
        SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Partial {
            group_id, message, metadata, ..
        })) => {
            let group = String::from_utf8_lossy(&group_id);
            let (message, parts) = (message.map(hex::encode), metadata.map(hex::encode));
            say("partial", json!({"group": group, "message": message, "parts": parts}))
        }
        SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Subscribed { peer_id, topic, .. })) => {
            say("subscribed", json!({"peer": peer_id.to_string(), "topic": topic.as_str()}))
        }
        SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
            say("connected", json!({"peer": peer_id.to_string(), "outbound": endpoint.is_dialer()}))
        }
        SwarmEvent::ConnectionClosed { peer_id, cause, .. } => {
            let why = cause.map(|c| c.to_string());
            say("disconnected", json!({"peer": peer_id.to_string(), "why": why}))
        }
        SwarmEvent::OutgoingConnectionError { error, .. } => say("failed", json!({"why": error.to_string()})),
        _ => (),
    }
}

#[tokio::main(flavor = "current_thread")]
pub async fn run(args: Vec<String>) {
    let flags = Flags(args);
    let mut registry = Registry::default();
    let key: identity::Keypair = identity::secp256k1::Keypair::generate().into();
    let own = behaviour(&key, &flags, &mut registry);
    let mut swarm = libp2p::SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|_| own)
        .expect("a behaviour")
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    if flags.has("--eth") {
        let mut control = swarm.behaviour().stream.new_control();
        for (name, version, metadata) in
            [("status", 1, 0), ("status", 2, 0), ("ping", 1, 0), ("metadata", 2, 17), ("metadata", 3, 25)]
        {
            serve(&mut control, name, version, metadata);
        }
    }
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("it listens");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) if command(&mut swarm, &registry, &line, flags.has("--partial")) => (),
                _ => return,
            },
            event = swarm.select_next_some() => match event {
                SwarmEvent::NewListenAddr { address, .. } => {
                    let peer = swarm.local_peer_id().to_string();
                    say("up", json!({"addr": format!("{address}/p2p/{peer}"), "peer": peer}));
                }
                event => on_event(event, flags.has("--quiet")),
            },
        }
    }
}
