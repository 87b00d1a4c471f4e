package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"os"

	"github.com/golang/snappy"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// serveBlocks answers beacon_blocks_by_range/2 from a file, held in memory as a warm cache would: 4 bytes of context, then for
// each slot from 1 on the length (4 bytes, little endian) and the SSZ of its block. The way Go clients do it: encoded anew for
// each answer, written as the stream takes it.
func serveBlocks(h host.Host, path string) {
	data, err := os.ReadFile(path)
	must(err)
	context := data[:4]
	var blocks [][]byte
	for at := 4; at < len(data); {
		n := int(binary.LittleEndian.Uint32(data[at:]))
		blocks = append(blocks, data[at+4:at+4+n])
		at += 4 + n
	}
	h.SetStreamHandler(rr+"beacon_blocks_by_range/2/ssz_snappy", func(s network.Stream) {
		defer s.Close()
		req, err := readChunk(bufio.NewReader(s), 24)
		if err != nil || len(req) != 24 {
			s.Reset()
			return
		}
		start, count := binary.LittleEndian.Uint64(req), binary.LittleEndian.Uint64(req[8:])
		for slot := start; slot < start+count && slot <= uint64(len(blocks)); slot++ {
			var head bytes.Buffer
			head.WriteByte(0)
			head.Write(context)
			head.Write(binary.AppendUvarint(nil, uint64(len(blocks[slot-1]))))
			if _, err := s.Write(head.Bytes()); err != nil {
				return
			}
			w := snappy.NewBufferedWriter(s)
			if _, err := w.Write(blocks[slot-1]); err != nil {
				return
			}
			if err := w.Close(); err != nil {
				return
			}
		}
	})
}
