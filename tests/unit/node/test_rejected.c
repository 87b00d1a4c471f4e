/* A rejected message's file: what is written is read, the reason is found again, and no damaged
 * file is taken. */
#include <base/mem.h>
#include <codec/snappy.h>
#include <crypto/random.h>
#include <eth/network.h>
#include <eth/schema.h>
#include <node/rejected.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct network *net;

static struct topic a_topic(const char *name)
{
    const uint8_t *d = network_span_at(net, 500000)->digest;
    char text[TOPIC_TEXT_MAX];
    struct topic t;

    snprintf(text, sizeof text, "/eth2/%02x%02x%02x%02x/%s/ssz_snappy", d[0], d[1], d[2], d[3],
             name);
    assert_int_equal(topic_parse(net, view_str(text), &t), E_OK);
    return t;
}

static void write_file(const char *topic, struct view raw, enum err error, const char *reason,
                       struct buf *out)
{
    struct rejected_chain chain = {.finalized_epoch = 7, .asked = true, .n_blocks = 2};
    struct topic t = a_topic(topic);
    struct node_rejected r = {.network = net,
                              .topic = &t,
                              .raw = raw,
                              .error = error,
                              .reason = reason,
                              .wall_ns = 1760000000000000000,
                              .chain = &chain};

    memset(chain.blocks[0].root, 0xab, 32);
    memset(chain.blocks[1].root, 0xcd, 32);
    chain.blocks[1].known = true;
    chain.blocks[1].block = (struct check_block){
        .slot = 5, .invalid = true, .has_bid = true, .builder_index = 9, .n_commitments = 3};
    buf_init(out, 1 * MIB);
    assert_int_equal(rejected_write(&r, out), E_OK);
}

static void the_reason_is_found_again(void **state)
{
    static const uint8_t zeros[416];

    static const struct {
        const char *why, *topic;
        enum err error;
        const char *reason;
        bool packed;
    } rows[] = {
        {"bytes that are no snappy", "beacon_block", E_SNAPPY_LENGTH, NULL, false},
        {"two headers that are the same", "proposer_slashing", E_GOSSIP_REJECT, "?", true},
    };

    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct blob *packed = snappy_block_pack(view_of(zeros, sizeof zeros));
        struct view raw =
            rows[i].packed ? blob_view(packed) : view_of("\xff\xff\xff\xff\xff\xff", 6);
        struct rejected_judged j, again;
        char fault[REJECTED_FAULT_MAX];
        struct buf file;

        write_file(rows[i].topic, raw, E_GOSSIP_REJECT, "not this", &file);
        assert_int_equal(rejected_judge(net, buf_view(&file), random_system(), &j, fault), E_OK);
        assert_string_equal(j.was_reason, "not this");
        assert_int_not_equal(j.is, E_OK);
        assert_int_equal(j.bytes, raw.n);
        buf_done(&file);
        write_file(rows[i].topic, raw, j.is, j.is_reason, &file);
        assert_int_equal(rejected_judge(net, buf_view(&file), random_system(), &again, fault),
                         E_OK);
        assert_int_equal(again.is, again.was);
        assert_string_equal(again.is_reason, again.was_reason);
        buf_done(&file);
        blob_unref(packed);
    }
}

static void no_cut_file_is_taken(void **state)
{
    struct rejected_judged j;
    char fault[REJECTED_FAULT_MAX];
    struct buf file;
    (void)state;

    write_file("beacon_block", view_of("\xff\xff\xff\xff\xff\xff", 6), E_SNAPPY, "r", &file);
    for (size_t n = 0; n < file.n; n++) {
        assert_int_equal(rejected_judge(net, view_of(file.p, n), random_system(), &j, fault),
                         E_INVALID);
        assert_true(fault[0] != '\0');
    }
    assert_int_equal(rejected_judge(net, buf_view(&file), random_system(), &j, fault), E_OK);
    file.p[strlen("beacon-p2pd rejected message 1\nnetwork 0x")] ^= 1;
    assert_int_equal(rejected_judge(net, buf_view(&file), random_system(), &j, fault), E_INVALID);
    buf_done(&file);
}

static int start(void **state)
{
    char fault[NETWORK_FAULT_MAX];
    (void)state;

    schema_start();
    return crypto_start() == E_OK && network_builtin("mainnet", &net, fault) == E_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    network_free(net);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reason_is_found_again),
        cmocka_unit_test(no_cut_file_is_taken),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
