// One object, decoded and hashed by ethereum_ssz and tree_hash: bench-ssz KIND FILE MILLISECONDS.
// Prints the root and nanoseconds: "ROOT DECODE+ROOT ROOT".
use alloy_primitives::{Address, FixedBytes, B256, U256};
use ssz::Decode;
use ssz_derive::{Decode, Encode};
use ssz_types::{BitList, BitVector, FixedVector, VariableList};
use tree_hash::TreeHash;
use tree_hash_derive::TreeHash;
use typenum::{
    U1, U1048576, U1073741824, U1099511627776, U131072, U134217728, U16, U16384, U16777216, U2, U2048,
    U262144, U32, U33, U4, U4096, U512, U64, U65536, U8, U8192,
};

type Bytes4 = FixedBytes<4>;
type Key = FixedBytes<48>;
type Sig = FixedBytes<96>;
type U24b = U16777216;
type U27b = U134217728;
type U40b = U1099511627776;

macro_rules! containers {
    ($(struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {
        $(#[derive(Clone, Encode, Decode, TreeHash)]
        struct $name { $($field: $type),* })*
    };
}

containers! {
    struct Checkpoint { epoch: u64, root: B256 }
    struct AttestationData { slot: u64, index: u64, beacon_block_root: B256, source: Checkpoint, target: Checkpoint }
    struct Attestation { aggregation_bits: BitList<U131072>, data: AttestationData, signature: Sig, committee_bits: BitVector<U64> }
    struct IndexedAttestation { attesting_indices: VariableList<u64, U131072>, data: AttestationData, signature: Sig }
    struct AttesterSlashing { attestation_1: IndexedAttestation, attestation_2: IndexedAttestation }
    struct Header { slot: u64, proposer_index: u64, parent_root: B256, state_root: B256, body_root: B256 }
    struct SignedHeader { message: Header, signature: Sig }
    struct ProposerSlashing { signed_header_1: SignedHeader, signed_header_2: SignedHeader }
    struct Eth1Data { deposit_root: B256, deposit_count: u64, block_hash: B256 }
    struct DepositData { pubkey: Key, withdrawal_credentials: B256, amount: u64, signature: Sig }
    struct Deposit { proof: FixedVector<B256, U33>, data: DepositData }
    struct VoluntaryExit { epoch: u64, validator_index: u64 }
    struct SignedVoluntaryExit { message: VoluntaryExit, signature: Sig }
    struct SyncAggregate { sync_committee_bits: BitVector<U512>, sync_committee_signature: Sig }
    struct Withdrawal { index: u64, validator_index: u64, address: Address, amount: u64 }
    struct ExecutionPayload {
        parent_hash: B256, fee_recipient: Address, state_root: B256, receipts_root: B256,
        logs_bloom: FixedVector<u8, U256n>, prev_randao: B256, block_number: u64, gas_limit: u64,
        gas_used: u64, timestamp: u64, extra_data: VariableList<u8, U32>, base_fee_per_gas: U256,
        block_hash: B256, transactions: VariableList<VariableList<u8, U1073741824>, U1048576>,
        withdrawals: VariableList<Withdrawal, U16>, blob_gas_used: u64, excess_blob_gas: u64,
    }
    struct PayloadHeader {
        parent_hash: B256, fee_recipient: Address, state_root: B256, receipts_root: B256,
        logs_bloom: FixedVector<u8, U256n>, prev_randao: B256, block_number: u64, gas_limit: u64,
        gas_used: u64, timestamp: u64, extra_data: VariableList<u8, U32>, base_fee_per_gas: U256,
        block_hash: B256, transactions_root: B256, withdrawals_root: B256, blob_gas_used: u64,
        excess_blob_gas: u64,
    }
    struct BlsChange { validator_index: u64, from_bls_pubkey: Key, to_execution_address: Address }
    struct SignedBlsChange { message: BlsChange, signature: Sig }
    struct DepositRequest { pubkey: Key, withdrawal_credentials: B256, amount: u64, signature: Sig, index: u64 }
    struct WithdrawalRequest { source_address: Address, validator_pubkey: Key, amount: u64 }
    struct ConsolidationRequest { source_address: Address, source_pubkey: Key, target_pubkey: Key }
    struct ExecutionRequests {
        deposits: VariableList<DepositRequest, U8192>, withdrawals: VariableList<WithdrawalRequest, U16>,
        consolidations: VariableList<ConsolidationRequest, U2>,
    }
    struct Body {
        randao_reveal: Sig, eth1_data: Eth1Data, graffiti: B256,
        proposer_slashings: VariableList<ProposerSlashing, U16>,
        attester_slashings: VariableList<AttesterSlashing, U1>,
        attestations: VariableList<Attestation, U8>, deposits: VariableList<Deposit, U16>,
        voluntary_exits: VariableList<SignedVoluntaryExit, U16>, sync_aggregate: SyncAggregate,
        execution_payload: ExecutionPayload,
        bls_to_execution_changes: VariableList<SignedBlsChange, U16>,
        blob_kzg_commitments: VariableList<Key, U4096>, execution_requests: ExecutionRequests,
    }
    struct Block { slot: u64, proposer_index: u64, parent_root: B256, state_root: B256, body: Body }
    struct SignedBlock { message: Block, signature: Sig }
    struct Column {
        index: u64, column: VariableList<FixedVector<u8, U2048>, U4096>,
        kzg_commitments: VariableList<Key, U4096>, kzg_proofs: VariableList<Key, U4096>,
        signed_block_header: SignedHeader, kzg_commitments_inclusion_proof: FixedVector<B256, U4>,
    }
    struct Validator {
        pubkey: Key, withdrawal_credentials: B256, effective_balance: u64, slashed: bool,
        activation_eligibility_epoch: u64, activation_epoch: u64, exit_epoch: u64,
        withdrawable_epoch: u64,
    }
    struct Fork { previous_version: Bytes4, current_version: Bytes4, epoch: u64 }
    struct SyncCommittee { pubkeys: FixedVector<Key, U512>, aggregate_pubkey: Key }
    struct Summary { block_summary_root: B256, state_summary_root: B256 }
    struct PendingDeposit { pubkey: Key, withdrawal_credentials: B256, amount: u64, signature: Sig, slot: u64 }
    struct PendingWithdrawal { validator_index: u64, amount: u64, withdrawable_epoch: u64 }
    struct PendingConsolidation { source_index: u64, target_index: u64 }
    struct State {
        genesis_time: u64, genesis_validators_root: B256, slot: u64, fork: Fork,
        latest_block_header: Header, block_roots: FixedVector<B256, U8192>,
        state_roots: FixedVector<B256, U8192>, historical_roots: VariableList<B256, U24b>,
        eth1_data: Eth1Data, eth1_data_votes: VariableList<Eth1Data, U2048>, eth1_deposit_index: u64,
        validators: VariableList<Validator, U40b>, balances: VariableList<u64, U40b>,
        randao_mixes: FixedVector<B256, U65536>, slashings: FixedVector<u64, U8192>,
        previous_epoch_participation: VariableList<u8, U40b>,
        current_epoch_participation: VariableList<u8, U40b>, justification_bits: BitVector<U4>,
        previous_justified_checkpoint: Checkpoint, current_justified_checkpoint: Checkpoint,
        finalized_checkpoint: Checkpoint, inactivity_scores: VariableList<u64, U40b>,
        current_sync_committee: SyncCommittee, next_sync_committee: SyncCommittee,
        latest_execution_payload_header: PayloadHeader, next_withdrawal_index: u64,
        next_withdrawal_validator_index: u64, historical_summaries: VariableList<Summary, U24b>,
        deposit_requests_start_index: u64, deposit_balance_to_consume: u64,
        exit_balance_to_consume: u64, earliest_exit_epoch: u64,
        consolidation_balance_to_consume: u64, earliest_consolidation_epoch: u64,
        pending_deposits: VariableList<PendingDeposit, U27b>,
        pending_partial_withdrawals: VariableList<PendingWithdrawal, U27b>,
        pending_consolidations: VariableList<PendingConsolidation, U262144>,
    }
}

type U256n = typenum::U256;
type Attestations = VariableList<Attestation, U16384>;

fn hex(b: B256) -> String {
    b.iter().map(|x| format!("{x:02x}")).collect()
}

fn cpu_ns() -> u128 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as u128 * 1_000_000_000 + t.tv_nsec as u128
}

// CPU time: one thread, so never more than wall time.
fn per_run<F: FnMut() -> B256>(ms: u128, mut f: F) -> (B256, u128) {
    let start = cpu_ns();
    let mut n = 0;
    loop {
        let root = f();
        n += 1;
        let passed = cpu_ns() - start;
        if passed >= ms * 1_000_000 {
            return (root, passed / n);
        }
    }
}

fn run<T: Decode + TreeHash>(bytes: &[u8], ms: u128) {
    let value = T::from_ssz_bytes(bytes).expect("decodes");
    let (root, only) = per_run(ms, || value.tree_hash_root());
    let (again, both) = per_run(ms, || {
        T::from_ssz_bytes(bytes).expect("decodes").tree_hash_root()
    });
    assert_eq!(root, again);
    println!("{} {} {}", hex(root), both, only);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&args[2]).expect("file");
    let ms: u128 = args[3].parse().expect("milliseconds");
    match args[1].as_str() {
        "block" => run::<SignedBlock>(&bytes, ms),
        "column" => run::<Column>(&bytes, ms),
        "attestations" => run::<Attestations>(&bytes, ms),
        "state" => run::<State>(&bytes, ms),
        other => panic!("{other}: no such kind"),
    }
}
