/* Shuffling, attestation subnets, custody: the vectors of compute/. */
#include <eth/custody.h>
#include <eth/subnet.h>
#include <lib/hex.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int setup(void **state)
{
    char fault[NETWORK_FAULT_MAX];

    return network_builtin("mainnet", (struct network **)state, fault) == E_OK ? 0 : -1;
}

static int teardown(void **state)
{
    network_free(*state);
    return 0;
}

static uint64_t number(struct table *t, const char *column)
{
    return strtoull(table_text(t, column), NULL, 10);
}

/* "1,17,75" as a set. */
static struct column_set set_of(const char *text)
{
    struct column_set s = {{0, 0}};
    char *end;

    for (const char *p = text; *p != '\0' && *p != '-'; p = *end == ',' ? end + 1 : end) {
        column_set_add(&s, strtoull(p, &end, 10));
    }
    return s;
}

static void assert_set(struct column_set got, const char *want, const char *where)
{
    struct column_set w = set_of(want);

    if (memcmp(&got, &w, sizeof w) != 0) {
        fail_msg("%s: set differs", where);
    }
}

/* Spec: specs/phase0/beacon-chain.md "compute_shuffled_index" */
static void shuffled_indices(void **state)
{
    struct table *t = table_open_any("compute/shuffled_index.tsv");
    size_t rows = 0;
    (void)state;

    while (table_next(t)) {
        uint64_t got =
            shuffled_index(number(t, "index"), number(t, "count"), table_hex(t, "seed").p, 90);

        assert_int_equal(got, number(t, "shuffled"));
        rows++;
    }
    table_close(t);
    assert_true(rows >= 29);
}

/* Spec: specs/phase0/p2p-interface.md "Attestation subnet subscription" */
static void subnets_of_a_node_id(void **state)
{
    const struct network *n = *state;
    struct table *t = table_open_any("compute/subscribed_subnets.tsv");
    size_t rows = 0;

    while (table_next(t)) {
        uint8_t id[32];
        struct column_set got;
        uint64_t epoch = number(t, "epoch"), next;

        memcpy(id, table_hex(t, "node_id").p, 32);
        got = (struct column_set){{subnets_of_node(n, id, epoch), 0}};
        assert_set(got, table_text(t, "subnets"), table_where(t));
        next = subnets_next_change(n, id, epoch);
        assert_true(next > epoch && next <= epoch + 256);
        assert_int_equal(subnets_of_node(n, id, next - 1), got.bits[0]);
        rows++;
    }
    table_close(t);
    assert_true(rows >= 29);
}

static void the_minimal_preset_shuffles_ten_rounds(void **state)
{
    static const struct {
        uint64_t epoch, first;
    } cases[] = {{0, 9}, {419072, 53}, {450000, 32}};
    struct network minimal = *(const struct network *)*state;
    uint8_t id[32];

    minimal.preset = PRESET_MINIMAL;
    hex_into("a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7", id, 32);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(subnets_of_node(&minimal, id, cases[i].epoch), UINT64_C(3)
                                                                            << cases[i].first);
    }
}

static void subnets_for_attestations(void **state)
{
    struct network n = *(const struct network *)*state;
    struct table *t = table_open_any("compute/subnet_for_attestation.tsv");

    while (table_next(t)) {
        n.slots_per_epoch = strcmp(table_text(t, "preset"), "minimal") == 0 ? 8 : 32;
        assert_int_equal(subnet_for_attestation(&n, number(t, "committees_per_slot"),
                                                number(t, "slot"), number(t, "committee_index")),
                         number(t, "subnet"));
    }
    table_close(t);
}

/* Spec: specs/phase0/p2p-interface.md "Attestation subnet bitfield" */
static void attnets_count_bits_from_the_lowest(void **state)
{
    static const uint8_t want[8] = {0x01, 0, 0, 0, 0, 0, 0, 0x80};
    uint8_t bytes[8];
    (void)state;

    attnets_encode(UINT64_C(1) | UINT64_C(1) << 63, bytes);
    assert_memory_equal(bytes, want, 8);
    assert_int_equal(attnets_decode(bytes), UINT64_C(1) | UINT64_C(1) << 63);
}

/* Spec: specs/fulu/das-core.md "get_custody_groups" */
static void custody_groups_of_a_node_id(void **state)
{
    static const char *const files[] = {"compute/custody_groups.tsv",
                                        "compute/official_custody_groups.tsv"};
    struct column_set got;
    uint8_t id[32] = {0};

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct table *t = table_open_any(files[i]);

        while (table_next(t)) {
            memcpy(id, table_hex(t, "node_id").p, 32);
            assert_int_equal(custody_groups(*state, id, number(t, "custody_group_count"), &got),
                             E_OK);
            assert_set(got, table_text(t, "groups"), table_where(t));
            assert_int_equal(column_set_count(&got), number(t, "custody_group_count"));
        }
        table_close(t);
    }
    assert_int_equal(custody_groups(*state, id, 129, &got), E_RANGE);
    custody_columns_of_node(*state, id, UINT64_MAX, &got);
    assert_int_equal(column_set_count(&got), 128);
    sampling_columns_of_node(*state, id, 4, &got);
    assert_int_equal(column_set_count(&got), 8);
}

static void columns_of_a_group(void **state)
{
    struct table *t = table_open_any("compute/columns_for_custody_group.tsv");

    while (table_next(t)) {
        struct column_set group = {{0, 0}}, columns;

        column_set_add(&group, number(t, "group"));
        custody_columns(*state, &group, &columns);
        assert_set(columns, table_text(t, "columns"), table_where(t));
        assert_int_equal(subnet_of_column(*state, number(t, "group")),
                         number(t, "subnet_of_column_equal_to_group"));
    }
    table_close(t);
}

/* Most random ids with the prefix have the subnet, and none of a thousand others' share that. */
static void ids_of_the_prefix_have_the_subnet(void **state)
{
    const struct network *net = *state;
    struct rng_seeded rng;
    unsigned with = 0, without = 0;

    rng_seeded_init(&rng, 4);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t subnet = i % 64, epoch = 419072 + i / 7;
        uint8_t id[32], first = subnet_id_prefix(net, subnet, epoch, &rng.base);

        rng_fill(&rng.base, id, sizeof id);
        without += (subnets_of_node(net, id, epoch) >> subnet & 1) != 0;
        id[0] = (uint8_t)((first & 0xfc) | (id[0] & 3));
        with += (subnets_of_node(net, id, epoch) >> subnet & 1) != 0;
    }
    assert_true(without < 150); /* 2 of 64 */
    assert_true(with > 1000);   /* all, but for those whose period is the other one */
}

static void unshuffling_undoes_shuffling(void **state)
{
    const uint8_t seed[32] = {7};
    (void)state;

    for (uint64_t i = 0; i < 64; i++) {
        assert_int_equal(unshuffled_index(shuffled_index(i, 64, seed, 90), 64, seed, 90), i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffled_indices),
        cmocka_unit_test(subnets_of_a_node_id),
        cmocka_unit_test(the_minimal_preset_shuffles_ten_rounds),
        cmocka_unit_test(subnets_for_attestations),
        cmocka_unit_test(attnets_count_bits_from_the_lowest),
        cmocka_unit_test(custody_groups_of_a_node_id),
        cmocka_unit_test(columns_of_a_group),
        cmocka_unit_test(ids_of_the_prefix_have_the_subnet),
        cmocka_unit_test(unshuffling_undoes_shuffling),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
