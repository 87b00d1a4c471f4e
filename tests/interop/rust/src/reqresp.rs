//! `rustpeer reqresp`: req/resp framing on rust-libp2p, with `snap` for the frames. What is answered the test decides: each request is
//! told as a line, and a line says which chunks to send. usage: rustpeer reqresp PROTOCOL...
//! in:  {"cmd":"dial","to":ADDR} {"cmd":"ask","protocol":ID,"request":HEX|null,"context":BOOL}
//!      {"cmd":"answer","id":N,"chunks":[{"code":0,"context":HEX|null,"file":PATH,"offset":N,"size":N} | {"code":3,"text":T}]}
//!      {"cmd":"quit"}
//! out: one JSON object a line, "ev" names it
use std::{
    collections::HashMap,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    identify, identity, noise,
    swarm::{NetworkBehaviour, StreamProtocol, SwarmEvent},
    tcp, yamux, Multiaddr, PeerId, Stream,
};
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::oneshot;

#[derive(NetworkBehaviour)]
struct All {
    identify: identify::Behaviour,
    stream: libp2p_stream::Behaviour,
}

type Answers = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

fn say(ev: &str, mut more: Value) {
    more["ev"] = json!(ev);
    println!("{more}");
}

fn bad(what: &str) -> io::Error {
    io::Error::other(what.to_string())
}

// ---- framing ----

fn varint(mut n: usize, out: &mut Vec<u8>) {
    while n > 127 {
        out.push(n as u8 & 127 | 128);
        n >>= 7;
    }
    out.push(n as u8);
}

fn payload(data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    varint(data.len(), out);
    let mut frames = snap::write::FrameEncoder::new(Vec::new());
    frames.write_all(data)?;
    out.extend(frames.into_inner().map_err(|e| bad(&e.to_string()))?);
    Ok(())
}

fn read_varint(b: &mut &[u8]) -> io::Result<usize> {
    let mut n = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = b.split_first().ok_or_else(|| bad("cut varint"))?;
        *b = rest;
        n |= ((first & 127) as usize) << shift;
        if first & 128 == 0 {
            return Ok(n);
        }
    }
    Err(bad("long varint"))
}

/// The frames of one payload are those until its length is reached: the decoder takes them one by one.
fn read_payload(b: &mut &[u8]) -> io::Result<Vec<u8>> {
    let want = read_varint(b)?;
    let mut end = 0;
    let mut got = 0;
    while got < want || end == 0 {
        let head = b.get(end..end + 4).ok_or_else(|| bad("cut frame"))?;
        let size = usize::from(head[1]) | usize::from(head[2]) << 8 | usize::from(head[3]) << 16;
        let body = b.get(end + 4..end + 4 + size).ok_or_else(|| bad("cut frame"))?;
        match head[0] {
            0 => got += snap::raw::decompress_len(&body[4..]).map_err(|e| bad(&e.to_string()))?,
            1 => got += size - 4,
            _ => {}
        }
        end += 4 + size;
        if want == 0 {
            break;
        }
    }
    let mut out = Vec::new();
    snap::read::FrameDecoder::new(&b[..end]).read_to_end(&mut out)?; // checks every checksum
    *b = &b[end..];
    if out.len() != want {
        return Err(bad("another length than declared"));
    }
    Ok(out)
}

fn chunk(c: &Value) -> io::Result<Vec<u8>> {
    let mut out = vec![c["code"].as_u64().unwrap_or(0) as u8];
    if let Some(text) = c["text"].as_str() {
        payload(text.as_bytes(), &mut out)?;
        return Ok(out);
    }
    if let Some(context) = c["context"].as_str() {
        out.extend(hex::decode(context).map_err(|e| bad(&e.to_string()))?);
    }
    let data = match c["hex"].as_str() {
        Some(text) => hex::decode(text).map_err(|e| bad(&e.to_string()))?,
        None => {
            let mut f = std::fs::File::open(c["file"].as_str().unwrap_or(""))?;
            f.seek(SeekFrom::Start(c["offset"].as_u64().unwrap_or(0)))?;
            let mut data = vec![0; c["size"].as_u64().unwrap_or(0) as usize];
            f.read_exact(&mut data)?;
            data
        }
    };
    payload(&data, &mut out)?;
    Ok(out)
}

// ---- streams ----

async fn serve(id: u64, protocol: String, mut s: Stream, answers: Answers) -> io::Result<()> {
    let mut bytes = Vec::new();
    s.read_to_end(&mut bytes).await?;
    let request = if bytes.is_empty() { Value::Null } else { json!(hex::encode(read_payload(&mut &bytes[..])?)) };
    let (sender, receiver) = oneshot::channel();
    answers.lock().unwrap().insert(id, sender);
    say("asked", json!({"id": id, "protocol": protocol, "request": request}));
    let chunks = receiver.await.map_err(|_| bad("no answer"))?;
    for c in chunks.as_array().unwrap_or(&vec![]) {
        s.write_all(&chunk(c)?).await?;
    }
    s.close().await
}

