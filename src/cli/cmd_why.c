/* A peer's story: asked of a running daemon, told in lines. */
#define _GNU_SOURCE
#include "commands.h"
#include "http_get.h"

#include <base/addr.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#define ANSWER_MAX    (4 * MIB) /* a thousand events */
#define PEER_MAX      400u      /* the longest form with all its bytes escaped fits a URL */
#define REASON_COLUMN 23        /* the longest */

struct why {
    const char *address, *port, *peer;
    bool json;
};

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s == NULL ? "" : s;
}

static const char *when(const json_t *o, const char *key, char out[static 32])
{
    uint64_t ms = strtoull(text(o, key), NULL, 10);
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    if (gmtime_r(&s, &tm) == NULL || strftime(out, 32, "%F %T", &tm) == 0) {
        out[0] = '\0';
    }
    return out;
}

static void print_by(const char *what, const json_t *by)
{
    for (size_t i = 0; i < json_array_size(by); i++) {
        printf("%s%s", i == 0 ? what : ", ", json_string_value(json_array_get(by, i)));
    }
}

static void print_rating(const json_t *peer)
{
    const char *name;
    json_t *part;

    printf("rating   %.1f", json_real_value(json_object_get(peer, "score")));
    json_object_foreach(json_object_get(peer, "rating"), name, part)
    {
        printf(", %s %.1f", name, json_real_value(part));
    }
    printf("; gossip score %.1f\n", json_real_value(json_object_get(peer, "gossip_score")));
}

static void print_peer(const json_t *story)
{
    const json_t *peer = json_object_get(story, "peer");
    char at[32];

    if (peer == NULL) {
        printf("state    not among the peers known\n");
        return;
    }
    printf("agent    %s\naddress  %s\n", text(peer, "agent"), text(peer, "last_seen_p2p_address"));
    printf("found    %s UTC, %s\n", when(story, "found_ms", at), text(peer, "source"));
    printf("state    %s, %s", text(peer, "state"), text(peer, "direction"));
    if (strcmp(text(peer, "state"), "connected") == 0) {
        printf(", since %s UTC", when(story, "since_ms", at));
    }
    printf("\n");
    if (text(peer, "why")[0] != '\0') {
        printf("ended    %s\n", text(peer, "why"));
    }
    print_rating(peer);
}

static void print_rules(const json_t *story)
{
    const json_t *ban = json_object_get(story, "ban"), *wish = json_object_get(story, "wanted");
    char at[32];

    if (wish != NULL) {
        printf("wanted   ");
        print_by("static by ", json_object_get(wish, "static_by"));
        print_by(json_array_size(json_object_get(wish, "static_by")) != 0 ? "; trusted by "
                                                                          : "trusted by ",
                 json_object_get(wish, "trusted_by"));
        printf("%s\n", json_is_true(json_object_get(wish, "removed")) ? ", but removed" : "");
    }
    if (ban != NULL) {
        bool ends = !json_is_null(json_object_get(ban, "until_ms"));

        printf("banned   by %s until %s%s: %s\n", text(ban, "by"),
               ends ? when(ban, "until_ms", at) : "it is unbanned", ends ? " UTC" : "",
               text(ban, "reason"));
    }
}

/* The error, in what is printed before it. */
static bool said_already(const json_t *e)
{
    const char *error = text(e, "error_text");

    return strstr(text(e, "text"), error) != NULL || strstr(text(e, "reason_text"), error) != NULL;
}

static void print_event(const json_t *e)
{
    char at[32], last[32];
    long times = (long)json_integer_value(json_object_get(e, "times"));
    const json_t *change = json_object_get(e, "change");

    printf("%s  %-*s ", when(e, "time_ms", at), REASON_COLUMN, text(e, "reason"));
    if (change != NULL) {
        printf("%s %+.1f to %.1f", text(e, "part"), json_real_value(change),
               json_real_value(json_object_get(e, "rating")));
    } else if (text(e, "goodbye_code")[0] != '\0') {
        printf("code %s", text(e, "goodbye_code"));
    } else {
        printf("%s", text(e, "reason_text"));
    }
    if (strcmp(text(e, "act"), "dialled") == 0) {
        printf(": to %s", text(e, "address"));
    } else if (strcmp(text(e, "act"), "connected") == 0) {
        printf(": %s, %s", text(e, "direction"), text(e, "address"));
    } else if (text(e, "text")[0] != '\0') {
        printf(": %s", text(e, "text"));
    }
    if (!said_already(e)) {
        printf(" (%s)", text(e, "error_text"));
    }
    if (times > 1) {
        printf(", %ld times until %s", times, when(e, "last_time_ms", last));
    }
    printf("\n");
}

