#include "router.h"

#define MAX_PAYLOAD_SIZE (10 * MIB)

/* Values: consensus-specs where it has them, else what most clients of mainnet run with. */
void gossip_config_eth2(struct gossip_config *cfg)
{
    *cfg = (struct gossip_config){
        .version_min = GOSSIP_FLOODSUB,
        .version_max = GOSSIP_1_3,
        /* Spec: consensus-specs specs/phase0/p2p-interface.md "The gossip domain: gossipsub" */
        .d = 8,
        .d_low = 6,
        .d_high = 12,
        .d_score = 4,
        .d_out = 2,
        .d_lazy = 6,
        .gossip_factor = 0.25,
        .heartbeat_ns = MILLIS(700),
        .prune_backoff_ns = SECONDS(60),
        .unsubscribe_backoff_ns = SECONDS(10),
        .fanout_ttl_ns = SECONDS(60),
        .seen_ttl_ns = SECONDS(768), /* SECONDS_PER_SLOT * SLOTS_PER_EPOCH * 2 */
        .mcache_len = 6,
        .mcache_gossip = 3,
        .flood_publish = true,
        .flood_publish_max = 16 * KIB, /* attestations and aggregates; blocks go to the mesh only */
        .idontwant_threshold = 1000,   /* as rust-libp2p and Lighthouse */
        /* max_message_size(): a payload compressed at its worst, and 1 KiB around it */
        .rpc_max = 32 + MAX_PAYLOAD_SIZE + MAX_PAYLOAD_SIZE / 6 + 1024,
        .peers_max = 256,
        .topics_max = 512, /* two forks' worth of 64 + 128 subnets and the rest */
        .cache_bytes_max = 64 * MIB,
        .queue_bytes_max = 16 * MIB, /* one message of the largest size and the traffic around it */
        .queue_total_max = 256 * MIB,
        .gossip_threshold = -4000,
        .publish_threshold = -8000,
        .graylist_threshold = -16000,
        .accept_px_threshold = 100,
        .opportunistic_threshold = 5,
        .topic_score_cap = 53.75, /* half of (10 + 40) * the sum of topic weights; Lighthouse's */
        .app_weight = 1,
        .ip_weight = -53.75,
        .ip_threshold = 8,
        .behaviour_weight = -15.92,
        .behaviour_threshold = 6,
        .behaviour_decay = 0.9857119009006162, /* to 0.01 in 10 epochs: 0.01^(1/320) */
        .decay_to_zero = 0.01,
        .decay_interval_ns = SECONDS(12),
        .retain_score_ns = SECONDS(38400), /* 100 epochs */
        .scoring = true,
    };
}
