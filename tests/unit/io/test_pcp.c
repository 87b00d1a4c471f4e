/* PCP's question and answer, to the byte. Spec: RFC 6887 */
#include <io/pcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ANSWER 60u

static struct pcp_map question(void)
{
    struct pcp_map m = {.nonce = "twelve bytes", .protocol = PCP_UDP, .port = 9000};

    m.lease_s = 1200;
    m.external.port = 9000;
    return m;
}

/* What a router grants: 5.5.5.1:12345 for 600 seconds. */
static void answer(uint8_t out[static ANSWER])
{
    static const uint8_t granted[ANSWER] = {
        2,   0x81, 0,   0,   0,    0,    0x02, 0x58, 0,   0,   0x30, 0x39,
        0,   0,    0,   0,   0,    0,    0,    0,    0,   0,   0,    0, /* nonce */
        't', 'w',  'e', 'l', 'v',  'e',  ' ',  'b',  'y', 't', 'e',  's',
        17,  0,    0,   0,   0x23, 0x28, 0x30, 0x39, 0,   0,   0,    0,
        0,   0,    0,   0,   0,    0,    0xff, 0xff, 5,   5,   5,    1};

    memcpy(out, granted, ANSWER);
}

static void a_question_is_sixty_bytes(void **state)
{
    static const uint8_t want[PCP_MAP_BYTES] = {
        2,   1,   0,   0,    0,    0,   0x04, 0xb0, 0, 0,    0,    0,    0,    0,    0,
        0,   0,   0,   0xff, 0xff, 192, 168,  1,    2, 't',  'w',  'e',  'l',  'v',  'e',
        ' ', 'b', 'y', 't',  'e',  's', 17,   0,    0, 0,    0x23, 0x28, 0x23, 0x28, 0,
        0,   0,   0,   0,    0,    0,   0,    0,    0, 0xff, 0xff, 0,    0,    0,    0};
    static const uint8_t home[4] = {192, 168, 1, 2};
    struct addr client = addr_of(4, home, 5000);
    struct pcp_map m = question();
    uint8_t out[PCP_MAP_BYTES];

    (void)state;
    pcp_put(&m, &client, out);
    assert_memory_equal(out, want, sizeof want);
}

static void what_is_granted_is_read(void **state)
{
    static const uint8_t ip[4] = {5, 5, 5, 1};
    struct addr want = addr_of(4, ip, 12345);
    struct pcp_map m = question();
    uint8_t in[ANSWER];
    unsigned code;

    (void)state;
    answer(in);
    assert_int_equal(pcp_read(view_of(in, sizeof in), &m, &code), PCP_GRANTED);
    assert_true(addr_eq(&m.external, &want));
    assert_int_equal(m.lease_s, 600);
}

static void what_answers_another_question_is_left_alone(void **state)
{
    static const struct {
        const char *why;
        size_t at;
        uint8_t value;
    } cases[] = {
        {"a question", 1, 0x01},    {"another opcode", 1, 0x82},
        {"another nonce", 24, 'T'}, {"the nonce's last byte", 35, 'S'},
        {"TCP", 36, PCP_TCP},       {"another port", 41, 0x29},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pcp_map m = question(), before = m;
        uint8_t in[ANSWER];
        unsigned code;

        answer(in);
        in[cases[i].at] = cases[i].value;
        assert_int_equal(pcp_read(view_of(in, sizeof in), &m, &code), PCP_NOT_OURS);
        assert_memory_equal(&m, &before, sizeof m);
    }
    for (size_t n = 0; n < ANSWER; n++) { /* cut anywhere */
        struct pcp_map m = question();
        uint8_t in[ANSWER];
        unsigned code;

        answer(in);
        assert_int_equal(pcp_read(view_of(in, n), &m, &code), PCP_NOT_OURS);
    }
}

static void refusals_have_a_reason(void **state)
{
    /* Spec: RFC 6886 "Unsupported version": eight bytes of version 0 */
    static const uint8_t pmp[8] = {0, 0x81, 0, 1, 0, 0, 0, 1};
    struct pcp_map m = question();
    uint8_t in[ANSWER];
    unsigned code = 0;

    (void)state;
    answer(in);
    in[3] = 8;
    assert_int_equal(pcp_read(view_of(in, sizeof in), &m, &code), PCP_REFUSED);
    assert_int_equal(code, 8);
    assert_string_equal(pcp_text(code), "the router has no port left");
    assert_int_equal(pcp_read(view_of(pmp, sizeof pmp), &m, &code), PCP_OTHER_VERSION);
    for (code = 0; code <= 256; code++) {
        assert_non_null(pcp_text(code));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_sixty_bytes),
        cmocka_unit_test(what_is_granted_is_read),
        cmocka_unit_test(what_answers_another_question_is_left_alone),
        cmocka_unit_test(refusals_have_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