static int tell(const struct why *w, const struct http_answer *got)
{
    json_error_t bad;
    json_t *all = json_loadb((const char *)got->body.p, got->body.n, 0, &bad);
    const json_t *story = json_object_get(all, "data");
    const json_t *events = json_object_get(story, "events");

    if (!json_is_object(story) || !json_is_array(events)) {
        fprintf(stderr, "beacon-p2pd: what answers at port %s is no beacon-p2pd\n", w->port);
        json_decref(all);
        return 1;
    }
    if (w->json) {
        json_dumpf(story, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        printf("peer     %s\n", text(story, "peer_id"));
        print_peer(story);
        print_rules(story);
        printf("%s\n", json_array_size(events) == 0 ? "nothing happened to it of late" : "");
        for (size_t i = 0; i < json_array_size(events); i++) {
            print_event(json_array_get(events, i));
        }
    }
    json_decref(all);
    return 0;
}

/* `to` has room for three times the bytes of `from`. */
static void escape(const char *from, char *to)
{
    static const char hex[] = "0123456789ABCDEF",
                      plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

    for (; *from != '\0'; from++) {
        unsigned char c = (unsigned char)*from;

        if (strchr(plain, c) != NULL) {
            *to++ = *from;
        } else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    *to = '\0';
}

static int ask(const struct why *w)
{
    struct http_answer got = {.octets = false};
    char base[128], path[3 * PEER_MAX + 64] = "/p2pd/v1/peers/why?peer=", fault[HTTP_FAULT_MAX];
    bool v6 = strchr(w->address, ':') != NULL;

    snprintf(base, sizeof base, "http://%s%s%s:%s", v6 ? "[" : "", w->address, v6 ? "]" : "",
             w->port);
    escape(w->peer, path + strlen(path));
    buf_init(&got.body, ANSWER_MAX);
    int code = 1;
    if (http_get(base, path, &got, fault)) {
        code = tell(w, &got);
    } else if (strstr(fault, "answers 404") != NULL) {
        fprintf(stderr, "beacon-p2pd: nothing is known of %s, and nothing happened to it of late\n",
                w->peer);
    } else if (strstr(fault, "answers 400") != NULL) {
        fprintf(stderr,
                "beacon-p2pd: %s: a peer id, an ENR, a multiaddr, an enode URL or a node id "
                "is wanted\n",
                w->peer);
        code = 2;
    } else {
        fprintf(stderr, "beacon-p2pd: no daemon answers at %s: %s; give its --http-port\n", base,
                fault);
    }
    buf_done(&got.body);
    return code;
}

int cmd_why(int argc, char **argv)
{
    struct why w = {.address = "127.0.0.1", .port = "5052"};
    struct addr at;
    char *end = NULL;

    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;

        if (strcmp(argv[i], "--json") == 0) {
            w.json = true;
        } else if (strcmp(argv[i], "--http-address") == 0 && more) {
            w.address = argv[++i];
        } else if (strcmp(argv[i], "--http-port") == 0 && more) {
            w.port = argv[++i];
        } else if (argv[i][0] != '-' && w.peer == NULL) {
            w.peer = argv[i];
        } else {
            return command_usage("why", stderr);
        }
    }
    unsigned long port = strtoul(w.port, &end, 10);
    if (w.peer == NULL || strlen(w.peer) > PEER_MAX || addr_parse(w.address, &at) != E_OK ||
        *end != '\0' || port == 0 || port > UINT16_MAX) {
        return command_usage("why", stderr);
    }
    return ask(&w);
}
