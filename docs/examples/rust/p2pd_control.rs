//! A program beside beacon-p2pd in Rust: the control protocol (docs/control.md) on the standard library, and a validator.
//!
//!     rustc --edition 2021 -O p2pd_control.rs && ./p2pd_control SOCKET GENESIS_TIME SECONDS_PER_SLOT [TOPIC...]
//!
//! It judges what comes on the topics (default: all), one JSON line a message. Its checks: the message's slot is of the present,
//! and an attestation has one of its two sizes. Put your client's own in the place of `judge`.

use std::env;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{SystemTime, UNIX_EPOCH};

const HELLO: u8 = 0x01;
const SUBSCRIBE: u8 = 0x02;
const VERDICTS: u8 = 0x04;
const WELCOME: u8 = 0x81;
const RESULT: u8 = 0x82;
const MESSAGE: u8 = 0x83;
const LOST: u8 = 0x84;
const BYE: u8 = 0x85;
const JUDGE: u8 = 1;
const ACCEPT: u8 = 0;
const IGNORE: u8 = 1;
const REJECT: u8 = 2;

struct Message<'a> {
    id: u64,
    time: u64,
    wait: u32,
    topic: &'a str,
    data: &'a [u8],
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a frame of the daemon's is whole")
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes(number(bytes, at)) as usize
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(number(bytes, at))
}

fn frame(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = [&[kind][..], &parts.concat()].concat();
    [&(body.len() as u32).to_le_bytes()[..], &body].concat()
}

fn text(s: &str) -> Vec<u8> {
    [&(s.len() as u16).to_le_bytes()[..], s.as_bytes()].concat()
}

/// MESSAGE: ID u64, TIME u64, WAIT u32, HASH 20, PEER u8 length, TOPIC u16 length, DATA the rest.
fn parse(f: &[u8]) -> Message<'_> {
    let peer_end = 42 + f[41] as usize;
    let topic_end = peer_end + 2 + u16_at(f, peer_end);
    Message {
        id: u64_at(f, 1),
        time: u64_at(f, 9),
        wait: u32::from_le_bytes(number(f, 17)),
        topic: std::str::from_utf8(&f[peer_end + 2..topic_end]).unwrap_or(""),
        data: &f[topic_end..],
    }
}

fn judge(m: &Message, genesis: f64, seconds_per_slot: f64) -> u8 {
    let name = m.topic.split('/').nth(3).unwrap_or("");
    let at = match (name, m.data.len()) {
        ("beacon_block", n) if n > 108 => 100,
        (x, 240) if x.starts_with("beacon_attestation_") => 16,
        (x, 229..=485) if x.starts_with("beacon_attestation_") => 4,
        (x, _) if x.starts_with("beacon_attestation_") => return REJECT,
        _ => return ACCEPT,
    };
    let slot = u64_at(m.data, at) as f64;
    let now = (m.time as f64 / 1e9 - genesis) / seconds_per_slot;
    if slot > now + 1.0 || slot < now - 64.0 { IGNORE } else { ACCEPT }
}

fn read(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    input.read_exact(&mut size)?;
    let mut f = vec![0; u32::from_le_bytes(size) as usize];
    input.read_exact(&mut f)?;
    Ok(f)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = env::args().collect();
    let [_, path, genesis, seconds_per_slot, topics @ ..] = &args[..] else {
        return Err("usage: p2pd_control SOCKET GENESIS_TIME SECONDS_PER_SLOT [TOPIC...]".into());
    };
    let (genesis, seconds_per_slot): (f64, f64) = (genesis.parse()?, seconds_per_slot.parse()?);
    let everything = ["*".to_string()];
    let topics = if topics.is_empty() { &everything[..] } else { topics };
    let mut output = UnixStream::connect(path)?;
    let mut input = BufReader::with_capacity(1 << 20, output.try_clone()?);
    let mut entries: Vec<u8> = Vec::new();

    output.write_all(&frame(HELLO, &[&1u16.to_le_bytes(), &1u16.to_le_bytes(), &text("rust")]))?;
    loop {
        let f = read(&mut input)?;
        match f[0] {
            WELCOME => {
                for (i, t) in topics.iter().enumerate() {
                    output.write_all(&frame(SUBSCRIBE, &[&(i as u32).to_le_bytes(), &[JUDGE], &text(t)]))?;
                }
            }
            RESULT if u16_at(&f, 5) != 0 => return Err(String::from_utf8_lossy(&f[9..]).into()),
            MESSAGE => {
                let m = parse(&f);
                let verdict = judge(&m, genesis, seconds_per_slot);
                if m.wait > 0 {
                    // 13 bytes: ID, verdict, score change 0
                    entries.extend_from_slice(&[&m.id.to_le_bytes()[..], &[verdict, 0, 0, 0, 0]].concat());
                }
                let delay = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() - m.time as f64 / 1e9;
                println!("{{\"topic\":\"{}\",\"verdict\":{},\"delay\":{:.6}}}", m.topic, verdict, delay);
            }
            LOST => println!("{{\"lost\":{}}}", u64_at(&f, 1)),
            BYE => return Err(String::from_utf8_lossy(&f[5..]).into()),
            _ => {} // a kind of a later daemon
        }
        if !entries.is_empty() && input.buffer().is_empty() {
            output.write_all(&frame(VERDICTS, &[&entries]))?; // what came at once is judged at once
            entries.clear();
        }
    }
}
