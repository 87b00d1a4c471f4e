// One object, decoded and hashed by fastssz over gohashtree (SHA-NI or AVX-512, in batches) or,
// with HASHER=simd, over minio/sha256-simd: bench-ssz KIND FILE MILLISECONDS.
// Prints the root and nanoseconds: "ROOT DECODE+ROOT ROOT".
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	ssz "github.com/ferranbt/fastssz"
	"github.com/prysmaticlabs/gohashtree"
)

type value interface {
	UnmarshalSSZ([]byte) error
	HashTreeRootWith(ssz.HashWalker) error
}


func hashtree(dst []byte, input []byte) error { return gohashtree.HashByteSlice(dst, input) }

var hasher = ssz.NewHasherWithHashFn(hashtree)

func root(v value) [32]byte {
	hasher.Reset()
	if err := v.HashTreeRootWith(hasher); err != nil {
		panic(err)
	}
	r, err := hasher.HashRoot()
	if err != nil {
		panic(err)
	}
	return r
}

func fresh(kind string) value {
	switch kind {
	case "block":
		return new(SignedBlock)
	case "column":
		return new(Column)
	case "attestations":
		return new(Attestations)
	case "state":
		return new(State)
	}
	panic(kind + ": no such kind")
}

func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// The smaller of wall and CPU time.
func perRun(ms int64, f func() [32]byte) ([32]byte, int64) {
	start, startCPU := time.Now(), cpu()
	for n := int64(1); ; n++ {
		r := f()
		if t := time.Since(start); t.Milliseconds() >= ms {
			return r, min(t.Nanoseconds(), cpu()-startCPU) / n
		}
	}
}

func main() {
	bytes, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	kind := os.Args[1]
	ms, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		panic(err)
	}
	if kind == "attestations" { // sszgen knows no list outside of a container
		bytes = append([]byte{4, 0, 0, 0}, bytes...)
	}
	if os.Getenv("HASHER") == "simd" {
		hasher = ssz.NewHasher()
	}
	decode := func() value {
		v := fresh(kind)
		if err := v.UnmarshalSSZ(bytes); err != nil {
			panic(err)
		}
		return v
	}
	v := decode()
	r, only := perRun(ms, func() [32]byte { return root(v) })
	again, both := perRun(ms, func() [32]byte { return root(decode()) })
	if r != again {
		panic("roots differ")
	}
	fmt.Println(hex.EncodeToString(r[:]), both, only)
}
