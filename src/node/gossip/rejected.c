#include <base/mem.h>
#include <codec/base.h>
#include <eth/msgid.h>
#include <inttypes.h>
#include <node/rejected.h>
#include <stdio.h>

#define MAGIC    "beacon-p2pd rejected message 1"
#define LINE_MAX 512u

/* ---- writing ---- */

static enum err put_line(struct buf *out, const char *name, const char *value)
{
    TRY(buf_append(out, name, strlen(name)));
    TRY(buf_append(out, " ", 1));
    TRY(buf_append(out, value, strlen(value)));
    return buf_append(out, "\n", 1);
}

static enum err put_u64(struct buf *out, const char *name, uint64_t x)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, x);
    return put_line(out, name, text);
}

static const char *hex32(const uint8_t b[static 32], char out[static 67])
{
    memcpy(out, "0x", 2);
    hex_put(view_of(b, 32), out + 2);
    return out;
}

static enum err put_block(struct buf *out, const struct rejected_block *b)
{
    char root[67], payload[67], requests[67], line[LINE_MAX];

    hex32(b->root, root);
    if (!b->known) {
        (void)snprintf(line, sizeof line, "%s unknown", root);
    } else {
        (void)snprintf(line, sizeof line, "%s %" PRIu64 " %d %d %d %" PRIu64 " %s %s %" PRIu64,
                       root, b->block.slot, b->block.invalid, b->block.validated, b->block.has_bid,
                       b->block.builder_index, hex32(b->block.payload_hash, payload),
                       hex32(b->block.requests_root, requests), b->block.n_commitments);
    }
    return put_line(out, "block", line);
}

enum err rejected_write(const struct node_rejected *r, struct buf *out)
{
    char text[TOPIC_TEXT_MAX], id[PEER_ID_TEXT_MAX], root[67];

    TRY(buf_append(out, MAGIC "\n", sizeof MAGIC));
    TRY(put_line(out, "network", hex32(r->network->genesis_validators_root, root)));
    TRY(put_line(out, "topic", topic_text(r->topic, text)));
    TRY(put_line(out, "peer", r->peer == NULL ? "?" : peer_id_text(r->peer, id)));
    TRY(put_u64(out, "time", r->wall_ns));
    TRY(put_line(out, "error", err_table[r->error].name));
    TRY(put_line(out, "reason", r->reason));
    TRY(put_u64(out, "finalized-epoch", r->chain->finalized_epoch));
    TRY(put_u64(out, "blocks-known", r->chain->asked));
    for (unsigned i = 0; i < r->chain->n_blocks; i++) {
        TRY(put_block(out, &r->chain->blocks[i]));
    }
    TRY(put_u64(out, "bytes", r->raw.n));
    TRY(buf_append(out, "\n", 1));
    return buf_append_view(out, r->raw);
}

/* ---- reading: a file is hostile until it is read ---- */

struct file {
    struct rejected_judged *j;
    struct rejected_chain chain;
    uint8_t network[32];
    uint64_t bytes;
    struct view raw;
    unsigned seen; /* bits of lines[] */
    char *fault;
};

static bool read_u64(const char *text, uint64_t *ret)
{
    uint64_t x = 0;
    size_t i = 0;

    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        if (x > (UINT64_MAX - (uint64_t)(text[i] - '0')) / 10) {
            return false;
        }
        x = x * 10 + (uint64_t)(text[i] - '0');
    }
    *ret = x;
    return i != 0 && text[i] == '\0';
}

static bool read_root(const char *text, uint8_t ret[static 32])
{
    size_t n;

    return hex_get(view_str(text), ret, 32, &n) == E_OK && n == 32;
}

static bool read_text(const char *value, char *to, size_t size)
{
    size_t n = strlen(value);

    if (n >= size) {
        return false;
    }
    memcpy(to, value, n + 1);
    return true;
}

/* The next word of a line, which is cut there. */
static char *next_word(char **at)
{
    char *word = *at, *end = strchr(word, ' ');

    *at = end == NULL ? word + strlen(word) : end + 1;
    if (end != NULL) {
        *end = '\0';
    }
    return word;
}

static bool read_block(struct file *f, char *value)
{
    struct rejected_block *b = &f->chain.blocks[f->chain.n_blocks];
    uint64_t numbers[4] = {0};

    if (f->chain.n_blocks == REJECTED_BLOCKS_MAX || !read_root(next_word(&value), b->root)) {
        return false;
    }
    b->known = strcmp(value, "unknown") != 0;
    f->chain.n_blocks++;
    if (!b->known) {
        return true;
    }
    bool ok = read_u64(next_word(&value), &b->block.slot);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        ok = read_u64(next_word(&value), &numbers[i]) && (i == 3 || numbers[i] <= 1) && ok;
    }
    b->block.invalid = numbers[0] != 0;
    b->block.validated = numbers[1] != 0;
    b->block.has_bid = numbers[2] != 0;
    b->block.builder_index = numbers[3];
    ok = read_root(next_word(&value), b->block.payload_hash) && ok;
    ok = read_root(next_word(&value), b->block.requests_root) && ok;
    return read_u64(value, &b->block.n_commitments) && ok;
}

static bool read_error(const char *value, enum err *ret)
{
    for (enum err e = 1; e < ERR_COUNT; e++) {
        if (strcmp(err_table[e].name, value) == 0) {
            *ret = e;
            return true;
        }
    }
    return false;
}

