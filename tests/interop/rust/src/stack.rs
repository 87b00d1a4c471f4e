//! `rustpeer stack`: the connection stack on rust-libp2p, with the lines that tests/net/matrix.py says and hears.
//! usage: rustpeer stack [-ip ADDR] [-muxers yamux|mplex|mplex,yamux] [-identity ed25519|ecdsa]
//! in:  connect MULTIADDR | ping PEER | echo PEER BYTES STREAMS | storm PEER STREAMS SEED | churn N MULTIADDR | close PEER | quit
//! rust-libp2p offers no muxers in the Noise handshake: with it negotiation is always inside the channel.
use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    io,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        Arc, Mutex,
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures::{future::Either, AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, PortUse},
        upgrade::{ReadyUpgrade, SelectUpgrade, Version},
        Endpoint, Transport as _,
    },
    dns, identify, identity, noise, ping, quic,
    swarm::{
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
        Config, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, StreamProtocol, SubstreamProtocol, Swarm, SwarmEvent, THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
    tcp, yamux, Multiaddr, PeerId, Stream,
};
use serde_json::{json, Value};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    sync::{mpsc, oneshot, Semaphore},
};

const ECHO: StreamProtocol = StreamProtocol::new("/p2pd/echo/1");
const PERF: StreamProtocol = StreamProtocol::new("/perf/1.0.0");
const PING: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");
const STREAMS: usize = 2000; // rust-yamux wants 256 KiB for each below its 1 GiB
const AT_ONCE: usize = 100;

fn say(ev: &str, mut more: Value) {
    more["ev"] = json!(ev);
    println!("{more}");
}

// ---- a behaviour that gives streams away: libp2p-stream drops inbound ones that come in a burst ----

type Opened = oneshot::Sender<io::Result<Stream>>;

struct Ask(StreamProtocol, Opened);

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ask({})", self.0)
    }
}

#[derive(Default)]
struct Streams {
    asks: VecDeque<(PeerId, Ask)>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Handler {
    asks: VecDeque<Ask>,
}

impl Streams {
    fn open(&mut self, peer: PeerId, ask: Ask) {
        self.asks.push_back((peer, ask));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        match self.asks.pop_front() {
            Some((peer_id, event)) => Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event }),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Ask;
    type ToBehaviour = Infallible;
    type InboundProtocol = SelectUpgrade<ReadyUpgrade<StreamProtocol>, ReadyUpgrade<StreamProtocol>>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Opened;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(SelectUpgrade::new(ReadyUpgrade::new(ECHO), ReadyUpgrade::new(PERF)), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Infallible>> {
        match self.asks.pop_front() {
            Some(Ask(protocol, opened)) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(ReadyUpgrade::new(protocol), opened).with_timeout(Duration::from_secs(60)),
            }),
            None => Poll::Pending, // woken by on_behaviour_event()
        }
    }

    fn on_behaviour_event(&mut self, ask: Ask) {
        self.asks.push_back(ask);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol, (), Self::OutboundOpenInfo>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                tokio::spawn(async {
                    let done = match protocol {
                        Either::Left(s) => serve(s).await,
                        Either::Right(s) => perf(s).await,
                    };
                    if let Err(e) = done {
                        say("served_badly", json!({"err": e.to_string()}));
                    }
                });
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                let _ = info.send(Ok(protocol));
            }
            ConnectionEvent::DialUpgradeError(e) => {
                let _ = e.info.send(Err(io::Error::other(format!("{}", e.error))));
            }
            _ => {}
        }
    }
}

/// What comes goes back.
async fn serve(mut s: Stream) -> io::Result<()> {
    let mut b = vec![0; 65536];
    loop {
        let n = s.read(&mut b).await?;
        if n == 0 {
            return s.close().await;
        }
        s.write_all(&b[..n]).await?;
        s.flush().await?;
    }
}

