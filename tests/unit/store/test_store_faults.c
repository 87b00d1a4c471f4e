/*
 * The store on a disk that fails: a layer under LMDB lets the n-th write or sync fail, or takes the
 * picture of the file that a power cut would leave.
 *
 * A power cut keeps what was synced, and any part of what was not. The functions below stand before
 * libc's in the program, so LMDB calls them.
 */
#define _GNU_SOURCE
#include <base/bytes.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/store.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#define EXPORTED   __attribute__((visibility("default")))
#define FILE_MAX   ((size_t)4 << 20) /* the store of a test stays far below */
#define UNDO_MAX   4096
#define BATCHES    12u
#define BATCH_SIZE 5u

/* ---- the layer ---- */
static struct {
    bool on;
    uint64_t calls, fail_at; /* 0: never */
    int fail_with;
    bool short_first; /* half of the bytes are written before it fails */
} faults;

struct undo { /* what stood where an unsynced write went */
    off_t at;
    size_t n, file_n; /* of the file before it */
    uint8_t *old;
};

static struct {
    struct undo all[UNDO_MAX];
    size_t n;
    bool recording;
} log_;

static void undo_clear(void)
{
    for (size_t i = 0; i < log_.n; i++) {
        free(log_.all[i].old);
    }
    log_.n = 0;
}

static bool is_store(int fd)
{
    char link[64], path[512];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    return n > 9 && memcmp(path + n - 9, "store.mdb", 9) == 0;
}

/* LMDB writes its meta pages through a descriptor that syncs by itself. */
static bool syncs_itself(int fd)
{
    return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

static void undo_record(int fd, off_t at, size_t n)
{
    struct undo *u = &log_.all[log_.n];
    struct stat st;
    ssize_t got;

    if (!log_.recording || syncs_itself(fd)) {
        return;
    }
    assert_true(log_.n < UNDO_MAX && fstat(fd, &st) == 0);
    *u = (struct undo){.at = at, .n = n, .file_n = (size_t)st.st_size, .old = calloc(1, n)};
    assert_non_null(u->old);
    got = pread(fd, u->old, n, at);
    assert_true(got >= 0);
    log_.n++;
}

/* Whether this call fails; *ret_n: bytes to write before. */
static bool fails(int fd, size_t n, size_t *ret_n)
{
    *ret_n = n;
    if (!faults.on || !is_store(fd) || ++faults.calls != faults.fail_at) {
        return false;
    }
    *ret_n = faults.short_first ? n / 2 : 0;
    return true;
}

/* The layer is linked into a test program only; ISO C has no cast between these pointers. */
#define REAL(type, name)                   \
    type *real = NULL;                     \
    void *symbol = dlsym(RTLD_NEXT, name); \
    memcpy(&real, &symbol, sizeof real)

typedef ssize_t pwrite_fn(int fd, const void *p, size_t n, off_t at);
typedef ssize_t writev_fn(int fd, const struct iovec *v, int n);
typedef int sync_fn(int fd);

EXPORTED ssize_t pwrite64(int fd, const void *p, size_t n, off_t at);

EXPORTED ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    REAL(pwrite_fn, "pwrite64");
    size_t some;

    if (is_store(fd)) {
        undo_record(fd, at, n);
    }
    if (!fails(fd, n, &some)) {
        return real(fd, p, n, at);
    }
    if (some > 0) {
        return real(fd, p, some, at);
    }
    errno = faults.fail_with;
    return -1;
}

EXPORTED ssize_t pwrite(int fd, const void *p, size_t n, off_t at);

EXPORTED ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return pwrite64(fd, p, n, at);
}

EXPORTED ssize_t writev(int fd, const struct iovec *v, int n)
{
    REAL(writev_fn, "writev");
    size_t whole = 0, some;

    for (int i = 0; i < n; i++) {
        whole += v[i].iov_len;
    }
    if (is_store(fd)) {
        undo_record(fd, lseek(fd, 0, SEEK_CUR), whole);
    }
    if (!fails(fd, whole, &some)) {
        return real(fd, v, n);
    }
    if (some > 0) {
        return real(fd, v, 1);
    }
    errno = faults.fail_with;
    return -1;
}

static void picture_at_sync(int fd);

