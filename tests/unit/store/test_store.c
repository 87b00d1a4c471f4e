/* The store, on disk and in memory: what was put is read, over closing, killing and filling. */
#define _GNU_SOURCE
#include <base/mem.h>
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/store.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct rng_seeded seeded;

struct place {
    char dir[64];
};

static void place_make(struct place *p)
{
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/p2pd-store-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
}

static void place_remove(const struct place *p)
{
    DIR *d = opendir(p->dir);
    struct dirent *entry;
    char path[512];

    while (d != NULL && (entry = readdir(d)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", p->dir, entry->d_name);
        (void)unlink(path);
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    (void)rmdir(p->dir);
}

static struct store *open_with(const char *dir, size_t map, size_t pending)
{
    struct store_config cfg = {
        .dir = dir, .map_bytes = map, .pending_max = pending, .rng = &seeded.base};
    char fault[STORE_FAULT_MAX] = "";
    struct store *s = NULL;

    if (store_open(&cfg, &s, fault) != E_OK) {
        fail_msg("%s", fault);
    }
    return s;
}

/* Object i of slot i / 2: its root begins with its number, its bytes repeat it. */
static struct store_object object(uint64_t i, size_t n)
{
    struct store_object o = {.kind = STORE_BLOCK, .slot = i / 2, .data = blob_new(n)};

    store_be64(o.root, i);
    store_be64(o.parent, i - 1);
    memset(o.data->b, (int)(i % 251), n);
    return o;
}

static enum err put(struct store *s, uint64_t i, size_t n)
{
    struct store_object o = object(i, n);
    enum err e = store_put(s, &o);

    blob_unref(o.data);
    return e;
}

static bool holds(struct store *s, uint64_t i, size_t n)
{
    struct store_object o = object(i, n);
    struct blob *got = NULL;
    struct store_header h = {0};
    bool same = store_get(s, STORE_BLOCK, o.root, 0, &got) == E_OK && got->n == n &&
                memcmp(got->b, o.data->b, n) == 0 && store_header(s, o.root, &h) == E_OK &&
                h.slot == o.slot && memcmp(h.parent, o.parent, 32) == 0;

    blob_unref(got);
    blob_unref(o.data);
    return same;
}

typedef void with_store(struct store *s);

/* The same on disk and in memory. */
static void both(with_store *run)
{
    struct place p;
    struct store *s;

    place_make(&p);
    s = open_with(p.dir, 0, 0);
    run(s);
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
    s = open_with(NULL, 0, 0);
    run(s);
    assert_int_equal(store_close(s), E_OK);
}

static void read_and_reread(struct store *s)
{
    uint8_t value[STORE_META_MAX];
    size_t n = 0;

    for (uint64_t i = 1; i <= 40; i++) {
        assert_int_equal(put(s, i, 100 * i), E_OK);
        assert_true(holds(s, i, 100 * i)); /* before it is written */
    }
    assert_int_equal(store_put_meta(s, "head", view_str("first")), E_OK);
    assert_int_equal(store_put_meta(s, "head", view_str("second")), E_OK);
    assert_int_equal(store_get_meta(s, "head", value, &n), E_OK);
    assert_memory_equal(value, "second", n);
    assert_int_equal(store_flush(s), E_OK);
    assert_int_equal(store_pending(s), 0);
    for (uint64_t i = 1; i <= 40; i++) {
        assert_true(holds(s, i, 100 * i));
    }
    assert_int_equal(store_get_meta(s, "head", value, &n), E_OK);
    assert_int_equal(n, 6);
    assert_int_equal(store_get_meta(s, "tail", value, &n), E_NOT_FOUND);
    assert_false(holds(s, 41, 100));
}

static void what_was_put_is_read_before_and_after_its_commit(void **state)
{
    (void)state;
    both(read_and_reread);
}

static void walk_headers(struct store *s)
{
    struct store_header h[8];
    size_t n = 0;

    for (uint64_t i = 20; i > 10; i--) { /* slots 5 to 10, two branches each */
        assert_int_equal(put(s, i, 10), E_OK);
        if (i == 16) {
            assert_int_equal(store_flush(s), E_OK); /* half on disk, half waiting */
        }
    }
    assert_int_equal(store_headers(s, 6, 9, ARRAY_LEN(h), h, &n), E_OK);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(h[i].slot, 6 + i / 2);
        assert_int_equal(load_be64(h[i].root), 12 + i);
    }
    assert_int_equal(store_headers(s, 0, UINT64_MAX, 3, h, &n), E_OK);
    assert_int_equal(n, 3);
    assert_int_equal(load_be64(h[0].root), 11);
    assert_int_equal(store_headers(s, 11, UINT64_MAX, 3, h, &n), E_OK);
    assert_int_equal(n, 0);
}

static void headers_come_in_order_of_slots_from_disk_and_waiting(void **state)
{
    (void)state;
    both(walk_headers);
}

static void prune_and_look(struct store *s)
{
    struct store_object column = object(3, 5);
    struct store_header h[16];
    struct store_stats stats;
    size_t n = 0;

    column.kind = STORE_COLUMN;
    column.index = 77;
    assert_int_equal(store_put(s, &column), E_OK);
    for (uint64_t i = 0; i < 9000; i++) { /* more than one prune takes at once */
        assert_int_equal(put(s, i, 20), E_OK);
    }
    assert_int_equal(store_flush(s), E_OK);
    assert_int_equal(store_prune(s, STORE_BLOCK, 4498), E_OK);
    assert_int_equal(store_flush(s), E_OK);
    assert_int_equal(store_headers(s, 0, UINT64_MAX, ARRAY_LEN(h), h, &n), E_OK);
    assert_int_equal(n, 4);
    assert_int_equal(h[0].slot, 4498);
    assert_false(holds(s, 0, 20));
    assert_true(holds(s, 8999, 20));
    assert_true(store_has(s, STORE_COLUMN, column.root, 77)); /* another kind stays */
    assert_false(store_has(s, STORE_COLUMN, column.root, 78));
    store_stats(s, &stats);
    assert_int_equal(stats.objects, 5);
    assert_int_equal(store_prune(s, STORE_BLOCK, UINT64_MAX), E_OK); /* to the table's end */
    assert_int_equal(store_prune(s, STORE_COLUMN, UINT64_MAX), E_OK);
    assert_int_equal(store_flush(s), E_OK);
    store_stats(s, &stats);
    assert_int_equal(stats.objects, 0);
    blob_unref(column.data);
}

static void pruning_removes_a_kind_below_a_slot_however_many(void **state)
{
    (void)state;
    both(prune_and_look);
}

static void remove_and_look(struct store *s)
{
    struct store_object block = object(4, 20), other = object(5, 20);
    struct store_object column = block, beside = other;

    column.kind = STORE_COLUMN;
    beside.slot = block.slot; /* another branch's, at the same slot */
    assert_int_equal(store_put(s, &block), E_OK);
    assert_int_equal(store_put(s, &beside), E_OK);
    for (column.index = 0; column.index < 128; column.index++) {
        assert_int_equal(store_put(s, &column), E_OK);
    }
    assert_int_equal(store_flush(s), E_OK);
    assert_int_equal(store_remove(s, block.slot, block.root), E_OK);
    assert_int_equal(store_flush(s), E_OK);
    assert_false(store_has(s, STORE_BLOCK, block.root, 0));
    for (uint64_t i = 0; i < 128; i++) {
        assert_false(store_has(s, STORE_COLUMN, block.root, i));
    }
    assert_true(store_has(s, STORE_BLOCK, beside.root, 0));
    blob_unref(block.data);
    blob_unref(other.data);
}

static void a_block_leaves_with_all_that_belongs_to_it(void **state)
{
    (void)state;
    both(remove_and_look);
}

static void peers_round(struct store *s)
{
    struct view id, value;
    size_t at = 0, n = 0;

    for (uint8_t i = 0; i < 50; i++) {
        uint8_t key[2] = {i, 0};

        assert_int_equal(store_put_peer(s, view_of(key, 2), view_of(&i, 1)), E_OK);
    }
    assert_int_equal(store_put_peer(s, view_of("\x07\0", 2), view_of(NULL, 0)), E_OK);
    assert_int_equal(store_flush(s), E_OK);
    while (store_next_peer(s, &at, &id, &value)) {
        assert_int_equal(id.p[0], value.p[0]);
        assert_true(id.p[0] != 7);
        n++;
    }
    assert_int_equal(n, 49);
}

static void peers_are_walked_and_removed(void **state)
{
    (void)state;
    both(peers_round);
}

static void more_than_may_wait_is_refused_and_taken_later(void **state)
{
    struct store *s = open_with(NULL, 0, 64 * KIB);
    uint64_t i = 0;
    (void)state;

    while (put(s, i, KIB) == E_OK) {
        i++;
    }
    assert_in_range(i, 30, 64);
    assert_int_equal(put(s, i, KIB), E_FULL);
    assert_true(store_pending(s) <= 64 * KIB);
    assert_int_equal(store_flush(s), E_OK);
    assert_int_equal(put(s, i, KIB), E_OK);
    assert_int_equal(store_close(s), E_OK);
}

static void one_job_flies_at_a_time(void **state)
{
    struct store *s = open_with(NULL, 0, 0);
    struct port_job *job;
    (void)state;

    assert_null(store_work(s));
    assert_int_equal(put(s, 1, 10), E_OK);
    job = store_work(s);
    assert_non_null(job);
    assert_int_equal(put(s, 2, 10), E_OK);
    assert_null(store_work(s));
    assert_true(holds(s, 1, 10)); /* in flight, and still read */
    job->run(job);
    assert_int_equal(store_done(s, job), E_OK);
    assert_non_null(job = store_work(s));
    job->run(job);
    assert_int_equal(store_done(s, job), E_OK);
    assert_true(holds(s, 1, 10) && holds(s, 2, 10));
    assert_int_equal(store_close(s), E_OK);
}

static void *run_job(void *job)
{
    ((struct port_job *)job)->run(job);
    return NULL;
}

static void the_loop_reads_while_a_worker_writes(void **state)
{
    struct store *s;
    struct place p;
    (void)state;

    place_make(&p);
    s = open_with(p.dir, 0, 0);
    for (uint64_t round = 0; round < 20; round++) {
        struct port_job *job;
        pthread_t worker;

        for (uint64_t i = 0; i < 30; i++) {
            assert_int_equal(put(s, 30 * round + i, 5000), E_OK);
        }
        assert_non_null(job = store_work(s));
        assert_int_equal(pthread_create(&worker, NULL, run_job, job), 0);
        for (uint64_t i = 0; i < 30 * (round + 1); i += 7) {
            assert_true(holds(s, i, 5000)); /* from the disk, and from the flying batch */
        }
        assert_int_equal(put(s, 100000 + round, 10), E_OK);
        assert_int_equal(pthread_join(worker, NULL), 0);
        assert_int_equal(store_done(s, job), E_OK);
    }
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
}

static void what_lies_in_memory_is_read_at_once(void **state)
{
    struct store_config cfg = {.rng = &seeded.base};
    struct store_object want = object(7, 3000);
    char fault[STORE_FAULT_MAX] = "";
    struct store_read *r = NULL;
    struct blob *now = NULL;
    struct store *s = NULL;
    struct place p;
    (void)state;

    place_make(&p);
    cfg.dir = p.dir;
    assert_int_equal(store_open(&cfg, &s, fault), E_OK);
    assert_int_equal(put(s, 7, 3000), E_OK);
    assert_int_equal(store_flush(s), E_OK); /* written just now: the machine still has it */
    assert_int_equal(store_read_begin(s, STORE_BLOCK, want.root, 0, &now, &r), E_OK);
    assert_null(r);
    assert_true(now->n == 3000 && memcmp(now->b, want.data->b, 3000) == 0);
    blob_unref(now);
    blob_unref(want.data);
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
}

/* Reads by workers, of which some are under way when the map has to grow. */
static void workers_read_while_the_map_grows(void **state)
{
    struct store_config cfg = {.map_first = 256 * KIB, .rng = &seeded.base, .assume_cold = true};
    char fault[STORE_FAULT_MAX] = "";
    struct store *s = NULL;
    struct place p;
    unsigned by_worker = 0, tried_again = 0;
    (void)state;

    place_make(&p);
    cfg.dir = p.dir;
    assert_int_equal(store_open(&cfg, &s, fault), E_OK);
    assert_int_equal(put(s, 0, 3000), E_OK);
    assert_int_equal(store_flush(s), E_OK);
    for (uint64_t i = 1; i < 60; i++) {
        struct store_object want = object(i - 1, 3000), absent = object(999, 1);
        struct store_read *r = NULL, *none = NULL;
        struct blob *now = NULL;
        pthread_t reader;

        assert_int_equal(put(s, i, 3000), E_OK); /* of 20 pages, each time: the map is soon full */
        for (uint64_t k = 0; k < 20; k++) {
            assert_int_equal(put(s, 1000 + i * 20 + k, 3000), E_OK);
        }
        assert_int_equal(store_read_begin(s, STORE_BLOCK, want.root, 0, &now, &r), E_MORE);
        assert_int_equal(store_read_begin(s, STORE_BLOCK, absent.root, 0, &now, &none), E_MORE);
        none->job.run(&none->job); /* it has run, and has not come back yet */
        assert_int_equal(pthread_create(&reader, NULL, run_job, &r->job), 0);
        struct port_job *job = store_work(s);
        assert_non_null(job);
        job->run(job);
        assert_int_equal(store_done(s, job), E_OK);
        if ((job = store_work(s)) != NULL) { /* the map may not grow yet: the batch waits */
            tried_again++;
            job->run(job);
            assert_int_equal(store_done(s, job), E_OK);
            assert_int_equal(store_read_begin(s, STORE_BLOCK, want.root, 0, &now, &none), E_OK);
            blob_unref(now); /* on the spot: no reader may come between */
        }
        assert_int_equal(pthread_join(reader, NULL), 0);
        assert_true(store_is_read(&r->job));
        store_read_done(s, r);
        store_read_done(s, none);
        assert_int_equal(r->result, E_OK);
        assert_int_equal(none->result, E_NOT_FOUND);
        assert_true(r->data->n == 3000 && memcmp(r->data->b, want.data->b, 3000) == 0);
        by_worker++;
        blob_unref(r->data);
        mem_free(r);
        mem_free(none);
        assert_int_equal(store_flush(s), E_OK);
        assert_true(holds(s, i, 3000));
        blob_unref(want.data);
        blob_unref(absent.data);
    }
    assert_int_equal(by_worker, 59);
    assert_true(tried_again > 0);
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
}

static void a_second_daemon_and_a_newer_format_are_refused(void **state)
{
    struct store_config cfg = {.rng = &seeded.base};
    char fault[STORE_FAULT_MAX] = "";
    struct store *s, *second = NULL;
    struct place p;
    (void)state;

    place_make(&p);
    cfg.dir = p.dir;
    s = open_with(p.dir, 0, 0);
    assert_int_equal(store_open(&cfg, &second, fault), E_STORE_LOCKED);
    assert_non_null(strstr(fault, p.dir));
    assert_int_equal(store_put_meta(s, "format", view_of("\0\0\0\x7f", 4)), E_OK);
    assert_int_equal(store_close(s), E_OK);
    assert_int_equal(store_open(&cfg, &second, fault), E_STORE_VERSION);
    place_remove(&p);
    cfg.dir = "/proc/no/such/place";
    assert_int_equal(store_open(&cfg, &second, fault), E_IO);
}

static void a_store_of_format_2_is_brought_up_to_date(void **state)
{
    uint8_t anchor[40] = {1, 2, 3}, got[STORE_META_MAX];
    struct store *s;
    struct place p;
    size_t n = 0;
    (void)state;

    place_make(&p);
    s = open_with(p.dir, 0, 0);
    assert_int_equal(put(s, 7, 60), E_OK);
    assert_int_equal(store_put_meta(s, "anchor", view_of(anchor, sizeof anchor)), E_OK);
    assert_int_equal(store_put_meta(s, "format", view_of("\0\0\0\2", 4)), E_OK);
    assert_int_equal(store_close(s), E_OK);
    s = open_with(p.dir, 0, 0);
    assert_int_equal(store_get_meta(s, "anchor", got, &n), E_NOT_FOUND);
    assert_int_equal(store_get_meta(s, "base", got, &n), E_OK);
    assert_int_equal(n, sizeof anchor);
    assert_memory_equal(got, anchor, sizeof anchor);
    assert_int_equal(store_get_meta(s, "format", got, &n), E_OK);
    assert_int_equal(load_be32(got), STORE_FORMAT);
    assert_true(holds(s, 7, 60));
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
}

static void a_file_that_is_no_store_is_named(void **state)
{
    char path[128], fault[STORE_FAULT_MAX] = "";
    struct store_config cfg = {.rng = &seeded.base};
    struct store *s = NULL;
    struct place p;
    FILE *f;
    (void)state;

    place_make(&p);
    (void)snprintf(path, sizeof path, "%s/store.mdb", p.dir);
    assert_non_null(f = fopen(path, "wb"));
    for (int i = 0; i < 4096; i++) {
        assert_int_not_equal(fputs("garbage ", f), EOF);
    }
    assert_int_equal(fclose(f), 0);
    cfg.dir = p.dir;
    assert_int_equal(store_open(&cfg, &s, fault), E_STORE);
    assert_non_null(strstr(fault, "store.mdb"));
    place_remove(&p);
}

static void the_map_grows_until_its_maximum_and_then_says_so(void **state)
{
    struct store *s;
    struct place p;
    uint64_t i = 0;
    enum err e = E_OK;
    (void)state;

    place_make(&p);
    s = open_with(p.dir, 2 * MIB, 0);
    while (e == E_OK && i < 100) {
        assert_int_equal(put(s, i++, 100 * KIB), E_OK);
        e = store_flush(s);
    }
    assert_int_equal(e, E_STORE_FULL);
    assert_in_range(i, 8, 21);
    assert_true(holds(s, i - 2, 100 * KIB)); /* what was acknowledged is there */
    assert_false(holds(s, i - 1, 100 * KIB));
    assert_int_equal(store_prune(s, STORE_BLOCK, UINT64_MAX), E_OK);
    assert_int_equal(store_flush(s), E_OK);
    assert_int_equal(store_put_meta(s, "a", view_str("b")), E_OK);
    assert_int_equal(store_flush(s), E_OK); /* and it goes on */
    assert_int_equal(store_close(s), E_OK);
    s = open_with(p.dir, 64 * MIB, 0); /* with a larger maximum there is room again */
    for (i = 0; i < 200; i++) {
        assert_int_equal(put(s, i, 100 * KIB), E_OK);
    }
    assert_int_equal(store_flush(s), E_OK);
    assert_true(holds(s, 199, 100 * KIB));
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
}

static void a_small_map_doubles_under_the_batches(void **state)
{
    struct store_config cfg = {.map_first = 256 * KIB, .map_bytes = 32 * MIB, .rng = &seeded.base};
    char fault[STORE_FAULT_MAX];
    struct store_stats stats;
    struct store *s = NULL;
    struct place p;
    (void)state;

    place_make(&p);
    cfg.dir = p.dir;
    assert_int_equal(store_open(&cfg, &s, fault), E_OK);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(put(s, i, 100 * KIB), E_OK);
        if (i % 7 == 0) {
            assert_true(holds(s, i / 2, 100 * KIB)); /* readers live through the growing */
            assert_int_equal(store_flush(s), E_OK);
        }
    }
    assert_int_equal(store_flush(s), E_OK);
    store_stats(s, &stats);
    assert_int_equal(stats.objects, 100);
    assert_int_equal(stats.batches_failed, 0);
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(holds(s, i, 100 * KIB));
    }
    assert_int_equal(store_close(s), E_OK);
    assert_int_equal(store_open(&cfg, &s, fault), E_OK); /* a file larger than the first map */
    assert_true(holds(s, 99, 100 * KIB));
    assert_int_equal(put(s, 100, 100 * KIB), E_OK);
    assert_int_equal(store_flush(s), E_OK);
    assert_true(holds(s, 100, 100 * KIB));
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
}

