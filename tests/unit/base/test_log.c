/* log and metric. */
#include <base/err.h>
#include <base/log.h>
#include <base/metric.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct lines {
    char text[8192];
    size_t n;
};

static void keep_line(void *self, enum log_level level, struct view line)
{
    struct lines *l = self;
    (void)level;

    assert_true(l->n + line.n < sizeof l->text);
    memcpy(l->text + l->n, line.p, line.n);
    l->n += line.n;
    l->text[l->n] = 0;
}

static void write_one(struct log *log)
{
    LOG(log, LOG_WARN, "net", "peer broke the window", L_U64("allowed", 5), L_I64("delta", -3),
        L_STR("agent", "a \"b\"\n\xff"), L_HEX("id", view_of("\x01\xab", 2)),
        L_VIEW("word", view_str("plain")), L_MS("took", 1234567), L_STR("none", ""));
}

static void a_line_as_text(void **state)
{
    struct lines got = {.n = 0};
    struct log *log = log_new(keep_line, &got, LOG_TEXT, LOG_INFO);
    (void)state;

    log_set_time(log, UINT64_C(1709210096007) * 1000000); /* a leap day */
    write_one(log);
    assert_string_equal(got.text, "2024-02-29T12:34:56.007Z warn  net      peer broke the window "
                                  "allowed=5 delta=-3 agent=\"a \\\"b\\\"\\x0a\\xff\" id=0x01ab "
                                  "word=plain took_ms=1.234 none=\"\"\n");
    log_free(log);
}

static void a_line_as_json(void **state)
{
    struct lines got = {.n = 0};
    struct log *log = log_new(keep_line, &got, LOG_JSON, LOG_INFO);
    (void)state;

    write_one(log);
    assert_string_equal(got.text,
                        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\","
                        "\"module\":\"net\",\"msg\":\"peer broke the window\",\"allowed\":5,"
                        "\"delta\":-3,\"agent\":\"a \\\"b\\\"\\u000a\\u00ff\",\"id\":\"0x01ab\","
                        "\"word\":\"plain\",\"took_ms\":1.234,\"none\":\"\"}\n");
    log_free(log);
}

static void a_field_too_long_is_left_out_and_said_so(void **state)
{
    static uint8_t big[3000];
    struct lines got = {.n = 0};
    struct log *log = log_new(keep_line, &got, LOG_JSON, LOG_INFO);
    (void)state;

    LOG(log, LOG_INFO, "net", "long", L_HEX("big", view_of(big, sizeof big)), L_U64("after", 1));
    assert_string_equal(got.text,
                        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\","
                        "\"module\":\"net\",\"msg\":\"long\",\"after\":1,\"cut\":true}\n");
    log_free(log);
}

static void levels_are_by_module(void **state)
{
    struct lines got = {.n = 0};
    struct log *log = log_new(keep_line, &got, LOG_TEXT, LOG_INFO);
    struct view bad;
    (void)state;

    assert_true(log_on(log, LOG_INFO, "net"));
    assert_false(log_on(log, LOG_DEBUG, "net"));
    assert_true(log_set_levels(log, "warn,gossip=debug,discv5=error", NULL));
    assert_false(log_on(log, LOG_INFO, "net"));
    assert_true(log_on(log, LOG_DEBUG, "gossip"));
    assert_false(log_on(log, LOG_TRACE, "gossip"));
    assert_false(log_on(log, LOG_WARN, "discv5"));

    assert_false(log_set_levels(log, "info,gossip=loud", &bad));
    assert_true(view_eq(bad, view_str("gossip=loud")));
    assert_true(log_on(log, LOG_DEBUG, "gossip")); /* a bad spec changes nothing */
    assert_false(log_set_levels(log, "", &bad));
    assert_false(log_set_levels(log, "info,", &bad));
    assert_false(log_set_levels(log, "=info", &bad));
    assert_false(log_on(NULL, LOG_ERROR, "net"));
    LOG(NULL, LOG_ERROR, "net", "nowhere");
    log_free(log);
}

static const char *label_text(void *self, enum metric m, unsigned index)
{
    (void)self;
    return m == M_FAULTS && index < ERR_COUNT ? err_table[index].name : NULL;
}

static void metrics_print_as_prometheus_reads_them(void **state)
{
    struct metrics *ms = metrics_new();
    struct buf out;
    (void)state;

    metric_set(ms, M_PEERS, 0, 7);
    metric_add(ms, M_FAULTS, E_TIMEOUT, 2);
    metric_add(ms, M_FAULTS, E_TIMEOUT, 1);
    metric_add(NULL, M_FAULTS, E_TIMEOUT, 1);
    assert_int_equal(metric_get(ms, M_FAULTS, E_TIMEOUT), 3);
    assert_int_equal(metric_get(ms, M_FAULTS, E_RATE), 0);

    buf_init(&out, 256 * KIB);
    assert_int_equal(metrics_print(ms, label_text, NULL, &out), E_OK);
    assert_int_equal(buf_append(&out, "", 1), E_OK);
    const char *text = (const char *)out.p;
    assert_non_null(strstr(text, "# HELP libp2p_peers Connected peers\n# TYPE libp2p_peers gauge\n"
                                 "libp2p_peers 7\n"));
    assert_non_null(strstr(text, "# TYPE p2pd_faults_total counter\n"
                                 "p2pd_faults_total{reason=\"E_TIMEOUT\"} 3\n"));
    assert_null(strstr(text, "E_RATE"));
    buf_done(&out);

    buf_init(&out, 100);
    assert_int_equal(metrics_print(ms, label_text, NULL, &out), E_FULL);
    buf_done(&out);
    metrics_free(ms);
}

static void every_error_has_its_own_name_and_text(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        assert_non_null(err_table[e].name);
        assert_true(strlen(err_text((enum err)e)) > 1);
        for (int f = 0; f < e; f++) {
            assert_string_not_equal(err_table[e].text, err_table[f].text);
        }
        /* Only a remote pays. */
        assert_true(err_table[e].penalty == 0 || err_table[e].fault == FAULT_REMOTE);
    }
    assert_string_equal(err_text((enum err)ERR_COUNT), "unknown error");
}

static void levels_are_told_as_they_are_set(void **state)
{
    struct lines got = {.n = 0};
    struct log *log = log_new(keep_line, &got, LOG_TEXT, LOG_INFO);
    char text[64];
    (void)state;

    assert_string_equal(log_levels(log, text, sizeof text), "info");
    assert_true(log_set_levels(log, "warn,gossip=debug,net=trace", NULL));
    assert_string_equal(log_levels(log, text, sizeof text), "warn,gossip=debug,net=trace");
    assert_string_equal(log_levels(log, text, 9), "warn,gos");
    assert_string_equal(log_level_name(LOG_TRACE), "trace");
    log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_told_as_they_are_set),
        cmocka_unit_test(a_line_as_text),
        cmocka_unit_test(a_line_as_json),
        cmocka_unit_test(a_field_too_long_is_left_out_and_said_so),
        cmocka_unit_test(levels_are_by_module),
        cmocka_unit_test(metrics_print_as_prometheus_reads_them),
        cmocka_unit_test(every_error_has_its_own_name_and_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