EXPORTED int fdatasync(int fd)
{
    REAL(sync_fn, "fdatasync");
    size_t some;

    if (is_store(fd) && log_.recording) {
        picture_at_sync(fd);
        undo_clear();
    }
    if (fails(fd, 0, &some)) {
        errno = faults.fail_with;
        return -1;
    }
    return real(fd);
}

/* ---- a store in a directory of its own ---- */
struct place {
    char dir[64];
};

static struct rng_seeded seeded;

static void place_make(struct place *p)
{
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/p2pd-faults-XXXXXX");
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

static struct store *open_at(const char *dir)
{
    struct store_config cfg = {.dir = dir, .map_first = 16 * MIB, .rng = &seeded.base};
    char fault[STORE_FAULT_MAX] = "";
    struct store *s = NULL;

    if (store_open(&cfg, &s, fault) != E_OK) {
        fail_msg("%s", fault);
    }
    return s;
}

static struct store_object object(uint64_t i)
{
    struct store_object o = {.kind = STORE_BLOCK, .slot = i, .data = blob_new(3000)};

    store_be64(o.root, i + 1);
    memset(o.data->b, (int)(i % 251), o.data->n);
    return o;
}

static void put_batch(struct store *s, uint64_t batch)
{
    for (uint64_t i = 0; i < BATCH_SIZE; i++) {
        struct store_object o = object(batch * BATCH_SIZE + i);

        assert_int_equal(store_put(s, &o), E_OK);
        blob_unref(o.data);
    }
}

/* Objects of a batch that are there and right. */
static unsigned held(struct store *s, uint64_t batch)
{
    unsigned n = 0;

    for (uint64_t i = 0; i < BATCH_SIZE; i++) {
        struct store_object o = object(batch * BATCH_SIZE + i);
        struct blob *got = NULL;

        if (store_get(s, STORE_BLOCK, o.root, 0, &got) == E_OK) {
            assert_true(view_eq(blob_view(got), blob_view(o.data)));
            n++;
        }
        blob_unref(got);
        blob_unref(o.data);
    }
    return n;
}

/* Beside its objects each batch has a branch's block, and removes that of the batch before. */
#define BRANCH 100000u

static void branch_batch(struct store *s, uint64_t batch)
{
    struct store_object o = object(BRANCH + batch), old = object(BRANCH + batch - 1);

    assert_int_equal(store_put(s, &o), E_OK);
    if (batch > 0) {
        assert_int_equal(store_remove(s, old.slot, old.root), E_OK);
    }
    blob_unref(o.data);
    blob_unref(old.data);
}

static bool holds_branch(struct store *s, uint64_t batch)
{
    struct store_object o = object(BRANCH + batch);

    blob_unref(o.data);
    return store_has(s, STORE_BLOCK, o.root, 0);
}

/* What a batch that failed was made of can be asked for. */
static void lost_is_told(struct store *s, uint64_t batch)
{
    struct store_object lost;
    size_t at = 0;
    unsigned n = 0;

    while (store_next_lost(s, &at, &lost)) {
        struct store_object o = object(n < BATCH_SIZE ? batch * BATCH_SIZE + n : BRANCH + batch);

        assert_true(lost.slot == o.slot && memcmp(lost.root, o.root, 32) == 0);
        blob_unref(o.data);
        n++;
    }
    assert_int_equal(n, BATCH_SIZE + 1);
}

/* ---- each call fails once ---- */
/* Write the batches with the n-th call failing; true when no call had that number. */
static bool run_with_fault(uint64_t nth, int with, bool short_first)
{
    bool acknowledged[BATCHES];
    struct store *s;
    struct place p;
    bool over;

    place_make(&p);
    s = open_at(p.dir);
    faults.calls = 0;
    faults.fail_at = nth;
    faults.fail_with = with;
    faults.short_first = short_first;
    faults.on = true;
    for (uint64_t b = 0; b < BATCHES; b++) {
        enum err e;

        put_batch(s, b);
        branch_batch(s, b);
        e = store_flush(s);
        acknowledged[b] = e == E_OK;
        assert_true(e == E_OK || e == E_STORE || e == E_STORE_FULL);
        if (e != E_OK) {
            lost_is_told(s, b);
        }
        for (uint64_t before = 0; before <= b; before++) { /* the store goes on reading */
            if (acknowledged[before] && held(s, before) != BATCH_SIZE) {
                fail_msg("call %u fails with %s: batch %u of %u is gone", (unsigned)nth,
                         strerror(with), (unsigned)before, (unsigned)b);
            }
        }
    }
    faults.on = false;
    over = faults.calls < nth;
    assert_true(acknowledged[BATCHES - 1] || nth > faults.calls - 8); /* and writing */
    assert_int_equal(store_close(s), E_OK);
    s = open_at(p.dir);
    for (uint64_t b = 0; b < BATCHES; b++) {
        unsigned n = held(s, b);

        assert_true(n == BATCH_SIZE || (n == 0 && !acknowledged[b])); /* whole batches */
        bool removed = b + 1 < BATCHES && held(s, b + 1) == BATCH_SIZE;
        assert_int_equal(holds_branch(s, b), n == BATCH_SIZE && !removed);
    }
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
    return over;
}

static void every_write_and_sync_may_fail_once(void **state)
{
    static const struct {
        const char *why;
        int with;
        bool short_first;
    } kinds[] = {
        {"no space", ENOSPC, false},
        {"an error of the disk", EIO, false},
        {"a short write, as a disk that fills up makes", ENOSPC, true},
    };

    (void)state;

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        uint64_t nth = 1;

        while (!run_with_fault(nth, kinds[k].with, kinds[k].short_first)) {
            nth++;
        }
        printf("%s: %u calls, each failed once\n", kinds[k].why, (unsigned)(nth - 1));
        assert_true(nth > BATCHES);
    }
}