async fn ask(mut control: libp2p_stream::Control, peer: PeerId, c: Value) -> io::Result<Vec<Value>> {
    let name = c["protocol"].as_str().unwrap_or("").to_string();
    let protocol = StreamProtocol::try_from_owned(name).map_err(|e| bad(&e.to_string()))?;
    let mut s = control.open_stream(peer, protocol).await.map_err(|e| bad(&e.to_string()))?;
    if let Some(request) = c["request"].as_str() {
        let mut out = Vec::new();
        payload(&hex::decode(request).map_err(|e| bad(&e.to_string()))?, &mut out)?;
        s.write_all(&out).await?;
    }
    s.close().await?;
    let mut bytes = Vec::new();
    s.read_to_end(&mut bytes).await?;
    let (mut b, mut chunks) = (&bytes[..], vec![]);
    while let Some((code, rest)) = b.split_first() {
        b = rest;
        let mut context = None;
        if *code == 0 && c["context"].as_bool().unwrap_or(false) {
            context = Some(hex::encode(b.get(..4).ok_or_else(|| bad("cut context"))?));
            b = &b[4..];
        }
        let data = read_payload(&mut b)?;
        chunks.push(json!({"code": code, "context": context, "data": hex::encode(&data)}));
    }
    Ok(chunks)
}

pub fn main(protocols: Vec<String>) {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(run(protocols));
}

async fn run(protocols: Vec<String>) {
    let mut swarm = libp2p::SwarmBuilder::with_existing_identity(identity::Keypair::from(identity::secp256k1::Keypair::generate()))
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("tcp")
        .with_behaviour(|key| All {
            identify: identify::Behaviour::new(
                identify::Config::new("eth2/1.0.0".into(), key.public()).with_agent_version("rustpeer/0".into()),
            ),
            stream: libp2p_stream::Behaviour::new(),
        })
        .expect("behaviour")
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    let answers: Answers = Arc::default();
    let next = Arc::new(Mutex::new(0u64));
    let control = swarm.behaviour().stream.new_control();
    for name in protocols {
        let mut incoming = control
            .clone()
            .accept(StreamProtocol::try_from_owned(name.clone()).expect("a protocol id"))
            .expect("accepted once");
        let (answers, next) = (answers.clone(), next.clone());
        tokio::spawn(async move {
            while let Some((_, s)) = incoming.next().await {
                let id = {
                    let mut n = next.lock().unwrap();
                    *n += 1;
                    *n
                };
                let (name, answers) = (name.clone(), answers.clone());
                tokio::spawn(async move {
                    if let Err(e) = serve(id, name.clone(), s, answers).await {
                        say("serve_failed", json!({"protocol": name, "error": e.to_string()}));
                    }
                });
            }
        });
    }
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("listening");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut peer = None;
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return };
                let c: Value = serde_json::from_str(&line).expect("a command");
                match c["cmd"].as_str() {
                    Some("dial") => swarm.dial(c["to"].as_str().unwrap_or("").parse::<Multiaddr>().expect("an address")).expect("dial"),
                    Some("answer") => {
                        let sender = answers.lock().unwrap().remove(&c["id"].as_u64().unwrap_or(0));
                        if let Some(sender) = sender {
                            let _ = sender.send(c["chunks"].clone());
                        }
                    }
                    Some("ask") => {
                        let control = control.clone();
                        let Some(peer) = peer else { say("answer", json!({"error": "no peer"})); continue };
                        tokio::spawn(async move {
                            match ask(control, peer, c).await {
                                Ok(chunks) => say("answer", json!({"chunks": chunks})),
                                Err(e) => say("answer", json!({"error": e.to_string()})),
                            }
                        });
                    }
                    _ => return,
                }
            }
            event = swarm.select_next_some() => match event {
                SwarmEvent::NewListenAddr { address, .. } => {
                    let id = *swarm.local_peer_id();
                    say("listening", json!({"addr": format!("{address}/p2p/{id}"), "peer": id.to_string()}));
                }
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    peer = peer.or(Some(peer_id)); // the first one: later ones come to ask and go
                    say("connected", json!({"peer": peer_id.to_string()}));
                }
                SwarmEvent::ConnectionClosed { peer_id, cause, .. } =>
                    say("disconnected", json!({"peer": peer_id.to_string(), "cause": cause.map(|c| c.to_string())})),
                _ => {}
            },
        }
    }
}