/* RLIMIT_FSIZE stands for a full disk: each write past it fails with EFBIG. */
static void a_full_disk_loses_the_batch_and_nothing_else(void **state)
{
    struct rlimit old, small;
    struct store *s;
    struct place p;
    uint64_t i = 0;
    enum err e = E_OK;
    (void)state;

    place_make(&p);
    s = open_with(p.dir, 0, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){1024 * 1024, old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    while (e == E_OK && i < 100) {
        assert_int_equal(put(s, i++, 100 * KIB), E_OK);
        e = store_flush(s);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(e, E_STORE_FULL);
    assert_true(i > 2 && holds(s, i - 2, 100 * KIB));
    assert_false(holds(s, i - 1, 100 * KIB));
    size_t at = 0;
    struct store_object lost, want = object(i - 1, 1);
    assert_true(store_next_lost(s, &at, &lost));
    assert_int_equal(lost.slot, want.slot);
    assert_memory_equal(lost.root, want.root, 32);
    assert_false(store_next_lost(s, &at, &lost));
    blob_unref(want.data);
    assert_int_equal(put(s, i, 100 * KIB), E_OK); /* the operator made room */
    assert_int_equal(store_flush(s), E_OK);
    assert_true(holds(s, i, 100 * KIB));
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
}

/* The child writes batches and tells each that was acknowledged, until it is killed. */
static void write_until_killed(const char *dir, int tell)
{
    struct store *s = open_with(dir, 0, 0);

    for (uint64_t batch = 0;; batch++) {
        uint8_t number[8];

        for (uint64_t i = 0; i < 20; i++) {
            IGNORE(put(s, batch * 20 + i, 3000), "what is not there is seen later");
        }
        store_be64(number, batch);
        IGNORE(store_put_meta(s, "batch", view_of(number, 8)), "as above");
        if (store_flush(s) != E_OK || write(tell, number, 8) != 8) {
            _exit(1);
        }
    }
}

static uint64_t kill_after(const char *dir, unsigned acknowledged)
{
    uint8_t number[8] = {0};
    uint64_t last = 0;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        write_until_killed(dir, ends[1]);
    }
    (void)close(ends[1]);
    for (unsigned i = 0; i <= acknowledged; i++) {
        assert_int_equal(read(ends[0], number, 8), 8);
        last = load_be64(number);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], number, 8) == 8) { /* told before the signal came */
        last = load_be64(number);
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return last;
}