/* ---- power cuts ---- */
static struct {
    uint64_t batches; /* acknowledged when a picture is taken */
    unsigned pictures;
} cut;

static size_t read_all(int fd, uint8_t *out)
{
    ssize_t n = pread(fd, out, FILE_MAX, 0);

    assert_true(n >= 0 && (size_t)n < FILE_MAX);
    return (size_t)n;
}

/* The file with a random part of the unsynced writes undone, the last first. */
static void picture_write(const char *dir, uint8_t *bytes, size_t n)
{
    char path[128];
    FILE *f;

    for (size_t i = log_.n; i > 0; i--) {
        const struct undo *u = &log_.all[i - 1];
        /* half of the pictures lose all of them */
        bool lost = cut.pictures % 2 == 0 || rng_below(&seeded.base, 2) == 0;

        if (lost) {
            memcpy(bytes + u->at, u->old, u->n);
        }
    }
    (void)snprintf(path, sizeof path, "%s/store.mdb", dir);
    assert_non_null(f = fopen(path, "wb"));
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void picture_at_sync(int fd)
{
    static uint8_t bytes[FILE_MAX];
    size_t n = read_all(fd, bytes);
    struct store *s;
    struct place p;

    log_.recording = false;
    place_make(&p);
    picture_write(p.dir, bytes, n);
    cut.pictures++;
    s = open_at(p.dir);
    for (uint64_t b = 0; b < cut.batches; b++) {
        assert_int_equal(held(s, b), BATCH_SIZE);
    }
    assert_int_equal(held(s, cut.batches) % BATCH_SIZE, 0);
    put_batch(s, 1000); /* the file is a whole store: it can be written */
    assert_int_equal(store_flush(s), E_OK);
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
    log_.recording = true;
}

static void a_power_cut_loses_nothing_acknowledged(void **state)
{
    struct store *s;
    struct place p;
    (void)state;

    place_make(&p);
    s = open_at(p.dir);
    cut.pictures = 0;
    for (cut.batches = 0; cut.batches < 40; cut.batches++) {
        log_.recording = true;
        put_batch(s, cut.batches);
        if (cut.batches % 9 == 8) {
            assert_int_equal(store_put_meta(s, "x", view_str("y")), E_OK);
        }
        assert_int_equal(store_flush(s), E_OK);
        log_.recording = false;
        undo_clear();
    }
    printf("%u pictures of a power cut opened whole\n", cut.pictures);
    assert_true(cut.pictures >= 40);
    assert_int_equal(store_close(s), E_OK);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_write_and_sync_may_fail_once),
        cmocka_unit_test(a_power_cut_loses_nothing_acknowledged),
    };
    rng_seeded_init(&seeded, 9);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
