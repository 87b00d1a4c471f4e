#include <eth/enr_keys.h>

void enr_fork_id_at(const struct network *n, uint64_t epoch, struct enr_fork_id *ret)
{
    const struct fork_span *s = network_span_at(n, epoch);
    const struct fork_span *next = network_span_next(n, s);
    enum fork version_of = s->fork;

    /* The version is of the next real fork even when a blob schedule entry comes before it. */
    for (const struct fork_span *f = next; f != NULL; f = network_span_next(n, f)) {
        if (f->fork != s->fork) {
            version_of = f->fork;
            break;
        }
    }
    memcpy(ret->digest, s->digest, 4);
    memcpy(ret->next_version, n->forks[version_of].version, 4);
    ret->next_epoch = next == NULL ? FAR_FUTURE_EPOCH : next->from;
}

void enr_fork_id_encode(const struct enr_fork_id *id, uint8_t ret[static ENR_FORK_ID_SIZE])
{
    memcpy(ret, id->digest, 4);
    memcpy(ret + 4, id->next_version, 4);
    store_le64(ret + 8, id->next_epoch);
}

bool enr_fork_id_decode(struct view value, struct enr_fork_id *ret)
{
    if (value.n != ENR_FORK_ID_SIZE) {
        return false;
    }
    memcpy(ret->digest, value.p, 4);
    memcpy(ret->next_version, value.p + 4, 4);
    ret->next_epoch = load_le64(value.p + 8);
    return true;
}

void enr_nfd_at(const struct network *n, uint64_t epoch, uint8_t ret[static 4])
{
    const struct fork_span *next = network_span_next(n, network_span_at(n, epoch));

    memset(ret, 0, 4);
    if (next != NULL) {
        memcpy(ret, next->digest, 4);
    }
}
