#include "perf.h"

#define PIECE     (1 * MIB)
#define QUEUE_MAX (2048 * MIB) /* references to one piece */

struct ask {
    uint8_t head[8];
    size_t n;
};

static void on_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    const struct perf *p = self;

    (void)inbound;
    (void)index;
    (void)now;
    host_set_user(p->host, s, mem_zalloc(sizeof(struct ask)));
}

static enum err on_data(void *self, stream_id s, struct view bytes, struct now now)
{
    const struct perf *p = self;
    struct ask *a = host_user(p->host, s);
    size_t room = sizeof a->head - a->n;

    (void)now;
    memcpy(a->head + a->n, bytes.p, bytes.n < room ? bytes.n : room);
    a->n += bytes.n < room ? bytes.n : room;
    return E_OK;
}

static enum err on_ended(void *self, stream_id s, struct now now)
{
    struct perf *p = self;
    const struct ask *a = host_user(p->host, s);

    (void)now;
    if (a->n < sizeof a->head) {
        return E_MESSAGE_EOF;
    }
    for (uint64_t left = load_be64(a->head), n; left != 0; left -= n) {
        n = left < PIECE ? left : PIECE;
        struct blob *b = n == PIECE ? blob_ref(p->zeros) : blob_new(n);
        enum err e = host_write(p->host, s, b, SEND_BULK);
        blob_unref(b);
        TRY(e);
    }
    host_end(p->host, s);
    return E_OK;
}

static void on_gone(void *self, stream_id s, enum err why, struct now now)
{
    const struct perf *p = self;

    (void)why;
    (void)now;
    mem_free(host_user(p->host, s));
}

void perf_register(struct perf *p, struct host *h)
{
    static const uint8_t name[] = "/perf/1.0.0";
    static const struct view ids[] = {{name, sizeof name - 1}};
    static const struct stream_ops ops = {on_opened, on_data, on_ended, on_gone, NULL};

    p->host = h;
    p->zeros = blob_new(PIECE);
    memset(p->zeros->b, 0, PIECE);
    p->protocol = (struct stream_protocol){.ids = ids,
                                           .n_ids = ARRAY_LEN(ids),
                                           .accept = true,
                                           .klass = SEND_BULK,
                                           .queue_max = QUEUE_MAX,
                                           .ops = &ops,
                                           .self = p};
    host_register(h, &p->protocol);
}

void perf_free(struct perf *p)
{
    blob_unref(p->zeros);
}