static void nothing_acknowledged_is_lost_by_kill_9(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        uint8_t value[STORE_META_MAX];
        uint64_t last, written;
        struct store *s;
        struct place p;
        size_t n = 0;

        place_make(&p);
        last = kill_after(p.dir, (unsigned)rng_below(&seeded.base, 12));
        s = open_with(p.dir, 0, 0);
        assert_int_equal(store_get_meta(s, "batch", value, &n), E_OK);
        written = load_be64(value);
        assert_in_range(written, last, last + 1); /* one more may have reached the disk */
        for (uint64_t i = 0; i < 20 * (written + 1); i++) {
            assert_true(holds(s, i, 3000));
        }
        assert_false(holds(s, 20 * (written + 1), 3000)); /* whole batches only */
        assert_int_equal(store_close(s), E_OK);
        place_remove(&p);
    }
}

/* The two kinds of store answer alike whatever is done to them. */
static void random_operation(struct store *disk, struct store *memory)
{
    uint64_t i = rng_below(&seeded.base, 60), what = rng_below(&seeded.base, 11);
    uint8_t name[8] = {(uint8_t)('a' + i % 5)}, value[8];

    store_be64(value, rng_u64(&seeded.base));
    if (what < 6) {
        assert_int_equal(put(disk, i, 50), E_OK);
        assert_int_equal(put(memory, i, 50), E_OK);
    } else if (what < 7) {
        assert_int_equal(store_prune(disk, STORE_BLOCK, i / 3), E_OK);
        assert_int_equal(store_prune(memory, STORE_BLOCK, i / 3), E_OK);
    } else if (what < 8) {
        assert_int_equal(store_put_meta(disk, (char *)name, view_of(value, 8)), E_OK);
        assert_int_equal(store_put_meta(memory, (char *)name, view_of(value, 8)), E_OK);
    } else if (what == 10) {
        struct store_object o = object(i, 50);

        assert_int_equal(store_remove(disk, o.slot, o.root), E_OK);
        assert_int_equal(store_remove(memory, o.slot, o.root), E_OK);
        blob_unref(o.data);
    } else {
        struct view v = view_of(value, what == 8 ? 8 : 0);

        assert_int_equal(store_put_peer(disk, view_of(name, 1), v), E_OK);
        assert_int_equal(store_put_peer(memory, view_of(name, 1), v), E_OK);
    }
}

