/* beacon-p2pd top: the views of a running daemon in a terminal, by its HTTP API. */
#define _GNU_SOURCE
#include "commands.h"
#include "http_get.h"
#include "top.h"

#include <base/addr.h>
#include <base/mem.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX   (16 * MIB) /* peers and topics of the largest node, several times */
#define SCREEN_MAX   (1 * MIB)
#define WIDTH_MAX    500u
#define WIDTH_PLAIN  160u /* where there is no terminal to ask */
#define INTERVAL_MAX 3600u

struct options_of_top {
    const char *address, *port;
    enum top_view view;
    bool once, has_view;
    unsigned interval_s;
};

static volatile sig_atomic_t stop_asked, resized;

static void on_signal(int number)
{
    if (number == SIGWINCH) {
        resized = 1;
    } else {
        stop_asked = 1;
    }
}

/* ---- fetching ---- */

static bool fetch(const struct options_of_top *o, const char *path, json_t **io,
                  char fault[static HTTP_FAULT_MAX])
{
    char base[128];
    struct http_answer got;
    json_error_t bad;

    bool v6 = strchr(o->address, ':') != NULL;

    snprintf(base, sizeof base, "http://%s%s%s:%s", v6 ? "[" : "", o->address, v6 ? "]" : "",
             o->port);
    buf_init(&got.body, ANSWER_MAX);
    if (!http_get(base, path, &got, fault)) {
        buf_done(&got.body);
        return false;
    }
    json_t *all = json_loadb((const char *)got.body.p, got.body.n, 0, &bad);
    json_t *data = json_incref(json_object_get(all, "data"));

    buf_done(&got.body);
    json_decref(all);
    if (!json_is_object(data)) {
        snprintf(fault, HTTP_FAULT_MAX, "what answers at port %.8s is no beacon-p2pd", o->port);
        json_decref(data);
        return false;
    }
    json_decref(*io);
    *io = data;
    return true;
}

static bool fetch_all(const struct options_of_top *o, struct top *t,
                      char fault[static HTTP_FAULT_MAX])
{
    static const char *const paths[] = {
        [TOP_OVERVIEW] = "/p2pd/v1/view/overview", [TOP_PEERS] = "/p2pd/v1/view/peers",
        [TOP_TOPICS] = "/p2pd/v1/view/topics",     [TOP_COVERAGE] = "/p2pd/v1/view/coverage",
        [TOP_BLOCKS] = "/p2pd/v1/view/blocks",
    };
    char log[64];
    json_int_t last = 0;
    const json_t *lines = json_object_get(t->docs[TOP_LOG], "lines");

    if (json_array_size(lines) != 0) {
        last = json_integer_value(
            json_object_get(json_array_get(lines, json_array_size(lines) - 1), "number"));
    } else {
        last = json_integer_value(json_object_get(t->docs[TOP_LOG], "last"));
    }
    snprintf(log, sizeof log, "/p2pd/v1/log?after=%lld", (long long)last);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (!fetch(o, paths[i], &t->docs[i], fault)) {
            return false;
        }
    }
    return fetch(o, log, &t->docs[TOP_LOG], fault);
}

/* ---- drawing ---- */

static void screen_size(unsigned *ret_width, unsigned *ret_height)
{
    struct winsize w;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col != 0 && w.ws_row != 0;

    *ret_width = known ? w.ws_col : WIDTH_PLAIN;
    *ret_width = *ret_width < WIDTH_MAX ? *ret_width : WIDTH_MAX;
    *ret_height = known ? w.ws_row : 50;
}