/// Spec: libp2p/specs perf/perf.md: how many bytes to answer, then any bytes up to the end.
async fn perf(mut s: Stream) -> io::Result<()> {
    let (mut head, mut b) = ([0; 8], vec![0; 65536]);
    s.read_exact(&mut head).await?;
    while s.read(&mut b).await? != 0 {}
    b.fill(0);
    let mut left = u64::from_be_bytes(head);
    while left != 0 {
        let n = left.min(b.len() as u64);
        s.write_all(&b[..n as usize]).await?;
        left -= n;
    }
    s.close().await
}

// ---- the node ----

#[derive(NetworkBehaviour)]
struct All {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    streams: Streams,
}

type Muxers = Arc<Mutex<HashMap<PeerId, &'static str>>>;

fn transport(key: &identity::Keypair, muxers: &str, chosen: Muxers) -> Boxed<(PeerId, StreamMuxerBox)> {
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(STREAMS);
    let mut mplex = libp2p_mplex::Config::new();
    mplex.set_max_num_streams(STREAMS);
    macro_rules! over {
        ($muxer:expr, $name:expr) => {
            dns::tokio::Transport::system(tcp::tokio::Transport::new(tcp::Config::default()))
                .expect("resolver")
                .upgrade(Version::V1Lazy)
                .authenticate(noise::Config::new(key).expect("noise"))
                .multiplex($muxer)
                .map(move |(peer, muxer), _| {
                    chosen.lock().unwrap().insert(peer, $name(&muxer));
                    (peer, StreamMuxerBox::new(muxer))
                })
                .boxed()
        };
    }
    match muxers {
        "quic" => dns::tokio::Transport::system(quic::tokio::Transport::new(quic::Config::new(key)))
            .expect("resolver")
            .map(move |(peer, muxer), _| {
                chosen.lock().unwrap().insert(peer, "/quic-v1");
                (peer, StreamMuxerBox::new(muxer))
            })
            .boxed(),
        "yamux" => over!(yamux, |_: &_| "/yamux/1.0.0"),
        "mplex" => over!(mplex, |_: &_| "/mplex/6.7.0"),
        "mplex,yamux" => over!(SelectUpgrade::new(mplex, yamux), |m: &_| match m {
            Either::Left(_) => "/mplex/6.7.0",
            Either::Right(_) => "/yamux/1.0.0",
        }),
        _ => over!(SelectUpgrade::new(yamux, mplex), |m: &_| match m {
            Either::Left(_) => "/yamux/1.0.0",
            Either::Right(_) => "/mplex/6.7.0",
        }),
    }
}

fn node(key: &identity::Keypair, muxers: &str, chosen: Muxers) -> Swarm<All> {
    let about = identify::Config::new_with_signed_peer_record("eth2/1.0.0".into(), key).with_agent_version("rustpeer/0".into());
    let behaviour = All {
        identify: identify::Behaviour::new(about),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(3600))),
        streams: Streams::default(),
    };
    let cfg = Config::with_tokio_executor()
        .with_idle_connection_timeout(Duration::from_secs(3600))
        .with_max_negotiating_inbound_streams(STREAMS);
    Swarm::new(transport(key, muxers, chosen), behaviour, key.public().to_peer_id(), cfg)
}

// ---- work on streams ----

#[derive(Clone)]
struct Opener(mpsc::UnboundedSender<(PeerId, Ask)>);

impl Opener {
    async fn open(&self, peer: PeerId, protocol: StreamProtocol) -> io::Result<Stream> {
        let (sender, receiver) = oneshot::channel();
        let gone = |_| io::Error::other("no connection");
        self.0.send((peer, Ask(protocol, sender))).map_err(|_| io::Error::other("the node has ended"))?;
        receiver.await.map_err(gone)?
    }
}

async fn ping_once(opener: Opener, peer: PeerId) -> io::Result<u128> {
    let mut s = opener.open(peer, PING).await?;
    let (since, sent, mut got) = (Instant::now(), [7u8; 32], [0u8; 32]);
    s.write_all(&sent).await?;
    s.flush().await?;
    s.read_exact(&mut got).await?;
    let us = since.elapsed().as_micros();
    s.close().await?;
    if got == sent { Ok(us) } else { Err(io::Error::other("another pong")) }
}