static void assert_alike(struct store *disk, struct store *memory)
{
    struct store_header a[40], b[40];
    struct view id_a, id_b, value_a, value_b;
    size_t n_a = 0, n_b = 0, at_a = 0, at_b = 0;
    uint64_t slot = rng_below(&seeded.base, 30);
    bool more;

    assert_int_equal(store_headers(disk, slot, 30, ARRAY_LEN(a), a, &n_a), E_OK);
    assert_int_equal(store_headers(memory, slot, 30, ARRAY_LEN(b), b, &n_b), E_OK);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a * sizeof *a);
    for (uint64_t i = 0; i < 60; i++) {
        assert_int_equal(holds(disk, i, 50), holds(memory, i, 50));
    }
    do {
        more = store_next_peer(disk, &at_a, &id_a, &value_a);
        assert_int_equal(more, store_next_peer(memory, &at_b, &id_b, &value_b));
        assert_true(!more || (view_eq(id_a, id_b) && view_eq(value_a, value_b)));
    } while (more);
    for (char c = 'a'; c <= 'e'; c++) {
        uint8_t x[STORE_META_MAX], y[STORE_META_MAX];
        char name[2] = {c, 0};
        enum err e = store_get_meta(disk, name, x, &n_a);

        assert_int_equal(e, store_get_meta(memory, name, y, &n_b));
        assert_true(e != E_OK || (n_a == n_b && memcmp(x, y, n_a) == 0));
    }
}

