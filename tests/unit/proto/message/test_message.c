/* The message protocol: there and back, every cut, what does not fit. Spec:
 * docs/protocols/message.md
 */
#include <proto/message.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX 1000u

static void messages_come_back_as_they_were(void **state)
{
    static const struct message all[] = {
        {.kind = MESSAGE_TELL, .type = 0},
        {.kind = MESSAGE_TELL, .type = 300, .data = {(const uint8_t *)"hello", 5}},
        {.kind = MESSAGE_ASK, .type = UINT64_MAX, .number = 128, .data = {(const uint8_t *)"?", 1}},
        {.kind = MESSAGE_ANSWER, .type = 6, .number = UINT64_MAX},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct blob *b = message_encode(&all[i]);
        struct view in = blob_view(b), frame;
        struct message m;

        assert_int_equal(message_split(&in, MAX, &frame), E_OK);
        assert_int_equal(in.n, 0);
        assert_int_equal(message_decode(frame, &m), E_OK);
        assert_int_equal(m.kind, all[i].kind);
        assert_true(m.type == all[i].type && m.number == all[i].number);
        assert_true(view_eq(m.data, all[i].data));
        for (size_t cut = 0; cut < b->n; cut++) {
            in = view_of(b->b, cut);
            assert_int_equal(message_split(&in, MAX, &frame), E_MORE);
            assert_int_equal(in.n, cut);
        }
        blob_unref(b);
    }
}

static void the_bytes_are_those_of_the_page(void **state)
{
    static const uint8_t want[] = {7, 1, 0xac, 0x02, 5, 'a', 'b', 'c'};
    struct blob *b = message_encode(&(struct message){
        .kind = MESSAGE_ASK, .type = 300, .number = 5, .data = {(const uint8_t *)"abc", 3}});
    (void)state;

    assert_int_equal(b->n, sizeof want);
    assert_memory_equal(b->b, want, sizeof want);
    blob_unref(b);
    b = message_frame(view_of("xy", 2));
    assert_int_equal(b->n, 3);
    assert_memory_equal(b->b, "\2xy", 3);
    blob_unref(b);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const struct {
        uint8_t b[8];
        size_t n;
        enum err want;
    } frames[] = {
        {{0}, 0, E_MESSAGE},          {{3, 0}, 2, E_MESSAGE},    {{0}, 1, E_MESSAGE},
        {{1, 0}, 2, E_MESSAGE},       {{0, 0x80}, 2, E_MESSAGE}, {{0, 0x80, 0}, 3, E_MESSAGE},
        {{2, 0, 0x81}, 3, E_MESSAGE}, {{2, 0, 1}, 3, E_OK},
    };

    static const uint8_t over[] = {0xe9, 0x07}, twisted[] = {0x80, 0};
    struct view in = view_of(over, sizeof over), frame;
    struct message m;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        assert_int_equal(message_decode(view_of(frames[i].b, frames[i].n), &m), frames[i].want);
    }
    assert_int_equal(message_split(&in, MAX, &frame), E_TOO_LONG); /* before its bytes are here */
    assert_int_equal(message_split(&in, MAX + 1, &frame), E_MORE);
    in = view_of(twisted, sizeof twisted);
    assert_int_equal(message_split(&in, MAX, &frame), E_VARINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_back_as_they_were),
        cmocka_unit_test(the_bytes_are_those_of_the_page),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
