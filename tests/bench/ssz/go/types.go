// The containers of the benchmark, for sszgen: go tool sszgen --path types.go
package main

type Checkpoint struct {
	Epoch uint64
	Root  []byte `ssz-size:"32"`
}
type AttestationData struct {
	Slot            uint64
	Index           uint64
	BeaconBlockRoot []byte `ssz-size:"32"`
	Source          *Checkpoint
	Target          *Checkpoint
}
type Attestation struct {
	AggregationBits []byte `ssz:"bitlist" ssz-max:"131072"`
	Data            *AttestationData
	Signature       []byte `ssz-size:"96"`
	CommitteeBits   []byte `ssz-size:"8"`
}
type Attestations struct {
	List []*Attestation `ssz-max:"16384"`
}
type IndexedAttestation struct {
	AttestingIndices []uint64 `ssz-max:"131072"`
	Data             *AttestationData
	Signature        []byte `ssz-size:"96"`
}
type AttesterSlashing struct {
	Attestation1 *IndexedAttestation
	Attestation2 *IndexedAttestation
}
type Header struct {
	Slot          uint64
	ProposerIndex uint64
	ParentRoot    []byte `ssz-size:"32"`
	StateRoot     []byte `ssz-size:"32"`
	BodyRoot      []byte `ssz-size:"32"`
}
type SignedHeader struct {
	Message   *Header
	Signature []byte `ssz-size:"96"`
}
type ProposerSlashing struct {
	SignedHeader1 *SignedHeader
	SignedHeader2 *SignedHeader
}
type Eth1Data struct {
	DepositRoot  []byte `ssz-size:"32"`
	DepositCount uint64
	BlockHash    []byte `ssz-size:"32"`
}
type DepositData struct {
	Pubkey                []byte `ssz-size:"48"`
	WithdrawalCredentials []byte `ssz-size:"32"`
	Amount                uint64
	Signature             []byte `ssz-size:"96"`
}
type Deposit struct {
	Proof [][]byte `ssz-size:"33,32"`
	Data  *DepositData
}
type VoluntaryExit struct {
	Epoch          uint64
	ValidatorIndex uint64
}
type SignedVoluntaryExit struct {
	Message   *VoluntaryExit
	Signature []byte `ssz-size:"96"`
}
type SyncAggregate struct {
	SyncCommitteeBits      []byte `ssz-size:"64"`
	SyncCommitteeSignature []byte `ssz-size:"96"`
}
type Withdrawal struct {
	Index          uint64
	ValidatorIndex uint64
	Address        []byte `ssz-size:"20"`
	Amount         uint64
}
type ExecutionPayload struct {
	ParentHash    []byte `ssz-size:"32"`
	FeeRecipient  []byte `ssz-size:"20"`
	StateRoot     []byte `ssz-size:"32"`
	ReceiptsRoot  []byte `ssz-size:"32"`
	LogsBloom     []byte `ssz-size:"256"`
	PrevRandao    []byte `ssz-size:"32"`
	BlockNumber   uint64
	GasLimit      uint64
	GasUsed       uint64
	Timestamp     uint64
	ExtraData     []byte        `ssz-max:"32"`
	BaseFeePerGas []byte        `ssz-size:"32"`
	BlockHash     []byte        `ssz-size:"32"`
	Transactions  [][]byte      `ssz-max:"1048576,1073741824" ssz-size:"?,?"`
	Withdrawals   []*Withdrawal `ssz-max:"16"`
	BlobGasUsed   uint64
	ExcessBlobGas uint64
}
type PayloadHeader struct {
	ParentHash       []byte `ssz-size:"32"`
	FeeRecipient     []byte `ssz-size:"20"`
	StateRoot        []byte `ssz-size:"32"`
	ReceiptsRoot     []byte `ssz-size:"32"`
	LogsBloom        []byte `ssz-size:"256"`
	PrevRandao       []byte `ssz-size:"32"`
	BlockNumber      uint64
	GasLimit         uint64
	GasUsed          uint64
	Timestamp        uint64
	ExtraData        []byte `ssz-max:"32"`
	BaseFeePerGas    []byte `ssz-size:"32"`
	BlockHash        []byte `ssz-size:"32"`
	TransactionsRoot []byte `ssz-size:"32"`
	WithdrawalsRoot  []byte `ssz-size:"32"`
	BlobGasUsed      uint64
	ExcessBlobGas    uint64
}
type BlsChange struct {
	ValidatorIndex     uint64
	FromBlsPubkey      []byte `ssz-size:"48"`
	ToExecutionAddress []byte `ssz-size:"20"`
}
type SignedBlsChange struct {
	Message   *BlsChange
	Signature []byte `ssz-size:"96"`
}
type DepositRequest struct {
	Pubkey                []byte `ssz-size:"48"`
	WithdrawalCredentials []byte `ssz-size:"32"`
	Amount                uint64
	Signature             []byte `ssz-size:"96"`
	Index                 uint64
}
type WithdrawalRequest struct {
	SourceAddress   []byte `ssz-size:"20"`
	ValidatorPubkey []byte `ssz-size:"48"`
	Amount          uint64
}
type ConsolidationRequest struct {
	SourceAddress []byte `ssz-size:"20"`
	SourcePubkey  []byte `ssz-size:"48"`
	TargetPubkey  []byte `ssz-size:"48"`
}
type ExecutionRequests struct {
	Deposits       []*DepositRequest       `ssz-max:"8192"`
	Withdrawals    []*WithdrawalRequest    `ssz-max:"16"`
	Consolidations []*ConsolidationRequest `ssz-max:"2"`
}
type Body struct {
	RandaoReveal          []byte `ssz-size:"96"`
	Eth1Data              *Eth1Data
	Graffiti              []byte                 `ssz-size:"32"`
	ProposerSlashings     []*ProposerSlashing    `ssz-max:"16"`
	AttesterSlashings     []*AttesterSlashing    `ssz-max:"1"`
	Attestations          []*Attestation         `ssz-max:"8"`
	Deposits              []*Deposit             `ssz-max:"16"`
	VoluntaryExits        []*SignedVoluntaryExit `ssz-max:"16"`
	SyncAggregate         *SyncAggregate
	ExecutionPayload      *ExecutionPayload
	BlsToExecutionChanges []*SignedBlsChange `ssz-max:"16"`
	BlobKzgCommitments    [][]byte           `ssz-max:"4096" ssz-size:"?,48"`
	ExecutionRequests     *ExecutionRequests
}
type Block struct {
	Slot          uint64
	ProposerIndex uint64
	ParentRoot    []byte `ssz-size:"32"`
	StateRoot     []byte `ssz-size:"32"`
	Body          *Body
}
type SignedBlock struct {
	Message   *Block
	Signature []byte `ssz-size:"96"`
}
type Column struct {
	Index             uint64
	Column            [][]byte `ssz-size:"?,2048" ssz-max:"4096"`
	KzgCommitments    [][]byte `ssz-size:"?,48" ssz-max:"4096"`
	KzgProofs         [][]byte `ssz-size:"?,48" ssz-max:"4096"`
	SignedBlockHeader *SignedHeader
	InclusionProof    [][]byte `ssz-size:"4,32"`
}
type Validator struct {
	Pubkey                     []byte `ssz-size:"48"`
	WithdrawalCredentials      []byte `ssz-size:"32"`
	EffectiveBalance           uint64
	Slashed                    bool
	ActivationEligibilityEpoch uint64
	ActivationEpoch            uint64
	ExitEpoch                  uint64
	WithdrawableEpoch          uint64
}
type Fork struct {
	PreviousVersion []byte `ssz-size:"4"`
	CurrentVersion  []byte `ssz-size:"4"`
	Epoch           uint64
}
type SyncCommittee struct {
	Pubkeys         [][]byte `ssz-size:"512,48"`
	AggregatePubkey []byte   `ssz-size:"48"`
}
type Summary struct {
	BlockSummaryRoot []byte `ssz-size:"32"`
	StateSummaryRoot []byte `ssz-size:"32"`
}
type PendingDeposit struct {
	Pubkey                []byte `ssz-size:"48"`
	WithdrawalCredentials []byte `ssz-size:"32"`
	Amount                uint64
	Signature             []byte `ssz-size:"96"`
	Slot                  uint64
}
type PendingWithdrawal struct {
	ValidatorIndex    uint64
	Amount            uint64
	WithdrawableEpoch uint64
}
type PendingConsolidation struct {
	SourceIndex uint64
	TargetIndex uint64
}
type State struct {
	GenesisTime                   uint64
	GenesisValidatorsRoot         []byte `ssz-size:"32"`
	Slot                          uint64
	Fork                          *Fork
	LatestBlockHeader             *Header
	BlockRoots                    [][]byte `ssz-size:"8192,32"`
	StateRoots                    [][]byte `ssz-size:"8192,32"`
	HistoricalRoots               [][]byte `ssz-max:"16777216" ssz-size:"?,32"`
	Eth1Data                      *Eth1Data
	Eth1DataVotes                 []*Eth1Data `ssz-max:"2048"`
	Eth1DepositIndex              uint64
	Validators                    []*Validator `ssz-max:"1099511627776"`
	Balances                      []uint64     `ssz-max:"1099511627776"`
	RandaoMixes                   [][]byte     `ssz-size:"65536,32"`
	Slashings                     []uint64     `ssz-size:"8192"`
	PreviousEpochParticipation    []byte       `ssz-max:"1099511627776"`
	CurrentEpochParticipation     []byte       `ssz-max:"1099511627776"`
	JustificationBits             []byte       `ssz-size:"1"`
	PreviousJustified             *Checkpoint
	CurrentJustified              *Checkpoint
	Finalized                     *Checkpoint
	InactivityScores              []uint64 `ssz-max:"1099511627776"`
	CurrentSyncCommittee          *SyncCommittee
	NextSyncCommittee             *SyncCommittee
	LatestPayloadHeader           *PayloadHeader
	NextWithdrawalIndex           uint64
	NextWithdrawalValidatorIndex  uint64
	HistoricalSummaries           []*Summary `ssz-max:"16777216"`
	DepositRequestsStartIndex     uint64
	DepositBalanceToConsume       uint64
	ExitBalanceToConsume          uint64
	EarliestExitEpoch             uint64
	ConsolidationBalanceToConsume uint64
	EarliestConsolidationEpoch    uint64
	PendingDeposits               []*PendingDeposit       `ssz-max:"134217728"`
	PendingPartialWithdrawals     []*PendingWithdrawal    `ssz-max:"134217728"`
	PendingConsolidations         []*PendingConsolidation `ssz-max:"262144"`
}