static void random_operations_end_alike_on_disk_and_in_memory(void **state)
{
    struct store *disk, *memory = open_with(NULL, 0, 0);
    struct place p;
    (void)state;

    place_make(&p);
    disk = open_with(p.dir, 0, 0);
    for (unsigned round = 0; round < 60; round++) {
        for (uint64_t n = rng_below(&seeded.base, 20); n > 0; n--) {
            random_operation(disk, memory);
        }
        assert_int_equal(store_flush(disk), E_OK);
        assert_int_equal(store_flush(memory), E_OK);
        assert_alike(disk, memory);
        if (rng_below(&seeded.base, 5) == 0) {
            assert_int_equal(store_close(disk), E_OK);
            disk = open_with(p.dir, 0, 0);
        }
    }
    assert_int_equal(store_close(disk), E_OK);
    assert_int_equal(store_close(memory), E_OK);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read_before_and_after_its_commit),
        cmocka_unit_test(headers_come_in_order_of_slots_from_disk_and_waiting),
        cmocka_unit_test(pruning_removes_a_kind_below_a_slot_however_many),
        cmocka_unit_test(what_lies_in_memory_is_read_at_once),
        cmocka_unit_test(workers_read_while_the_map_grows),
        cmocka_unit_test(a_block_leaves_with_all_that_belongs_to_it),
        cmocka_unit_test(a_store_of_format_2_is_brought_up_to_date),
        cmocka_unit_test(peers_are_walked_and_removed),
        cmocka_unit_test(more_than_may_wait_is_refused_and_taken_later),
        cmocka_unit_test(one_job_flies_at_a_time),
        cmocka_unit_test(the_loop_reads_while_a_worker_writes),
        cmocka_unit_test(a_second_daemon_and_a_newer_format_are_refused),
        cmocka_unit_test(a_file_that_is_no_store_is_named),
        cmocka_unit_test(the_map_grows_until_its_maximum_and_then_says_so),
        cmocka_unit_test(a_small_map_doubles_under_the_batches),
        cmocka_unit_test(a_full_disk_loses_the_batch_and_nothing_else),
        cmocka_unit_test(random_operations_end_alike_on_disk_and_in_memory),
        cmocka_unit_test(nothing_acknowledged_is_lost_by_kill_9),
    };
    rng_seeded_init(&seeded, 8);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