static bool wants_colour(void)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && (no == NULL || no[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

static void write_out(const struct buf *b)
{
    fwrite(b->p, 1, b->n, stdout);
    fflush(stdout);
}

static void draw_tabs(const struct top *t, struct canvas *c)
{
    for (unsigned v = 0; v < TOP_VIEWS; v++) {
        canvas_put(c, v == t->view ? INK_REVERSE : INK_PLAIN, " %u %s%s ", v + 1,
                   top_view_name((enum top_view)v), v == t->view && !c->colour ? " *" : "");
    }
    canvas_put(c, INK_QUIET, "  Tab next, arrows scroll, q ends");
    canvas_end(c);
}

static void draw(const struct top *t, const char *fault)
{
    unsigned width, height;
    struct buf out;

    buf_init(&out, SCREEN_MAX);
    screen_size(&width, &height);
    struct canvas c = {.out = &out, .width = width, .live = true, .colour = wants_colour()};

    IGNORE(buf_append(&out, "\033[H", 3), "it is empty");
    top_draw_head(t, &c);
    if (fault[0] != '\0') {
        canvas_put(&c, INK_BAD, "%s; trying again", fault);
        canvas_end(&c);
    }
    draw_tabs(t, &c);
    size_t used = 0;
    for (size_t i = 0; i < out.n; i++) {
        used += out.p[i] == '\n';
    }
    if (height > used + 1) {
        top_draw_view(t, &c, t->view, height - used - 1);
    }
    IGNORE(buf_append(&out, "\033[J", 3), "a screen is far smaller");
    write_out(&out);
    buf_done(&out);
}

static int draw_once(const struct options_of_top *o, const struct top *t)
{
    unsigned width, height;
    struct buf out;

    buf_init(&out, SCREEN_MAX);
    screen_size(&width, &height);
    struct canvas c = {
        .out = &out, .width = isatty(STDOUT_FILENO) ? width : WIDTH_MAX, .colour = wants_colour()};

    top_draw_head(t, &c);
    for (unsigned v = 0; v < TOP_VIEWS; v++) {
        if (o->has_view && v != o->view) {
            continue;
        }
        canvas_end(&c);
        if (!o->has_view) {
            canvas_put(&c, INK_BOLD, "%s", top_view_name((enum top_view)v));
            canvas_end(&c);
        }
        top_draw_view(t, &c, (enum top_view)v, SIZE_MAX);
    }
    write_out(&out);
    buf_done(&out);
    return 0;
}

/* ---- the terminal ---- */

static void on_key(struct top *t, const char *keys, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++) {
        bool arrow = keys[i] == '\033' && n - i >= 3 && keys[i + 1] == '[';
        char key = arrow ? keys[i + 2] : keys[i];
        enum top_view before = t->view;

        if (!arrow && (key == 'q' || key == 3)) {
            stop_asked = 1;
        } else if (key == '\t') {
            t->view = (enum top_view)((t->view + 1) % TOP_VIEWS);
        } else if (!arrow && key >= '1' && key < '1' + TOP_VIEWS) {
            t->view = (enum top_view)(key - '1');
        } else if (arrow ? key == 'B' : key == 'j') {
            t->scroll++;
        } else if ((arrow ? key == 'A' : key == 'k') && t->scroll > 0) {
            t->scroll--;
        }
        t->scroll = t->view != before ? 0 : t->scroll;
        i += arrow ? 2 : 0;
    }
}

/* Until the next turn, or an event: a key, a new size, a signal. */
static void wait_turn(struct top *t, int ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char keys[64];

    if (poll(&in, 1, ms) > 0) {
        ssize_t n = read(STDIN_FILENO, keys, sizeof keys);

        if (n <= 0) {
            stop_asked = 1; /* the terminal is gone */
        }
        on_key(t, keys, n);
    }
}

static int64_t now_ms(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static void run(const struct options_of_top *o, struct top *t)
{
    char fault[HTTP_FAULT_MAX] = "";
    int64_t due = now_ms() + 1000 * o->interval_s;

    while (!stop_asked) {
        resized = 0;
        draw(t, fault);
        int64_t left = due - now_ms();

        wait_turn(t, left > 0 ? (int)left : 0);
        if (!stop_asked && !resized && now_ms() >= due) {
            due = now_ms() + 1000 * o->interval_s;
            if (fetch_all(o, t, fault)) {
                fault[0] = '\0';
                top_take(t);
            }
        }
    }
}

static int run_on_terminal(const struct options_of_top *o, struct top *t)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct termios old, raw;

    if (tcgetattr(STDIN_FILENO, &old) != 0) {
        fprintf(stderr, "beacon-p2pd: top: no terminal to read keys from; give --once\n");
        return 2;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    raw = old;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs("\033[?1049h\033[?25l", stdout); /* a screen of its own, without a cursor */
    run(o, t);
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &old);
    return 0;
}

/* ---- options ---- */

static bool read_number(const char *text, unsigned long min, unsigned long max, unsigned *ret)
{
    char *end;
    unsigned long x = strtoul(text, &end, 10);

    *ret = (unsigned)x;
    return *end == '\0' && text[0] >= '0' && text[0] <= '9' && x >= min && x <= max;
}

static bool read_value(struct options_of_top *o, const char *flag, const char *value)
{
    struct addr a;
    unsigned port;

    if (strcmp(flag, "--http-address") == 0) {
        o->address = value;
        return addr_parse(value, &a) == E_OK && a.port == 0;
    }
    if (strcmp(flag, "--http-port") == 0) {
        o->port = value;
        return read_number(value, 1, 65535, &port);
    }
    if (strcmp(flag, "--view") == 0) {
        o->has_view = true;
        return top_view_by_name(value, &o->view);
    }
    return read_number(value, 1, INTERVAL_MAX, &o->interval_s);
}

/* 0, or what to exit with. */
static int read_options(struct options_of_top *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool takes = strcmp(argv[i], "--http-address") == 0 ||
                     strcmp(argv[i], "--http-port") == 0 || strcmp(argv[i], "--view") == 0 ||
                     strcmp(argv[i], "--interval") == 0;

        if (strcmp(argv[i], "--once") == 0) {
            o->once = true;
        } else if (!takes || i + 1 == argc) {
            fprintf(stderr, "beacon-p2pd: top: %s\n",
                    takes ? "a flag lacks its value" : "an unknown argument");
            return command_usage("top", stderr);
        } else if (!read_value(o, argv[i], argv[i + 1])) {
            fprintf(stderr,
                    "beacon-p2pd: top: %s %s: an address, a port, one of peers, topics, "
                    "coverage, bandwidth, blocks and log, or seconds from 1 to %u are wanted\n",
                    argv[i], argv[i + 1], INTERVAL_MAX);
            return 2;
        } else {
            i++;
        }
    }
    return 0;
}

int cmd_top(int argc, char **argv)
{
    struct options_of_top o = {.address = "127.0.0.1", .port = "5052", .interval_s = 1};
    char fault[HTTP_FAULT_MAX];
    int code = read_options(&o, argc, argv);

    if (code != 0) {
        return code;
    }
    struct top *t = mem_zalloc(sizeof *t);

    t->view = o.view;
    if (!fetch_all(&o, t, fault)) {
        fprintf(stderr,
                "beacon-p2pd: top: %s; give the --http-address and --http-port of a daemon\n",
                fault);
        code = 1;
    } else {
        top_take(t);
        code = o.once || !isatty(STDOUT_FILENO) ? draw_once(&o, t) : run_on_terminal(&o, t);
    }
    top_done(t);
    mem_free(t);
    return code;
}
