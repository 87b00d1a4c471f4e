// A program beside beacon-p2pd in Go: the control protocol (docs/control.md) on the standard library, and a validator.
//
//	go run p2pd_control.go SOCKET GENESIS_TIME SECONDS_PER_SLOT [TOPIC...]
//
// It judges what comes on the topics (default: all), as docs/examples/python/p2pd_control.py does, one JSON line a message.
// Put your client's own checks in the place of judge.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	hello, subscribe, verdicts          = 0x01, 0x02, 0x04
	welcome, result, message, lost, bye = 0x81, 0x82, 0x83, 0x84, 0x85
	judges                              = 1
	accept, ignore, reject              = 0, 1, 2
)

var le = binary.LittleEndian

type received struct {
	id, time   uint64
	wait       uint32
	hash, peer []byte
	topic      string
	data       []byte
}

func frame(kind byte, parts ...[]byte) []byte {
	body := append([]byte{kind}, bytes.Join(parts, nil)...)
	return append(le.AppendUint32(nil, uint32(len(body))), body...)
}

func text(s string) []byte { return append(le.AppendUint16(nil, uint16(len(s))), s...) }

// MESSAGE: ID u64, TIME u64, WAIT u32, HASH 20, PEER u8 length, TOPIC u16 length, DATA the rest.
func parse(f []byte) received {
	peerEnd := 42 + int(f[41])
	topicEnd := peerEnd + 2 + int(le.Uint16(f[peerEnd:]))
	return received{le.Uint64(f[1:]), le.Uint64(f[9:]), le.Uint32(f[17:]), f[21:41], f[42:peerEnd],
		string(f[peerEnd+2 : topicEnd]), f[topicEnd:]}
}

// Spec: consensus-specs specs/altair/p2p-interface.md, "The gossip domain: gossipsub".
func messageID(topic string, ssz []byte) []byte {
	h := sha256.New()
	h.Write([]byte{1, 0, 0, 0})
	h.Write(le.AppendUint64(nil, uint64(len(topic))))
	io.WriteString(h, topic)
	h.Write(ssz)
	return h.Sum(nil)[:20]
}

// slotOf is the slot that a block or an attestation is of.
func slotOf(m received) (uint64, bool) {
	name := strings.Split(m.topic, "/")[3]
	at := 0
	switch {
	case name == "beacon_block":
		at = 100
	case strings.HasPrefix(name, "beacon_attestation_") && len(m.data) == 240:
		at = 16
	case strings.HasPrefix(name, "beacon_attestation_"):
		at = 4
	default:
		return 0, false
	}
	return le.Uint64(m.data[at:]), true
}

func judge(m received, genesis, secondsPerSlot float64) byte {
	if !bytes.Equal(messageID(m.topic, m.data), m.hash) {
		return reject
	}
	now := (float64(m.time)/1e9 - genesis) / secondsPerSlot
	if slot, known := slotOf(m); known && (float64(slot) > now+1 || float64(slot) < now-64) {
		return ignore
	}
	return accept
}

func read(r *bufio.Reader) []byte {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		log.Fatal("the daemon has closed the control socket")
	}
	f := make([]byte, le.Uint32(size[:]))
	if _, err := io.ReadFull(r, f); err != nil {
		log.Fatal(err)
	}
	return f
}

func number(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		log.Fatal(err)
	}
	return x
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: p2pd_control SOCKET GENESIS_TIME SECONDS_PER_SLOT [TOPIC...]")
	}
	conn, err := net.Dial("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	genesis, secondsPerSlot, topics := number(os.Args[2]), number(os.Args[3]), os.Args[4:]
	if len(topics) == 0 {
		topics = []string{"*"}
	}
	in, out := bufio.NewReaderSize(conn, 1<<20), json.NewEncoder(os.Stdout)
	conn.Write(frame(hello, le.AppendUint16(nil, 1), le.AppendUint16(nil, 1), text("go")))
	var entries []byte
	for {
		switch f := read(in); f[0] {
		case welcome:
			for i, t := range topics {
				conn.Write(frame(subscribe, le.AppendUint32(nil, uint32(i)), []byte{judges}, text(t)))
			}
		case result:
			if le.Uint16(f[5:]) != 0 {
				log.Fatalf("%s: %s", topics[le.Uint32(f[1:])], f[9:])
			}
		case message:
			m := parse(f)
			verdict := judge(m, genesis, secondsPerSlot)
			if m.wait > 0 { // 13 bytes: ID, verdict, score change 0
				entries = append(append(le.AppendUint64(entries, m.id), verdict), 0, 0, 0, 0)
			}
			delay := float64(time.Now().UnixNano())/1e9 - float64(m.time)/1e9
			out.Encode(map[string]any{"topic": m.topic, "verdict": verdict, "delay": delay})
		case lost:
			out.Encode(map[string]any{"lost": le.Uint64(f[1:])})
		case bye:
			log.Fatalf("closed: %s", f[5:])
		}
		if len(entries) > 0 && in.Buffered() == 0 { // what came at once is judged at once
			conn.Write(frame(verdicts, entries))
			entries = entries[:0]
		}
	}
}
