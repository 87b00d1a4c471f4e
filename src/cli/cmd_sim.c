/* A scenario file on virtual time: ndjson results on stdout, exit code by its expectations. */
#include "commands.h"

#include <base/buf.h>
#include <base/mem.h>
#include <lab/lab.h>
#include <stdio.h>
#include <stdlib.h>

#define SCENARIO_BYTES_MAX (256 * KIB) /* a scenario is a page of text */

#define PICTURE_BYTES_MAX (16 * MIB) /* 200 curves of 1000 points */

#define EXIT_FAILED 1
#define EXIT_USAGE  2

struct sim_args {
    const char *file, *seed, *log, *picture;
};

static int usage(const char *what, const char *word)
{
    fprintf(stderr,
            "beacon-p2pd: sim: %s%s; usage: beacon-p2pd sim SCENARIO [--seed N]"
            " [--log-level LEVELS] [--picture FILE.svg]\n",
            what, word);
    return EXIT_USAGE;
}

static bool read_args(struct sim_args *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--seed") == 0        ? &a->seed
                             : strcmp(argv[i], "--log-level") == 0 ? &a->log
                             : strcmp(argv[i], "--picture") == 0   ? &a->picture
                                                                   : NULL;

        if (value != NULL) {
            if (i + 1 == argc) {
                usage("a value is missing after ", argv[i]);
                return false;
            }
            *value = argv[++i];
        } else if (argv[i][0] == '-' || a->file != NULL) {
            usage("not understood: ", argv[i]);
            return false;
        } else {
            a->file = argv[i];
        }
    }
    if (a->file == NULL) {
        usage("a scenario file is missing", "");
        return false;
    }
    return true;
}

/* Fills text; false after a line on stderr. */
static bool read_file(const char *path, struct buf *text)
{
    FILE *f = fopen(path, "rb");
    char piece[4096];
    bool ok = f != NULL;

    for (size_t n; ok && (n = fread(piece, 1, sizeof piece, f)) > 0;) {
        ok = buf_append(text, piece, n) == E_OK;
    }
    ok = ok && !ferror(f);
    if (f != NULL) {
        fclose(f);
    }
    if (!ok) {
        fprintf(stderr, "beacon-p2pd: sim: %s cannot be read, or is over 256 KiB\n", path);
    }
    return ok;
}

static void print_line(void *self, struct view line)
{
    (void)self;
    fwrite(line.p, 1, line.n, stdout);
}

static bool draw(const struct lab *lab, const char *path)
{
    struct buf svg;
    FILE *f = fopen(path, "wb");

    buf_init(&svg, PICTURE_BYTES_MAX);
    bool ok = f != NULL && lab_picture(lab, &svg) == E_OK && fwrite(svg.p, 1, svg.n, f) == svg.n;
    ok = (f == NULL || fclose(f) == 0) && ok;
    buf_done(&svg);
    if (!ok) {
        fprintf(stderr, "beacon-p2pd: sim: the picture cannot be written to %s\n", path);
    }
    return ok;
}

static bool read_seed(const char *text, struct scenario *sc)
{
    char *end;

    if (text == NULL) {
        return true;
    }
    sc->sim.seed = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != 0) {
        usage("--seed wants a number, not ", text);
        return false;
    }
    return true;
}

static int run(const struct sim_args *a, struct scenario *sc, struct buf *text)
{
    char fault[SCENARIO_FAULT_MAX];
    struct lab *lab;

    scenario_default(sc);
    if (!read_file(a->file, text)) {
        return EXIT_FAILED;
    }
    if (!scenario_parse(sc, buf_view(text), fault)) {
        fprintf(stderr, "beacon-p2pd: sim: %s: %s\n", a->file, fault);
        return EXIT_USAGE;
    }
    if (!read_seed(a->seed, sc)) {
        return EXIT_USAGE;
    }
    if (lab_new(sc, print_line, NULL, a->log, &lab, fault) != E_OK) {
        fprintf(stderr, "beacon-p2pd: sim: %s: %s\n", a->file, fault);
        return EXIT_USAGE;
    }
    lab_run(lab);
    bool drawn = a->picture == NULL || draw(lab, a->picture);
    int code = drawn && lab_passed(lab) ? 0 : EXIT_FAILED;

    lab_free(lab);
    return code;
}

int cmd_sim(int argc, char **argv)
{
    struct sim_args a = {NULL, NULL, NULL, NULL};
    struct buf text;

    if (!read_args(&a, argc, argv)) {
        return EXIT_USAGE;
    }
    struct scenario *sc = mem_zalloc(sizeof *sc);

    buf_init(&text, SCENARIO_BYTES_MAX);
    int code = run(&a, sc, &text);

    buf_done(&text);
    mem_free(sc);
    return code;
}