async fn echo_once(opener: Opener, peer: PeerId, body: Arc<Vec<u8>>) -> io::Result<usize> {
    let (mut r, mut w) = opener.open(peer, ECHO).await?.split();
    let sent = body.clone();
    let writer = tokio::spawn(async move {
        for piece in sent.chunks(65536) {
            w.write_all(piece).await?;
        }
        w.close().await
    });
    let (mut at, mut b) = (0, vec![0; 65536]);
    loop {
        let n = r.read(&mut b).await?;
        if n == 0 {
            break;
        }
        if at + n > body.len() || b[..n] != body[at..at + n] {
            return Err(io::Error::other(format!("other bytes at {at}")));
        }
        at += n;
    }
    writer.await.map_err(io::Error::other)??;
    Ok(at)
}

async fn echo(opener: Opener, peer: PeerId, bytes: usize, streams: usize) {
    let body: Arc<Vec<u8>> = Arc::new((0..bytes).map(|i| (i % 251) as u8).collect());
    let (turns, since) = (Arc::new(Semaphore::new(AT_ONCE)), Instant::now());
    let all = (0..streams).map(|_| {
        let (opener, body, turns) = (opener.clone(), body.clone(), turns.clone());
        tokio::spawn(async move {
            let _turn = turns.acquire_owned().await.expect("never closed");
            echo_once(opener, peer, body).await
        })
    });
    let (mut got, mut err) = (0, None);
    for one in futures::future::join_all(all).await {
        match one.expect("no panic") {
            Ok(n) => got += n,
            Err(e) => err = Some(e.to_string()),
        }
    }
    say("echo", json!({"sent": bytes * streams, "got": got, "err": err, "ms": since.elapsed().as_millis() as u64}));
}

/// Streams that end in every way, many at once.
async fn storm(opener: Opener, peer: PeerId, streams: usize, seed: u64) {
    let counts: Arc<[AtomicUsize; 3]> = Arc::default(); // opened, echoed, wrong
    let turns = Arc::new(Semaphore::new(2 * AT_ONCE));
    let mut random = seed | 1;
    let mut all = vec![];
    for _ in 0..streams {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let (size, how) = ((random >> 33) as usize % 100_000, (random >> 20) % 5);
        let (opener, counts, turns) = (opener.clone(), counts.clone(), turns.clone());
        all.push(tokio::spawn(async move {
            let _turn = turns.acquire_owned().await.expect("never closed");
            let body = Arc::new(vec![size as u8; size]);
            if how >= 3 {
                counts[0].fetch_add(1, Relaxed);
                let whole = echo_once(opener, peer, body).await.is_ok_and(|n| n == size);
                counts[if whole { 1 } else { 2 }].fetch_add(1, Relaxed);
                return;
            }
            let Ok(mut s) = opener.open(peer, ECHO).await else { return };
            counts[0].fetch_add(1, Relaxed);
            // Dropped unclosed is reset: 0 at once, 1 before the echo, 2 in the middle of it.
            if how >= 1 {
                let _ = s.write_all(&body).await;
                let _ = s.flush().await;
            }
            if how == 2 {
                let mut half = vec![0; size / 2];
                let _ = s.read_exact(&mut half).await;
            }
        }));
    }
    futures::future::join_all(all).await;
    let [opened, echoed, wrong] = &*counts;
    say("storm", json!({"opened": opened.load(Relaxed), "echoed": echoed.load(Relaxed), "wrong": wrong.load(Relaxed), "conns": 1}));
}

// ---- lines in, events out ----

struct Churn {
    left: usize,
    to: Multiaddr,
    since: Instant,
}

struct Peer {
    swarm: Swarm<All>,
    chosen: Muxers,
    opener: Opener,
    churn: Option<Churn>,
}

impl Peer {
    fn dial(&mut self, to: Multiaddr) {
        if let Err(e) = self.swarm.dial(to) {
            say("connect", json!({"err": e.to_string()}));
        }
    }

