// gopeer: a scriptable go-libp2p + discv5 test peer. JSON lines out on stdout,
// one command a line on stdin.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/discover"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/enr"
	"github.com/golang/snappy"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

const rr = "/eth2/beacon_chain/req/"

var outMu sync.Mutex

func emit(ev string, kv ...any) {
	m := map[string]any{"ev": ev}
	for i := 0; i+1 < len(kv); i += 2 {
		if e, ok := kv[i+1].(error); ok {
			kv[i+1] = e.Error()
		}
		m[kv[i].(string)] = kv[i+1]
	}
	b, _ := json.Marshal(m)
	outMu.Lock()
	defer outMu.Unlock()
	fmt.Println(string(b))
}

func must(err error) {
	if err != nil {
		emit("fatal", "err", err)
		os.Exit(1)
	}
}

func writeChunk(w io.Writer, ssz []byte) error {
	var v [binary.MaxVarintLen64]byte
	if _, err := w.Write(v[:binary.PutUvarint(v[:], uint64(len(ssz)))]); err != nil {
		return err
	}
	sw := snappy.NewBufferedWriter(w)
	if _, err := sw.Write(ssz); err != nil {
		return err
	}
	return sw.Close()
}

func readChunk(r *bufio.Reader, max uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > max {
		return nil, fmt.Errorf("chunk of %d bytes over %d", n, max)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(snappy.NewReader(r), b)
	return b, err
}

func request(h host.Host, p peer.ID, proto string, body []byte) (code byte, resp []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := h.NewStream(ctx, p, protocol.ID(rr+proto+"/ssz_snappy"))
	if err != nil {
		return 0, nil, err
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(5 * time.Second))
	if body != nil {
		if err = writeChunk(s, body); err != nil {
			return 0, nil, err
		}
	}
	if err = s.CloseWrite(); err != nil {
		return 0, nil, err
	}
	br := bufio.NewReader(s)
	if code, err = br.ReadByte(); err != nil {
		return 0, nil, err
	}
	resp, err = readChunk(br, 10<<20)
	return code, resp, err
}

func zeros(w io.Writer, n uint64) error {
	piece := make([]byte, 1<<16)
	for n > 0 {
		if n < uint64(len(piece)) {
			piece = piece[:n]
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
		n -= uint64(len(piece))
	}
	return nil
}

func main() {
	keyHex := flag.String("key", "", "secp256k1 key, 32 bytes hex; random when empty")
	ip := flag.String("ip", "127.0.0.1", "address")
	tcpPort := flag.Int("tcp", 0, "TCP port")
	udpPort := flag.Int("udp", 0, "discv5 UDP port; -1: no discv5")
	muxers := flag.String("muxers", "yamux", "yamux, mplex, or both comma-separated in order of preference; or quic, without TCP")
	boot := flag.String("boot", "", "ENR of a bootnode")
	noEarly := flag.Bool("noearly", false, "no muxer negotiation inside the noise handshake")
	identity := flag.String("identity", "", "libp2p identity of another type than -key: ed25519, ecdsa, rsa")
	blocks := flag.String("blocks", "", "file of blocks to serve: see blocks.go")
	digest := flag.String("digest", "01020304", "fork digest for status and the ENR's eth2")
	flag.Parse()
	started := time.Now()

	var raw []byte
	if *keyHex != "" {
		var err error
		raw, err = hex.DecodeString(*keyHex)
		must(err)
	} else {
		k, err := gcrypto.GenerateKey()
		must(err)
		raw = gcrypto.FromECDSA(k)
	}
	var lk crypto.PrivKey
	lk, err := crypto.UnmarshalSecp256k1PrivateKey(raw)
	must(err)
	if kind, ok := map[string]int{"ed25519": crypto.Ed25519, "ecdsa": crypto.ECDSA, "rsa": crypto.RSA}[*identity]; ok {
		lk, _, err = crypto.GenerateKeyPair(kind, 2048)
		must(err)
	}
	gk, err := gcrypto.ToECDSA(raw)
	must(err)
	fd, err := hex.DecodeString(*digest)
	must(err)

	opts := []libp2p.Option{
		libp2p.Identity(lk),
		libp2p.UserAgent("gopeer/0"),
		libp2p.Ping(false),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
	}
	family := map[bool]string{false: "ip4", true: "ip6"}[strings.Contains(*ip, ":")]
	if *muxers == "quic" {
		opts = append(opts, libp2p.ListenAddrStrings(fmt.Sprintf("/%s/%s/udp/%d/quic-v1", family, *ip, *tcpPort)),
			libp2p.Transport(libp2pquic.NewTransport))
	} else {
		opts = append(opts, libp2p.ListenAddrStrings(fmt.Sprintf("/%s/%s/tcp/%d", family, *ip, *tcpPort)),
			libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()))
	}
	if *noEarly {
		opts = append(opts, libp2p.Security(noise.ID, func(id protocol.ID, k crypto.PrivKey) (*noise.Transport, error) {
			return noise.New(id, k, nil)
		}))
	} else {
		opts = append(opts, libp2p.Security(noise.ID, noise.New))
	}
	for _, m := range strings.Split(*muxers, ",") {
		switch m {
		case "yamux":
			opts = append(opts, libp2p.Muxer(yamux.ID, yamux.DefaultTransport))
		case "mplex":
			opts = append(opts, libp2p.Muxer(mplexID, mplexMuxer{}))
		}
	}
	h, err := libp2p.New(opts...)
	must(err)
	ps := ping.NewPingService(h)
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			st := c.ConnState()
			emit("connected", "peer", c.RemotePeer(), "dir", c.Stat().Direction.String(), "addr", c.RemoteMultiaddr(),
				"sec", st.Security, "mux", st.StreamMultiplexer, "early", st.UsedEarlyMuxerNegotiation)
		},
		DisconnectedF: func(_ network.Network, c network.Conn) { emit("disconnected", "peer", c.RemotePeer()) },
	})
	sub, err := h.EventBus().Subscribe([]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerIdentificationFailed)})
	must(err)
	go func() {
		for e := range sub.Out() {
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				emit("identify", "peer", e.Peer, "agent", e.AgentVersion, "protos", e.Protocols, "version", e.ProtocolVersion, "listen", e.ListenAddrs)
			case event.EvtPeerIdentificationFailed:
				emit("identify_failed", "peer", e.Peer, "err", e.Reason)
			}
		}
	}()

	// fork digest, finalized root and epoch, head root and slot, earliest available slot
	stV2 := append(append(bytes.Clone(fd), make([]byte, 40)...), append(bytes.Repeat([]byte{0xaa}, 32), append([]byte{7}, make([]byte, 15)...)...)...)
	stV1 := stV2[:84]
	// sequence number, attnets, syncnets, custody group count
	mdV3 := append([]byte{3}, make([]byte, 24)...)
	mdV3[17] = 4
	mdV2 := mdV3[:17]
	seq := binary.LittleEndian.AppendUint64(nil, 3)
	bodies := map[string][]byte{"status/1": stV1, "status/2": stV2, "ping/1": seq, "goodbye/1": binary.LittleEndian.AppendUint64(nil, 1), "metadata/2": nil, "metadata/3": nil}
	replies := map[string][]byte{"status/1": stV1, "status/2": stV2, "ping/1": seq, "metadata/2": mdV2, "metadata/3": mdV3, "goodbye/1": nil}
	for name, reply := range replies {
		h.SetStreamHandler(protocol.ID(rr+name+"/ssz_snappy"), func(s network.Stream) {
			defer s.Close()
			s.SetDeadline(time.Now().Add(5 * time.Second))
			var req []byte
			var err error
			if bodies[name] != nil {
				req, err = readChunk(bufio.NewReader(s), 10<<20)
			}
			emit("req", "peer", s.Conn().RemotePeer(), "proto", name, "body", hex.EncodeToString(req), "err", err)
			if err != nil || reply == nil {
				return
			}
			s.Write([]byte{0})
			if err := writeChunk(s, reply); err != nil {
				emit("req_reply_failed", "proto", name, "err", err)
			}
		})
	}

	if *blocks != "" {
		serveBlocks(h, *blocks)
	}

	h.SetStreamHandler("/p2pd/echo/1", func(s network.Stream) {
		defer s.Close()
		if _, err := io.Copy(s, s); err != nil {
			emit("echo_handler_failed", "err", err)
			s.Reset()
		}
	})

	// Spec: libp2p/specs perf/perf.md: how many bytes to answer, then any bytes up to the end
	h.SetStreamHandler("/perf/1.0.0", func(s network.Stream) {
		defer s.Close()
		var want uint64
		err := binary.Read(s, binary.BigEndian, &want)
		if err == nil {
			_, err = io.Copy(io.Discard, s)
		}
		if err == nil {
			err = zeros(s, want)
		}
		if err != nil {
			emit("perf_handler_failed", "err", err)
			s.Reset()
		}
	})

	var d5 *discover.UDPv5
	enrText := ""
	if *udpPort >= 0 {
		uc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(*ip), Port: *udpPort})
		must(err)
		db, err := enode.OpenDB("")
		must(err)
		ln := enode.NewLocalNode(db, gk)
		ln.SetStaticIP(net.ParseIP(*ip))
		ln.SetFallbackUDP(uc.LocalAddr().(*net.UDPAddr).Port)
		for _, a := range h.Addrs() {
			if p, err := a.ValueForProtocol(6); err == nil {
				var n uint16
				fmt.Sscan(p, &n)
				ln.Set(enr.TCP(n))
			}
		}
		ln.Set(enr.WithEntry("eth2", append(append(append([]byte{}, fd...), 1, 0, 0, 0), bytes.Repeat([]byte{0xff}, 8)...)))
		ln.Set(enr.WithEntry("attnets", make([]byte, 8)))
		ln.Set(enr.WithEntry("syncnets", []byte{0}))
		ln.Set(enr.WithEntry("cgc", uint64(4)))
		cfg := discover.Config{PrivateKey: gk, PingInterval: time.Second, V5RespTimeout: 2 * time.Second}
		if *boot != "" {
			n, err := enode.Parse(enode.ValidSchemes, *boot)
			must(err)
			cfg.Bootnodes = []*enode.Node{n}
		}
		d5, err = discover.ListenV5(uc, ln, cfg)
		must(err)
		d5.RegisterTalkHandler("echo", func(n *enode.Node, a *net.UDPAddr, b []byte) []byte {
			emit("talk", "from", n.ID().String(), "body", hex.EncodeToString(b))
			return b
		})
		enrText = d5.Self().String()
	}
	emit("up", "peer", h.ID(), "addrs", h.Addrs(), "enr", enrText, "ms", time.Since(started).Milliseconds())

	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<20)
	for in.Scan() {
		f := strings.Fields(in.Text())
		if len(f) == 0 {
			continue
		}
		arg := func(i int) string {
			if i < len(f) {
				return f[i]
			}
			return ""
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		switch f[0] {
		case "connect": // connect MULTIADDR/p2p/ID
			ai, err := peer.AddrInfoFromString(arg(1))
			if err == nil {
				err = h.Connect(ctx, *ai)
			}
			emit("connect", "err", err)
		case "ping": // ping PEERID
			p, _ := peer.Decode(arg(1))
			r := <-ps.Ping(ctx, p)
			emit("ping", "us", r.RTT.Microseconds(), "err", r.Error)
		case "req": // req PEERID status/2 [hex]
			p, _ := peer.Decode(arg(1))
			body := bodies[arg(2)]
			if arg(3) != "" {
				body, _ = hex.DecodeString(arg(3))
			}
			code, resp, err := request(h, p, arg(2), body)
			emit("resp", "proto", arg(2), "code", code, "body", hex.EncodeToString(resp), "err", err)
		case "echo": // echo PEERID BYTES STREAMS
			p, _ := peer.Decode(arg(1))
			var n, streams int
			fmt.Sscan(arg(2), &n)
			fmt.Sscan(arg(3), &streams)
			t0 := time.Now()
			var mu sync.Mutex
			got := 0
			var first error
			var wg sync.WaitGroup
			data := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, n/7+1)[:n]
			sem := make(chan struct{}, 100)
			for i := 0; i < streams; i++ {
				wg.Add(1)
				go func() {
					defer wg.Done()
					sem <- struct{}{}
					defer func() { <-sem }()
					s, err := h.NewStream(context.Background(), p, "/p2pd/echo/1")
					k := 0
					if err == nil {
						go func() { s.Write(data); s.CloseWrite() }()
						var back []byte
						back, err = io.ReadAll(s)
						k = len(back)
						if err == nil && !bytes.Equal(back, data) {
							err = fmt.Errorf("other bytes came back")
						}
						s.Close()
					}
					mu.Lock()
					got += k
					if err != nil && first == nil {
						first = err
					}
					mu.Unlock()
				}()
			}
			wg.Wait()
			emit("echo", "sent", n*streams, "got", got, "err", first, "ms", time.Since(t0).Milliseconds())
		case "perf": // perf PEERID UP DOWN: bytes to it, then bytes from it
			p, _ := peer.Decode(arg(1))
			var up, down uint64
			fmt.Sscan(arg(2), &up)
			fmt.Sscan(arg(3), &down)
			var got int64
			s, err := h.NewStream(context.Background(), p, "/perf/1.0.0")
			if err == nil {
				err = binary.Write(s, binary.BigEndian, down)
			}
			if err == nil {
				err = zeros(s, up)
			}
			if err == nil {
				err = s.CloseWrite()
			}
			if err == nil {
				got, err = io.Copy(io.Discard, s)
				s.Close()
			}
			emit("perf", "got", got, "err", err)
		case "storm": // storm PEERID STREAMS SEED: streams that end in every way, many at once
			p, _ := peer.Decode(arg(1))
			var n int
			var seed int64
			fmt.Sscan(arg(2), &n)
			fmt.Sscan(arg(3), &seed)
			random := rand.New(rand.NewSource(seed))
			var wg sync.WaitGroup
			var opened, echoed, wrong atomic.Int64
			var first atomic.Value
			sem := make(chan struct{}, 200)
			for i := 0; i < n; i++ {
				size, how := random.Intn(100_000), random.Intn(5)
				wg.Add(1)
				go func() {
					defer wg.Done()
					sem <- struct{}{}
					defer func() { <-sem }()
					s, err := h.NewStream(context.Background(), p, "/p2pd/echo/1")
					if err != nil {
						return
					}
					opened.Add(1)
					data := bytes.Repeat([]byte{byte(size)}, size)
					if how == 0 { // at once
						s.Reset()
						return
					}
					go func() {
						s.Write(data)
						if how != 1 {
							s.CloseWrite()
						}
					}()
					switch how {
					case 1: // in the middle of both ways
						io.CopyN(io.Discard, s, int64(size/2))
						s.Reset()
					case 2: // half-closed, then given up
						io.CopyN(io.Discard, s, int64(size/3))
						s.Reset()
					case 3: // closed while the echo still comes
						s.Close()
					default:
						back, err := io.ReadAll(s)
						if err == nil && bytes.Equal(back, data) {
							echoed.Add(1)
						} else {
							wrong.Add(1)
							first.CompareAndSwap(nil, fmt.Sprintf("%d of %d bytes: %v", len(back), size, err))
						}
						s.Close()
					}
				}()
			}
			wg.Wait()
			emit("storm", "opened", opened.Load(), "echoed", echoed.Load(), "wrong", wrong.Load(), "first", first.Load(), "conns", len(h.Network().ConnsToPeer(p)))
		case "churn": // churn N MULTIADDR/p2p/ID: connect and close, one after the other
			var n int
			fmt.Sscan(arg(1), &n)
			ai, err := peer.AddrInfoFromString(arg(2))
			t0 := time.Now()
			done := 0
			for ; err == nil && done < n; done++ {
				if err = h.Connect(context.Background(), *ai); err == nil {
					err = h.Network().ClosePeer(ai.ID)
				}
			}
			emit("churn", "done", done, "err", err, "ms", time.Since(t0).Milliseconds())
		case "swarm": // swarm N MULTIADDR/p2p/ID: N hosts of other identities, each connected once
			var n int
			fmt.Sscan(arg(1), &n)
			ai, err := peer.AddrInfoFromString(arg(2))
			up := 0
			for ; err == nil && up < n; up++ {
				var one host.Host
				transport := libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport())
				if *muxers == "quic" {
					transport = libp2p.Transport(libp2pquic.NewTransport)
				}
				one, err = libp2p.New(libp2p.NoListenAddrs, transport,
					libp2p.Security(noise.ID, noise.New), libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
					libp2p.Ping(false), libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{}))
				if err == nil {
					err = one.Connect(context.Background(), *ai)
				}
			}
			emit("swarm", "up", up, "err", err)
		case "close":
			p, _ := peer.Decode(arg(1))
			emit("close", "err", h.Network().ClosePeer(p))
		case "d5set": // d5set KEY HEX
			value, err := hex.DecodeString(arg(2))
			if err == nil {
				d5.LocalNode().Set(enr.WithEntry(arg(1), value))
			}
			emit("d5set", "enr", d5.Self().String(), "seq", d5.Self().Seq(), "err", err)
		case "d5ping", "d5enr", "d5talk", "d5find":
			n, err := enode.Parse(enode.ValidSchemes, arg(1))
			if err != nil {
				emit(f[0], "err", err)
				break
			}
			switch f[0] {
			case "d5ping":
				_, err = d5.Ping(n)
				emit("d5ping", "err", err)
			case "d5enr":
				r, err := d5.RequestENR(n)
				if err == nil {
					emit("d5enr", "enr", r.String())
				} else {
					emit("d5enr", "err", err)
				}
			case "d5talk":
				b, _ := hex.DecodeString(arg(3))
				r, err := d5.TalkRequest(n, arg(2), b)
				emit("d5talk", "body", hex.EncodeToString(r), "err", err)
			case "d5find":
				var out []string
				for _, x := range d5.Lookup(n.ID()) {
					out = append(out, x.String())
				}
				emit("d5find", "enrs", out)
			}
		case "mem":
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			emit("mem", "sys", m.Sys, "heap", m.HeapAlloc)
		case "quit":
			cancel()
			h.Close()
			if d5 != nil {
				d5.Close()
			}
			return
		}
		cancel()
	}
}