static bool read_line(struct file *f, const char *name, char *value)
{
    static const char *const lines[] = {
        "network", "topic",           "peer",         "time", "error",
        "reason",  "finalized-epoch", "blocks-known", "bytes"};
    struct rejected_judged *j = f->j;
    unsigned which = 0;
    uint64_t flag = 0;

    if (strcmp(name, "block") == 0) {
        return read_block(f, value);
    }
    while (which < ARRAY_LEN(lines) && strcmp(lines[which], name) != 0) {
        which++;
    }
    if (which == ARRAY_LEN(lines) || (f->seen >> which & 1) != 0) {
        return false;
    }
    f->seen |= 1u << which;
    bool ok[] = {which != 0 || read_root(value, f->network),
                 which != 1 || read_text(value, j->topic, sizeof j->topic),
                 which != 2 || read_text(value, j->peer, sizeof j->peer),
                 which != 3 || read_u64(value, &j->wall_ns),
                 which != 4 || read_error(value, &j->was),
                 which != 5 || read_text(value, j->was_reason, sizeof j->was_reason),
                 which != 6 || read_u64(value, &f->chain.finalized_epoch),
                 which != 7 || (read_u64(value, &flag) && flag <= 1),
                 which != 8 || read_u64(value, &f->bytes)};
    f->chain.asked = which == 7 ? flag != 0 : f->chain.asked;
    return ok[which] && (which != 8 || f->seen == (1u << ARRAY_LEN(lines)) - 1);
}

static enum err wrong(struct file *f, const char *what, const char *line)
{
    (void)snprintf(f->fault, REJECTED_FAULT_MAX, "%s%.60s", what, line);
    return E_INVALID;
}

/* One line without its end; false: there is none, or it is too long. */
static bool take_line(struct view *in, char out[static LINE_MAX])
{
    const uint8_t *end = in->n == 0 ? NULL : memchr(in->p, '\n', in->n);
    size_t n = end == NULL ? LINE_MAX : (size_t)(end - in->p);

    if (n >= LINE_MAX || memchr(in->p, 0, n) != NULL) {
        return false;
    }
    memcpy(out, in->p, n);
    out[n] = '\0';
    *in = view_skip(*in, n + 1);
    return true;
}

static enum err read_file(struct file *f, struct view in)
{
    char line[LINE_MAX];

    if (!take_line(&in, line) || strcmp(line, MAGIC) != 0) {
        return wrong(f, "not the file of a rejected message", "");
    }
    for (;;) {
        if (!take_line(&in, line)) {
            return wrong(f, "a line is too long, or the file is cut", "");
        }
        if (line[0] == '\0') {
            break;
        }
        char *value = line;
        const char *name = next_word(&value);

        if (!read_line(f, name, value)) {
            return wrong(f, "this line is wrong, or given twice: ", name);
        }
    }
    f->raw = in;
    return f->bytes == in.n && f->seen != 0
               ? E_OK
               : wrong(f, "the file has another number of bytes than it says", "");
}

enum err rejected_network(struct view file, uint8_t ret_root[static 32])
{
    struct rejected_judged j = {.was = E_OK};
    char fault[REJECTED_FAULT_MAX];
    struct file f = {.j = &j, .fault = fault};

    TRY(read_file(&f, file));
    memcpy(ret_root, f.network, 32);
    return E_OK;
}

/* ---- judging ---- */

static bool known_block(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    const struct rejected_chain *c = self;

    for (unsigned i = 0; i < c->n_blocks; i++) {
        if (c->blocks[i].known && memcmp(c->blocks[i].root, root, 32) == 0) {
            *ret = c->blocks[i].block;
            return true;
        }
    }
    return false;
}

static void judge(const struct network *net, const struct topic *t, struct file *f, struct rng *rng)
{
    struct rejected_judged *j = f->j;
    uint8_t id[MSGID_SIZE];
    struct blob *data = NULL;
    struct topic topic = *t;
    const char *reason = "";

    j->is = msgid_open(NULL, &topic, view_str(j->topic), f->raw, &data, id);
    if (j->is != E_OK) {
        reason = err_text(j->is);
    } else {
        struct check_cache *cache = check_cache_new(net, rng);
        struct check_chain chain = {.finalized_epoch = f->chain.finalized_epoch,
                                    .block = f->chain.asked ? known_block : NULL,
                                    .self = &f->chain};
        struct check_input in = {
            .topic = t, .data = blob_view(data), .wall_ns = j->wall_ns, .chain = &chain};
        struct check_result r = check_message(cache, &in);

        if (r.verdict == CHECK_REJECT) {
            j->is = r.error == E_OK ? E_GOSSIP_REJECT : r.error;
        }
        reason = r.reason == NULL ? "" : r.reason;
        check_cache_free(cache);
        blob_unref(data);
    }
    (void)snprintf(j->is_reason, sizeof j->is_reason, "%s", reason);
}

enum err rejected_judge(const struct network *net, struct view file, struct rng *rng,
                        struct rejected_judged *ret, char fault[static REJECTED_FAULT_MAX])
{
    struct file *f = mem_zalloc(sizeof *f);
    struct topic topic;
    enum err e;

    *ret = (struct rejected_judged){.was = E_OK};
    f->j = ret;
    f->fault = fault;
    e = read_file(f, file);
    if (e == E_OK && memcmp(f->network, net->genesis_validators_root, 32) != 0) {
        e = wrong(f, "the message is of another network; give its --network or --testnet-dir", "");
    } else if (e == E_OK && topic_parse(net, view_str(ret->topic), &topic) != E_OK) {
        e = wrong(f, "no topic of this network: ", ret->topic);
    } else if (e == E_OK) {
        ret->bytes = f->raw.n;
        judge(net, &topic, f, rng);
    }
    mem_free(f);
    return e;
}
