#include <codec/snappy.h>
#include <crypto/sha256.h>
#include <eth/msgid.h>

/* Spec: configs/mainnet.yaml MESSAGE_DOMAIN_INVALID_SNAPPY, MESSAGE_DOMAIN_VALID_SNAPPY */
static const uint8_t domain_invalid[4] = {0, 0, 0, 0};
static const uint8_t domain_valid[4] = {1, 0, 0, 0};

void msgid_compute(enum fork fork, struct view topic, struct view data, bool valid,
                   uint8_t ret[static MSGID_SIZE])
{
    struct sha256 s;
    uint8_t length[8], hash[32];

    sha256_init(&s);
    sha256_add(&s, view_of(valid ? domain_valid : domain_invalid, 4));
    if (fork >= ALTAIR) {
        store_le64(length, topic.n);
        sha256_add(&s, view_of(length, sizeof length));
        sha256_add(&s, topic);
    }
    sha256_add(&s, data);
    sha256_end(&s, hash);
    memcpy(ret, hash, MSGID_SIZE);
}

/* The size is the type's business, its id the snappy rule's: a message that decompresses has the
 * "valid" id even where its length is wrong for the type, but such a message is not opened at
 * all, so that a peer cannot make us decompress what we would refuse. Its id is then the invalid
 * one, which no honest peer gives to it: nothing is looked up by it. */
static enum err open_bounded(const struct topic *t, struct view data, struct blob **ret)
{
    size_t length = 0;

    TRY(snappy_block_length(data, &length));
    if (length > t->ssz_max) {
        return E_TOO_LONG;
    }
    if (length < t->ssz_min) {
        return E_SSZ_LENGTH;
    }
    return snappy_block_open(data, t->ssz_max, ret);
}

enum err msgid_open(void *self, void *topic_user, struct view topic, struct view data,
                    struct blob **ret_data, uint8_t ret_id[static MSGID_SIZE])
{
    const struct topic *t = topic_user;
    struct blob *plain = NULL;
    enum err e = open_bounded(t, data, &plain);

    (void)self;
    if (e != E_OK) {
        msgid_compute(t->span->fork, topic, data, false, ret_id);
        return e;
    }
    msgid_compute(t->span->fork, topic, blob_view(plain), true, ret_id);
    *ret_data = plain;
    return E_OK;
}
