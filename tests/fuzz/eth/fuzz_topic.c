/* Any topic name: what is read is written back byte by byte, under bounds that hold. */
#include <assert.h>
#include <codec/snappy.h>
#include <eth/msgid.h>
#include <eth/schema.h>
#include <eth/topic.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct network *net;
    char fault[NETWORK_FAULT_MAX], text[TOPIC_TEXT_MAX];
    struct topic t;
    /* a line is the topic; what follows is a message on it */
    const uint8_t *end = n == 0 ? NULL : memchr(p, '\n', n);
    struct view name = view_of(p, end == NULL ? n : (size_t)(end - p));
    struct view data = end == NULL ? view_of(NULL, 0) : view_of(end + 1, n - name.n - 1);
    struct blob *plain = NULL;
    uint8_t id[MSGID_SIZE], want[MSGID_SIZE];
    enum err e;

    if (net == NULL) {
        schema_start();
        if (network_builtin("hoodi", &net, fault) != E_OK) {
            abort();
        }
    }
    e = topic_parse(net, name, &t);
    assert(e == E_OK || e == E_TOPIC || e == E_FORK_DIGEST);
    if (e != E_OK) {
        return 0;
    }
    assert(view_eq(view_str(topic_text(&t, text)), name));
    assert(t.ssz_min <= t.ssz_max && t.ssz_max <= net->config.MAX_PAYLOAD_SIZE);
    e = msgid_open(NULL, &t, name, data, &plain, id);
    assert((e == E_OK) == (plain != NULL));
    assert(plain == NULL || (plain->n >= t.ssz_min && plain->n <= t.ssz_max));
    msgid_compute(t.span->fork, name, plain == NULL ? data : blob_view(plain), plain != NULL, want);
    assert(memcmp(id, want, sizeof id) == 0);
    blob_unref(plain);
    return 0;
}
