#include <assert.h>
#include <codec/varint.h>
#include <proto/multistream.h>

/* Messages of the protocol itself. Spec: multistream-select README.md "Protocol" */
#define MS_HEADER "/multistream/1.0.0"
#define MS_NA     "na"
#define MS_LS     "ls"

#define LENGTH_BYTES_MAX 2u /* MS_LINE_MAX fits two bytes of varint */

static enum err put_line(struct buf *out, struct view text)
{
    uint8_t head[VARINT_MAX];

    TRY(buf_append(out, head, varint_put(text.n + 1, head)));
    TRY(buf_append_view(out, text));
    return buf_append(out, "\n", 1);
}

static enum err propose(struct ms *m, struct buf *out)
{
    return put_line(out, m->protocols[m->next]);
}

static enum err begin(struct ms *m, bool dialer, const struct view *protocols, size_t n,
                      struct buf *out)
{
    m->dialer = dialer;
    m->header_seen = m->done = m->curious = m->listed = false;
    m->gathered = m->next = m->proposals = 0;
    m->protocols = protocols;
    m->n_protocols = n;
    m->refused[0] = '\0';
    return put_line(out, view_str(MS_HEADER));
}

enum err ms_dial(struct ms *m, const struct view *protocols, size_t n, struct buf *out)
{
    assert(n != 0 && n <= UINT16_MAX);
    TRY(begin(m, true, protocols, n, out));
    return propose(m, out);
}

enum err ms_listen(struct ms *m, const struct view *protocols, size_t n, struct buf *out)
{
    return begin(m, false, protocols, n, out);
}

/* Bytes still wanted for the line under way; 0: it is whole, *ret_text without its newline. */
static enum err line_wants(const struct ms *m, size_t *ret_wants, struct view *ret_text)
{
    struct view have = view_of(m->line, m->gathered);
    uint64_t len;
    enum err e = varint_take(&have, &len);

    if (e == E_MORE && m->gathered < LENGTH_BYTES_MAX) {
        *ret_wants = 1;
        return E_OK;
    }
    if (e != E_OK || len == 0 || len > MS_LINE_MAX) {
        return E_MULTISTREAM;
    }
    *ret_wants = (size_t)len - have.n;
    if (*ret_wants == 0) {
        if (have.p[have.n - 1] != '\n') {
            return E_MULTISTREAM;
        }
        *ret_text = view_of(have.p, have.n - 1);
    }
    return E_OK;
}

/* The next line, inside m->line: gone with the next call. E_MORE when it is cut. */
static enum err take_line(struct ms *m, struct view *in, struct view *ret_text)
{
    size_t wants;

    for (;;) {
        TRY(line_wants(m, &wants, ret_text));
        if (wants == 0) {
            m->gathered = 0;
            return E_OK;
        }
        if (in->n == 0) {
            return E_MORE;
        }
        size_t n = wants < in->n ? wants : in->n;
        memcpy(m->line + m->gathered, in->p, n);
        m->gathered = (uint16_t)(m->gathered + n);
        *in = view_skip(*in, n);
    }
}

/* For people: what is not plain ASCII becomes a dot. */
static void keep_refused(struct ms *m, struct view text)
{
    size_t at = strlen(m->refused);

    for (size_t i = 0; i < text.n && at + 1 < sizeof m->refused; i++, at++) {
        uint8_t c = text.p[i];

        m->refused[at] = c >= 0x20 && c < 0x7f ? (char)c : '.';
    }
    m->refused[at] = '\0';
}

/* An answer to "ls": lines inside a line. */
static void keep_list(struct ms *m, struct view list)
{
    uint64_t n;

    while (varint_take(&list, &n) == E_OK && n > 1 && n <= list.n) {
        keep_refused(m, view_str(m->refused[0] == '\0' ? "" : " "));
        keep_refused(m, view_of(list.p, (size_t)n - 1));
        list = view_skip(list, (size_t)n);
    }
}

static enum err dialer_step(struct ms *m, struct view text, struct buf *out, size_t *ret_index)
{
    if (m->listed) {
        keep_list(m, text);
        return E_MULTISTREAM_NONE;
    }
    if (view_eq(text, m->protocols[m->next])) {
        m->done = true;
        *ret_index = m->next;
        return E_OK;
    }
    if (!view_eq(text, view_str(MS_NA))) {
        return E_MULTISTREAM;
    }
    if (++m->next == m->n_protocols) {
        m->listed = m->curious;
        TRY(m->curious ? put_line(out, view_str(MS_LS)) : E_MULTISTREAM_NONE);
        return E_MORE;
    }
    TRY(propose(m, out));
    return E_MORE;
}

/* One message whose text is itself a list of lines. Answered once, so that a remote gets no
 * amplifier. */
static enum err put_list(struct ms *m, struct buf *out)
{
    uint8_t head[VARINT_MAX];
    size_t n = 1;

    if (m->listed) {
        return put_line(out, view_str(MS_NA));
    }
    m->listed = true;
    for (size_t i = 0; i < m->n_protocols; i++) {
        size_t id = m->protocols[i].n;
        n += id == 0 ? 0 : varint_size(id + 1) + id + 1;
    }
    TRY(buf_append(out, head, varint_put(n, head)));
    for (size_t i = 0; i < m->n_protocols; i++) {
        TRY(m->protocols[i].n == 0 ? E_OK : put_line(out, m->protocols[i]));
    }
    return buf_append(out, "\n", 1);
}

static enum err listener_step(struct ms *m, struct view text, struct buf *out, size_t *ret_index)
{
    if (++m->proposals > MS_PROPOSALS_MAX) {
        return E_MULTISTREAM_NONE;
    }
    for (size_t i = 0; i < m->n_protocols; i++) {
        if (text.n != 0 && view_eq(text, m->protocols[i])) {
            TRY(put_line(out, text));
            m->done = true;
            *ret_index = i;
            return E_OK;
        }
    }
    if (view_eq(text, view_str(MS_LS))) {
        TRY(put_list(m, out));
    } else {
        m->refused[0] = '\0';
        keep_refused(m, text);
        TRY(put_line(out, view_str(MS_NA)));
    }
    return E_MORE;
}

enum err ms_feed(struct ms *m, struct view *in, struct buf *out, size_t *ret_index)
{
    struct view text = {NULL, 0};
    enum err e = E_MORE;

    assert(!m->done);
    while (e == E_MORE) {
        TRY(take_line(m, in, &text));
        if (!m->header_seen) {
            if (!view_eq(text, view_str(MS_HEADER))) {
                return E_MULTISTREAM;
            }
            m->header_seen = true;
        } else if (m->dialer) {
            e = dialer_step(m, text, out, ret_index);
        } else {
            e = listener_step(m, text, out, ret_index);
        }
    }
    return e;
}
