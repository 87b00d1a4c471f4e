/* Cells of columns: what is written is what the schema says, and what was cut is put together. */
#include "play_column.h"

#include <base/clock.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SLOT 9u

struct bench {
    struct network *net;
    struct rng_seeded rng;
    struct topic topic;
    struct buf column, message;
    struct blob *header;
    uint8_t root[32];
    struct check_chain chain;
};

static void begin(struct bench *x, size_t blobs)
{
    x->net = play_fulu();
    rng_seeded_init(&x->rng, blobs);
    buf_init(&x->column, MIB);
    buf_init(&x->message, MIB);
    x->chain = (struct check_chain){.block = NULL};
    assert_int_equal(
        topic_make(x->net, network_span_at(x->net, 0), TOPIC_data_column_sidecar, 5, &x->topic),
        E_OK);
    play_column(x->net, &x->rng.base, SLOT, blobs, &x->column);
    play_root(x->net, buf_view(&x->column), x->root);
    x->header = cells_header_of(buf_view(&x->column));
}

static void end(struct bench *x)
{
    blob_unref(x->header);
    buf_done(&x->column);
    buf_done(&x->message);
    network_free(x->net);
}

static struct check_result judge(struct bench *x, const uint8_t root[static 32], struct view known)
{
    const struct check_input in = {.topic = &x->topic,
                                   .data = buf_view(&x->message),
                                   .wall_ns = slot_start_ns(x->net, SLOT) + MILLIS(900),
                                   .chain = &x->chain};

    return check_cells(&in, root, known);
}

static void write(struct bench *x, const struct column_set *set, size_t n, bool header)
{
    buf_clear(&x->message);
    cells_write(buf_view(&x->column), set, n, header ? blob_view(x->header) : view_of(NULL, 0),
                &x->message);
}

/* Spec: specs/fulu/partial-columns/p2p-interface.md "Containers" */
static void a_column_cut_into_cells_is_put_together_again(void **state)
{
    static const size_t sizes[] = {1, 6, 7, 8, 9, 63, 64, 65, 128};
    (void)state;

    for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
        struct column_set have = {{0, 0}}, none = {{0, 0}};
        size_t n = sizes[k], taken = 0;
        struct bench x;

        begin(&x, n);
        assert_int_equal(cells_in_header(blob_view(x.header)), n);
        assert_int_equal(cells_slot(blob_view(x.header)), SLOT);
        assert_int_equal(ssz_check(schema_type(x.net->preset, FULU, "PartialDataColumnHeader"),
                                   blob_view(x.header), NULL),
                         E_OK);
        write(&x, &none, n, true);
        struct view in = cells_header_in(x.net, buf_view(&x.message));
        assert_int_equal(in.n, x.header->n);
        assert_memory_equal(in.p, x.header->b, in.n);

        struct blob *b = cells_column(in, 5);
        assert_int_equal(ssz_check(x.topic.type, blob_view(b), NULL), E_OK);
        for (unsigned turn = 0; column_set_count(&have) < n; turn++) {
            struct column_set some = {{0, 0}};

            assert_true(turn < 200);
            for (uint64_t i = 0; i < n; i++) { /* some of them again */
                if (rng_below(&x.rng.base, 4) == 0) {
                    column_set_add(&some, i);
                }
            }
            write(&x, &some, n, turn % 2 == 0);
            taken += cells_take(x.net, buf_view(&x.message), b, &have);
        }
        assert_int_equal(taken, n);
        assert_int_equal(b->n, x.column.n);
        assert_memory_equal(b->b, x.column.p, b->n);
        blob_unref(b);
        end(&x);
    }
}

static void parts_are_two_sets_of_one_length(void **state)
{
    struct network *net = play_fulu();
    struct cells_parts p = {.n = 0}, got;
    struct buf b;
    (void)state;

    buf_init(&b, KIB);
    for (p.n = 0; p.n <= CELLS_MAX; p.n++) {
        p.available.bits[0] |= p.n == 3 ? 1 : 0;
        p.requests.bits[1] |= p.n == 100 ? 1u << 30 : 0;
        buf_clear(&b);
        cells_write_parts(&p, &b);
        assert_int_equal(cells_read_parts(net, buf_view(&b), &got), E_OK);
        assert_memory_equal(&got, &p, sizeof p);
    }
    /* 8, 9 bits; 129 each; an offset that is none */
    static const uint8_t unlike[] = {8, 0, 0, 0, 10, 0, 0, 0, 0, 1, 0, 2};
    uint8_t many[8 + 34] = {8, 0, 0, 0, 25};
    many[8 + 16] = many[8 + 33] = 2;
    assert_int_equal(cells_read_parts(net, view_of(unlike, sizeof unlike), &got), E_RANGE);
    assert_int_equal(cells_read_parts(net, view_of(many, sizeof many), &got), E_RANGE);
    assert_int_not_equal(cells_read_parts(net, view_of(unlike + 1, 9), &got), E_OK);
    buf_done(&b);
    network_free(net);
}

static void groups_of_another_version_are_none(void **state)
{
    uint8_t root[32] = {7}, group[CELLS_GROUP_SIZE];
    (void)state;

    cells_group(root, group);
    assert_memory_equal(cells_group_root(view_of(group, sizeof group)), root, 32);
    assert_null(cells_group_root(view_of(group, sizeof group - 1)));
    group[0] = 1;
    assert_null(cells_group_root(view_of(group, sizeof group)));
}

/* Spec: specs/fulu/partial-columns/p2p-interface.md "New `data_column_sidecar_{subnet_id}` (partial
 * messages)". The official cases are in test_check. */
static void what_only_a_signature_could_tell_is_not_rejected(void **state)
{
    struct column_set two = {{3, 0}}, none = {{0, 0}};
    uint8_t other[32] = {1};
    struct bench x;
    (void)state;

    begin(&x, 6);
    struct view known = blob_view(x.header), nothing = view_of(NULL, 0);
    write(&x, &two, 6, true);
    assert_int_equal(judge(&x, x.root, nothing).verdict, CHECK_ACCEPT);
    assert_int_equal(judge(&x, x.root, known).verdict, CHECK_ACCEPT);
    write(&x, &two, 6, false);
    assert_int_equal(judge(&x, x.root, known).verdict, CHECK_ACCEPT);
    assert_int_equal(judge(&x, x.root, nothing).verdict, CHECK_IGNORE); /* no header yet */
    write(&x, &two, 7, false);
    assert_int_equal(judge(&x, x.root, known).verdict, CHECK_REJECT);
    write(&x, &none, 6, false);
    assert_int_equal(judge(&x, x.root, known).verdict, CHECK_REJECT); /* nothing in it */
    write(&x, &none, 6, true);
    assert_int_equal(judge(&x, other, nothing).verdict, CHECK_REJECT); /* another block's */
    struct blob *forged = blob_copy(known);
    forged->b[4 + 112] ^= 1; /* in the signature */
    assert_int_equal(judge(&x, x.root, blob_view(forged)).verdict, CHECK_IGNORE);
    blob_unref(forged);
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_column_cut_into_cells_is_put_together_again),
        cmocka_unit_test(parts_are_two_sets_of_one_length),
        cmocka_unit_test(groups_of_another_version_are_none),
        cmocka_unit_test(what_only_a_signature_could_tell_is_not_rejected),
    };

    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
