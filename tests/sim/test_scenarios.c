/* Every kept scenario holds what it expects. */
#include <base/buf.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <lab/lab.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT_MAX (64 * KIB)

static const char *const kept[] = {"partition", "churn", "slow", "satellite", "hostile", "split"};

static struct scenario sc;

static void read_text(const char *name, struct buf *text)
{
    char path[512], piece[4096];

    snprintf(path, sizeof path, "%s/tests/sim/scenarios/%s.sim", P2PD_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) {
        assert_int_equal(buf_append(text, piece, n), E_OK);
    }
    fclose(f);
}

/* Only the verdicts: a failing one is what a reader looks for. */
static void print_verdicts(void *self, struct view line)
{
    static const char what[] = "\"event\":\"expect\"";
    (void)self;

    for (size_t i = 0; i + sizeof what <= line.n; i++) {
        if (memcmp(line.p + i, what, sizeof what - 1) == 0) {
            fwrite(line.p, 1, line.n, stdout);
            return;
        }
    }
}

static void each_holds_what_it_expects(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        char fault[SCENARIO_FAULT_MAX] = "";
        struct buf text;
        struct lab *l = NULL;

        buf_init(&text, TEXT_MAX);
        read_text(kept[i], &text);
        scenario_default(&sc);
        if (!scenario_parse(&sc, buf_view(&text), fault) ||
            lab_new(&sc, print_verdicts, NULL, NULL, &l, fault) != E_OK) {
            fail_msg("%s: %s", kept[i], fault);
        }
        buf_done(&text);
        assert_true(sc.n_expects > 0);
        lab_run(l);
        if (!lab_passed(l)) {
            fail_msg("%s: an expectation does not hold", kept[i]);
        }
        lab_free(l);
    }
}

/* The verdict can be no: nothing arrives where everything is lost. */
static void a_dead_net_fails_its_expectations(void **state)
{
    char fault[SCENARIO_FAULT_MAX] = "";
    struct lab *l = NULL;
    (void)state;

    scenario_default(&sc);
    assert_true(scenario_parse(&sc,
                               view_str("nodes 4\nloss 100%\ngenesis 4s\nrun 20s\n"
                                        "expect delivered 50% within 4s\n"),
                               fault));
    assert_int_equal(lab_new(&sc, NULL, NULL, NULL, &l, fault), E_OK);
    lab_run(l);
    assert_false(lab_passed(l));
    lab_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_holds_what_it_expects),
        cmocka_unit_test(a_dead_net_fails_its_expectations),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