    /// False: quit.
    fn command(&mut self, line: &str) -> bool {
        let word: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| word.get(i).and_then(|w| w.parse().ok()).unwrap_or(0usize);
        let peer = || word[1].parse::<PeerId>().expect("a peer id");
        let opener = self.opener.clone();
        match word.first().copied() {
            Some("connect") => self.dial(word[1].parse().expect("a multiaddr")),
            Some("ping") => {
                let peer = peer();
                tokio::spawn(async move {
                    match ping_once(opener, peer).await {
                        Ok(us) => say("ping", json!({"us": us as u64})),
                        Err(e) => say("ping", json!({"err": e.to_string()})),
                    }
                });
            }
            Some("echo") => drop(tokio::spawn(echo(opener, peer(), number(2), number(3)))),
            Some("storm") => drop(tokio::spawn(storm(opener, peer(), number(2), number(3) as u64))),
            Some("churn") => {
                let to: Multiaddr = word[2].parse().expect("a multiaddr");
                self.churn = Some(Churn { left: number(1), to: to.clone(), since: Instant::now() });
                self.dial(to);
            }
            Some("close") => drop(self.swarm.disconnect_peer_id(peer())),
            Some("quit") => return false,
            _ => {}
        }
        true
    }

    fn closed(&mut self, peer: PeerId, cause: String) {
        let Some(churn) = &mut self.churn else {
            say("disconnected", json!({"peer": peer.to_string(), "why": cause}));
            return;
        };
        churn.left -= 1;
        if churn.left == 0 {
            say("churn", json!({"ms": churn.since.elapsed().as_millis() as u64}));
            self.churn = None;
        } else {
            let to = churn.to.clone();
            self.dial(to);
        }
    }

    fn event(&mut self, event: SwarmEvent<AllEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                say("up", json!({"peer": self.swarm.local_peer_id().to_string(), "addrs": [address.to_string()]}));
            }
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                if self.churn.is_some() {
                    let _ = self.swarm.disconnect_peer_id(peer_id);
                    return;
                }
                let muxer = self.chosen.lock().unwrap().get(&peer_id).copied();
                say("connected", json!({"peer": peer_id.to_string(), "mux": muxer, "outbound": endpoint.is_dialer()}));
            }
            SwarmEvent::ConnectionClosed { peer_id, cause, .. } => {
                self.closed(peer_id, cause.map(|c| c.to_string()).unwrap_or_default())
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => say("connect", json!({"err": error.to_string()})),
            SwarmEvent::IncomingConnectionError { error, .. } => say("accept_failed", json!({"err": error.to_string()})),
            SwarmEvent::Behaviour(AllEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                let protos: Vec<String> = info.protocols.iter().map(|p| p.to_string()).collect();
                say(
                    "identify",
                    json!({"peer": peer_id.to_string(), "agent": info.agent_version, "protos": protos,
                           "signed": info.signed_peer_record.is_some(), "observed": info.observed_addr.to_string()}),
                );
            }
            _ => {}
        }
    }
}

async fn run(args: Vec<String>) {
    let option = |name: &str, otherwise: &str| {
        args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned().unwrap_or(otherwise.to_string())
    };
    let key = match option("-identity", "").as_str() {
        "ed25519" => identity::Keypair::generate_ed25519(),
        "ecdsa" => identity::Keypair::generate_ecdsa(),
        _ => identity::Keypair::generate_secp256k1(),
    };
    let ip = option("-ip", "127.0.0.1");
    let (sender, mut asks) = mpsc::unbounded_channel();
    let chosen = Muxers::default();
    let muxers = option("-muxers", "yamux,mplex");
    let swarm = node(&key, &muxers, chosen.clone());
    let mut peer = Peer { swarm, chosen, opener: Opener(sender), churn: None };
    let family = if ip.contains(':') { "ip6" } else { "ip4" };
    let wire = if muxers == "quic" { "udp/0/quic-v1" } else { "tcp/0" };
    peer.swarm.listen_on(format!("/{family}/{ip}/{wire}").parse().expect("an address")).expect("listening");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            event = peer.swarm.select_next_some() => peer.event(event),
            Some((to, ask)) = asks.recv() => peer.swarm.behaviour_mut().streams.open(to, ask),
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
