// A node of the example network on go-libp2p: /example-ws/1.0.0, the message protocol of docs/protocols/message.md.
//
//	example-ws MULTIADDR...
//
// It keeps connected with the nodes named, hands its transactions to all of them, takes theirs, and asks for the pool of
// each that it meets. It has no gossip: it says so in its HELLO, and the others tell it every transaction.
//
// stdin: "tx TEXT" makes a transaction; stdout: a JSON line whenever the pool has changed.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	protocolID = "/example-ws/1.0.0"
	messageMax = 1 << 20
	txMax      = 1000
	poolMax    = 10000

	tell, ask, answer                   = 0, 1, 2    // kinds
	typeTx, typePool, typeGet, typeHello = 1, 2, 3, 4 // types of ours
)

type message struct {
	kind         byte
	what, number uint64
	data         []byte
}

func (m message) bytes() []byte {
	body := binary.AppendUvarint([]byte{m.kind}, m.what)
	if m.kind != tell {
		body = binary.AppendUvarint(body, m.number)
	}
	body = append(body, m.data...)
	return append(binary.AppendUvarint(nil, uint64(len(body))), body...)
}

func read(in *bufio.Reader) (message, error) {
	var m message
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return m, err
	}
	if n == 0 || n > messageMax {
		return m, errors.New("length")
	}
	body := make([]byte, n)
	if _, err = io.ReadFull(in, body); err != nil {
		return m, err
	}
	m.kind = body[0]
	what, used := binary.Uvarint(body[1:])
	if used <= 0 || m.kind > answer {
		return m, errors.New("head")
	}
	m.what, body = what, body[1+used:]
	if m.kind != tell {
		if m.number, used = binary.Uvarint(body); used <= 0 {
			return m, errors.New("number")
		}
		body = body[used:]
	}
	m.data = body
	return m, nil
}

// One stream, both ways. What waits to be written is bounded: a peer that does not read is left.
type link struct {
	stream network.Stream
	out    chan message
	next   uint64
	asked  map[uint64]func(message)
}

type node struct {
	host  host.Host
	mu    sync.Mutex
	pool  map[[32]byte][]byte
	links map[peer.ID]*link
}

func (n *node) say(l *link, m message) {
	select {
	case l.out <- m:
	default:
		_ = l.stream.Reset()
	}
}

func (n *node) ask(l *link, what uint64, data []byte, then func(message)) {
	l.next++
	l.asked[l.next] = then
	n.say(l, message{kind: ask, what: what, number: l.next, data: data})
}

// With the lock held. A transaction that is new is told to all but who brought it.
func (n *node) add(tx []byte, from *link) {
	key := sha256.Sum256(tx)
	if _, known := n.pool[key]; known || len(tx) == 0 || len(tx) > txMax || len(n.pool) == poolMax {
		return
	}
	n.pool[key] = tx
	for _, l := range n.links {
		if l != from {
			n.say(l, message{kind: tell, what: typeTx, data: tx})
		}
	}
	n.report()
}

func (n *node) report() {
	keys := make([]string, 0, len(n.pool))
	for key := range n.pool {
		keys = append(keys, string(key[:]))
	}
	sort.Strings(keys)
	all := sha256.Sum256([]byte(strings.Join(keys, "")))
	line, _ := json.Marshal(map[string]any{"pool": len(keys), "digest": hex.EncodeToString(all[:8]), "links": len(n.links)})
	fmt.Println(string(line))
}

func (n *node) take(l *link, m message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case m.kind == tell && m.what == typeTx:
		n.add(m.data, l)
	case m.kind == ask && m.what == typePool:
		keys := []byte{}
		for key := range n.pool {
			keys = append(keys, key[:]...)
		}
		n.say(l, message{kind: answer, number: m.number, data: keys})
	case m.kind == ask && m.what == typeGet && len(m.data) == 32:
		tx, known := n.pool[[32]byte(m.data)]
		if known {
			n.say(l, message{kind: answer, number: m.number, data: tx})
		} else {
			n.say(l, message{kind: answer, what: 3, number: m.number})
		}
	case m.kind == answer:
		if then := l.asked[m.number]; then != nil {
			delete(l.asked, m.number)
			if m.what == 0 {
				then(m)
			}
		}
	}
}

func (n *node) poll(l *link) {
	n.ask(l, typePool, nil, func(m message) {
		for at := 0; at+32 <= len(m.data); at += 32 {
			if _, known := n.pool[[32]byte(m.data[at:at+32])]; !known {
				n.ask(l, typeGet, m.data[at:at+32], func(m message) { n.add(m.data, l) })
			}
		}
	})
}

// Reads the stream to its end. A peer has one link: the newest, whoever opened it.
func (n *node) run(s network.Stream) {
	id := s.Conn().RemotePeer()
	l := &link{stream: s, out: make(chan message, poolMax), asked: map[uint64]func(message){}}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case m := <-l.out:
				if _, err := s.Write(m.bytes()); err != nil {
					_ = s.Reset()
					return
				}
			case <-done:
				return
			}
		}
	}()
	n.mu.Lock()
	n.links[id] = l
	n.say(l, message{kind: tell, what: typeHello, data: []byte("no gossip")})
	n.poll(l)
	n.report()
	n.mu.Unlock()
	for in := bufio.NewReader(s); ; {
		m, err := read(in)
		if err != nil {
			break
		}
		n.take(l, m)
	}
	_ = s.Reset()
	close(done)
	n.mu.Lock()
	if n.links[id] == l {
		delete(n.links, id)
	}
	n.report()
	n.mu.Unlock()
}

// Connected and with a stream, again and again.
func (n *node) keep(addr string) {
	for ; ; time.Sleep(500 * time.Millisecond) {
		info, err := peer.AddrInfoFromString(addr)
		if err != nil {
			fmt.Fprintln(os.Stderr, addr, err)
			os.Exit(2)
		}
		n.mu.Lock()
		there := n.links[info.ID] != nil
		n.mu.Unlock()
		if there {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if n.host.Connect(ctx, *info) == nil {
			if s, err := n.host.NewStream(ctx, info.ID, protocolID); err == nil {
				go n.run(s)
				time.Sleep(200 * time.Millisecond)
			}
		}
		cancel()
	}
}

func main() {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	n := &node{host: h, pool: map[[32]byte][]byte{}, links: map[peer.ID]*link{}}
	h.SetStreamHandler(protocolID, n.run)
	for _, addr := range os.Args[1:] {
		go n.keep(addr)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if tx, ok := strings.CutPrefix(in.Text(), "tx "); ok {
			n.mu.Lock()
			n.add([]byte(tx), nil)
			n.mu.Unlock()
		}
	}
}
