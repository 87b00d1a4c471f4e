//! `rustpeer discv5 IP[,IP6] PORT [BOOT_ENR...]`: sigp's discv5. JSON lines out; in, answered by an object whose `ev` is the verb:
//! find | known | ping ENR | talk ENR PROTOCOL TEXT | enr ENR | set KEY HEX
//! TALKREQs of protocol "echo" are answered with what they hold, others with nothing. `bench` modes: see tests/bench/discv5.
use std::{net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use discv5::{ConfigBuilder, Discv5, Enr, Event, IpMode, ListenConfig, NodeContact};
use enr::{CombinedKey, NodeId};
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt as _, BufReader};

fn say(ev: &str, mut more: Value) {
    more["ev"] = json!(ev);
    println!("{more}");
}

/// The addresses to listen on and to be found at.
fn split(ips: &str) -> (Option<std::net::Ipv4Addr>, Option<std::net::Ipv6Addr>) {
    let mut found = (None, None);
    for ip in ips.split(',') {
        match ip.parse().expect("IP") {
            IpAddr::V4(ip) => found.0 = Some(ip),
            IpAddr::V6(ip) => found.1 = Some(ip),
        }
    }
    found
}

async fn up(ips: &str, port: u16) -> (Discv5, IpMode) {
    let (ip4, ip6) = split(ips);
    let key = CombinedKey::generate_secp256k1();
    let mut record = Enr::builder();
    if let Some(ip) = ip4 {
        record.ip4(ip).udp4(port);
    }
    if let Some(ip) = ip6 {
        record.ip6(ip).udp6(port);
    }
    let (listen, mode) = match (ip4, ip6) {
        (Some(ipv4), Some(ipv6)) => (ListenConfig::DualStack { ipv4, ipv4_port: port, ipv6, ipv6_port: port }, IpMode::DualStack),
        (None, Some(ip)) => (ListenConfig::Ipv6 { ip, port }, IpMode::Ip6),
        (Some(ip), None) => (ListenConfig::Ipv4 { ip, port }, IpMode::Ip4),
        (None, None) => panic!("no IP"),
    };
    let config = ConfigBuilder::new(listen).disable_enr_update().ping_interval(Duration::from_secs(2)).build();
    let mut node = Discv5::new(record.build(&key).unwrap(), key, config).unwrap();
    node.start().await.expect("start");
    (node, mode)
}

async fn talk_answers(node: Arc<Discv5>) {
    let mut events = node.event_stream().await.unwrap();
    while let Some(event) = events.recv().await {
        match event {
            Event::TalkRequest(talk) => {
                let answer = if talk.protocol() == b"echo" { talk.body().to_vec() } else { Vec::new() };
                let _ = talk.respond(answer);
            }
            // Records of those who come to us: Lighthouse puts them into its table likewise.
            Event::SessionEstablished(enr, _) => {
                let _ = node.add_enr(enr);
            }
            _ => {}
        }
    }
}

fn texts(found: Vec<Enr>) -> Value {
    json!(found.iter().map(Enr::to_base64).collect::<Vec<_>>())
}

async fn command(node: &Discv5, mode: IpMode, words: &[&str]) -> Result<Value, String> {
    let record = || Enr::from_str(words.get(1).ok_or("no record")?);
    match words[0] {
        "find" => Ok(json!({"enrs": texts(node.find_node(NodeId::random()).await.map_err(|e| e.to_string())?)})),
        "known" => Ok(json!({"enrs": texts(node.table_entries_enr())})),
        "ping" => Ok(json!({"seq": node.send_ping(record()?).await.map_err(|e| e.to_string())?.enr_seq})),
        "enr" => {
            let found = node.find_node_designated_peer(record()?, vec![0]).await.map_err(|e| e.to_string())?;
            Ok(json!({"enr": found.first().map(Enr::to_base64)}))
        }
        "talk" => {
            let contact = NodeContact::try_from_enr(record()?, mode).map_err(|_| "no address")?;
            let body = node.talk_req(contact, words[2].into(), words[3].into()).await.map_err(|e| e.to_string())?;
            Ok(json!({"body": hex::encode(body)}))
        }
        "set" => {
            node.enr_insert(words[1], &hex::decode(words[2]).unwrap().as_slice()).map_err(|e| format!("{e:?}"))?;
            Ok(json!({"enr": node.local_enr().to_base64(), "seq": node.local_enr().seq()}))
        }
        other => Err(format!("no command {other}")),
    }
}

async fn serve(args: Vec<String>) {
    let (node, mode) = up(&args[0], args[1].parse().expect("port")).await;
    let node = Arc::new(node);
    tokio::spawn(talk_answers(node.clone()));
    for boot in &args[2..] {
        node.add_enr(Enr::from_str(boot).expect("boot record")).expect("boot record's address");
    }
    say("up", json!({"enr": node.local_enr().to_base64()}));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = command(&node, mode, &words).await.unwrap_or_else(|err| json!({ "err": err }));
        say(words[0], answer);
    }
}

pub fn run(args: Vec<String>) {
    tokio::runtime::Runtime::new().unwrap().block_on(serve(args));
}
