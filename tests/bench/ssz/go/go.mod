module bench.test/ssz

go 1.26.0

require github.com/ferranbt/fastssz v0.1.4

require (
	github.com/emicklei/dot v1.6.2 // indirect
	github.com/klauspost/cpuid/v2 v2.0.9 // indirect
	github.com/minio/sha256-simd v1.0.0 // indirect
	github.com/mitchellh/mapstructure v1.3.2 // indirect
	github.com/prysmaticlabs/gohashtree v0.0.4-beta // indirect
	gopkg.in/yaml.v2 v2.3.0 // indirect
)

tool github.com/ferranbt/fastssz/sszgen
