//! `rustpeer kad`: Kademlia on rust-libp2p, a server that keeps whatever it is given. Keys and values are hex.
//! usage: rustpeer kad [-protocol ID]
//! in:  connect MULTIADDR | walk | table | find PEER | put KEY VALUE | get KEY | provide KEY | providers KEY | quit
//! out: an event a line; the answer to a command has its name, and "ok".
use std::{collections::HashMap, time::Duration};

use futures::StreamExt as _;
use libp2p::{
    identify, identity,
    kad::{
        self, store::MemoryStore, GetClosestPeersOk, GetProvidersOk, GetRecordOk, Mode, QueryId, QueryResult, Quorum, Record, RecordKey,
    },
    noise,
    swarm::{NetworkBehaviour, StreamProtocol, Swarm, SwarmEvent},
    tcp, yamux, Multiaddr, PeerId, SwarmBuilder,
};
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt as _, BufReader};

fn say(ev: &str, mut more: Value) {
    more["ev"] = json!(ev);
    println!("{more}");
}

#[derive(NetworkBehaviour)]
struct All {
    identify: identify::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
}

/// What is known of a query until its last step.
#[derive(Default)]
struct Found {
    peers: Vec<String>,
    value: Option<String>,
}

struct Peer {
    swarm: Swarm<All>,
    protocol: String,
    queries: HashMap<QueryId, Found>,
}

impl Peer {
    /// False: quit.
    fn command(&mut self, line: &str) -> bool {
        let word: Vec<&str> = line.split_whitespace().collect();
        let bytes = |i: usize| hex::decode(word[i]).expect("hex");
        let kad = &mut self.swarm.behaviour_mut().kad;
        let begun = match word.first().copied() {
            Some("connect") => {
                let to: Multiaddr = word[1].parse().expect("a multiaddr");
                if let Err(e) = self.swarm.dial(to) {
                    say("connect", json!({"ok": false, "err": e.to_string()}));
                }
                return true;
            }
            Some("table") => {
                let peers: Vec<String> =
                    kad.kbuckets().flat_map(|b| b.iter().map(|e| e.node.key.preimage().to_string()).collect::<Vec<_>>()).collect();
                say("table", json!({"ok": true, "peers": peers}));
                return true;
            }
            Some("walk") => kad.get_closest_peers(PeerId::random()),
            Some("find") => kad.get_closest_peers(word[1].parse::<PeerId>().expect("a peer id")),
            Some("put") => match kad.put_record(Record::new(bytes(1), bytes(2)), Quorum::One) {
                Ok(id) => id,
                Err(e) => {
                    say("put", json!({"ok": false, "err": e.to_string()}));
                    return true;
                }
            },
            Some("get") => kad.get_record(RecordKey::new(&bytes(1))),
            Some("provide") => kad.start_providing(RecordKey::new(&bytes(1))).expect("room"),
            Some("providers") => kad.get_providers(RecordKey::new(&bytes(1))),
            Some("quit") => return false,
            _ => return true,
        };
        self.queries.insert(begun, Found::default());
        true
    }

    fn result(&mut self, id: QueryId, result: QueryResult, last: bool) {
        let found = self.queries.entry(id).or_default();
        let text = |p: &PeerId| p.to_string();
        let answer = match &result {
            QueryResult::GetClosestPeers(Ok(GetClosestPeersOk { peers, .. })) => {
                found.peers.extend(peers.iter().map(|p| text(&p.peer_id)));
                Some(("find", Ok(())))
            }
            QueryResult::GetClosestPeers(Err(e)) => Some(("find", Err(e.to_string()))),
            QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(r))) => {
                found.value = Some(hex::encode(&r.record.value));
                Some(("get", Ok(())))
            }
            QueryResult::GetRecord(Ok(_)) => Some(("get", Ok(()))),
            QueryResult::GetRecord(Err(e)) => Some(("get", Err(e.to_string()))),
            QueryResult::PutRecord(r) => Some(("put", r.as_ref().map(|_| ()).map_err(|e| e.to_string()))),
            QueryResult::StartProviding(r) => Some(("provide", r.as_ref().map(|_| ()).map_err(|e| e.to_string()))),
            QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })) => {
                found.peers.extend(providers.iter().map(text));
                Some(("providers", Ok(())))
            }
            QueryResult::GetProviders(Ok(_)) => Some(("providers", Ok(()))),
            QueryResult::GetProviders(Err(e)) => Some(("providers", Err(e.to_string()))),
            _ => None,
        };
        if !last {
            return;
        }
        let found = self.queries.remove(&id).unwrap_or_default();
        if let Some((name, how)) = answer {
            let ok = how.is_ok() || found.value.is_some();
            say(name, json!({"ok": ok, "err": how.err(), "peers": found.peers, "value": found.value}));
        }
    }

    fn event(&mut self, event: SwarmEvent<AllEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                say("up", json!({"peer": self.swarm.local_peer_id().to_string(), "addr": address.to_string()}));
            }
            SwarmEvent::Behaviour(AllEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                if info.protocols.iter().any(|p| p.as_ref() == self.protocol) {
                    for a in info.listen_addrs {
                        self.swarm.behaviour_mut().kad.add_address(&peer_id, a);
                    }
                }
            }
            SwarmEvent::Behaviour(AllEvent::Kad(kad::Event::OutboundQueryProgressed { id, result, step, .. })) => {
                self.result(id, result, step.last);
            }
            _ => {}
        }
    }
}

async fn run(args: Vec<String>) {
    let at = args.iter().position(|a| a == "-protocol");
    let protocol = at.and_then(|i| args.get(i + 1)).cloned().unwrap_or("/ipfs/kad/1.0.0".into());
    let key = identity::Keypair::generate_ed25519();
    let id = key.public().to_peer_id();
    let mut config = kad::Config::new(StreamProtocol::try_from_owned(protocol.clone()).expect("a protocol id"));
    config.set_query_timeout(Duration::from_secs(20)).set_periodic_bootstrap_interval(Some(Duration::from_secs(5)));
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|key| All {
            identify: identify::Behaviour::new(identify::Config::new("p2p/1.0.0".into(), key.public())),
            kad: kad::Behaviour::with_config(id, MemoryStore::new(id), config),
        })
        .expect("a behaviour")
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    swarm.behaviour_mut().kad.set_mode(Some(Mode::Server));
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("listening");
    let mut peer = Peer { swarm, protocol, queries: HashMap::new() };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            event = peer.swarm.select_next_some() => peer.event(event),
            line = lines.next_line() => match line {
                Ok(Some(line)) if peer.command(&line) => {}
                _ => return,
            },
        }
    }
}

pub fn main(args: Vec<String>) {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(run(args));
    std::process::exit(0); // reading stdin holds a thread of the runtime
}
