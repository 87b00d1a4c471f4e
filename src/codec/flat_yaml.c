#include <base/mem.h>
#include <codec/flat_yaml.h>
#include <stdio.h>

#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct flat_yaml *out;
    char *fault;
    char *key; /* of the value that is due; owned */
    bool in_list;
    unsigned list_line;
    size_t n_items;
};

/* What may come next. The document's form is so small that the states are its grammar. */
enum state { BEFORE_MAP, AT_KEY, AT_VALUE, AFTER_MAP, AT_END };

static enum err wrong(struct reader *r, unsigned line, const char *why, const char *word)
{
    (void)snprintf(r->fault, FLAT_YAML_FAULT_MAX, "line %u: %s%.64s", line, why, word);
    return E_CONFIG;
}

static unsigned line_of(const yaml_event_t *ev)
{
    return (unsigned)ev->start_mark.line + 1;
}

static char *copy(const yaml_event_t *ev)
{
    size_t n = ev->data.scalar.length;
    char *text = mem_alloc(n + 1);

    memcpy(text, ev->data.scalar.value, n);
    text[n] = '\0';
    return text;
}

static enum err check_scalar(struct reader *r, const yaml_event_t *ev)
{
    if (ev->data.scalar.anchor != NULL || ev->data.scalar.tag != NULL) {
        return wrong(r, line_of(ev), "anchors and tags have no place in settings", "");
    }
    if (memchr(ev->data.scalar.value, 0, ev->data.scalar.length) != NULL) {
        return wrong(r, line_of(ev), "a zero byte", "");
    }
    return E_OK;
}

static enum err take_key(struct reader *r, const yaml_event_t *ev)
{
    char *key;

    TRY(check_scalar(r, ev));
    key = copy(ev);
    for (size_t i = 0; i < r->out->n; i++) {
        if (strcmp(r->out->entries[i].key, key) == 0) {
            enum err e = wrong(r, line_of(ev), "given a second time: ", key);

            mem_free(key);
            return e;
        }
    }
    r->key = key;
    return E_OK;
}

static enum err add(struct reader *r, unsigned line, char *value)
{
    struct flat_yaml *f = r->out;

    if (f->n == FLAT_YAML_ENTRIES_MAX) {
        mem_free(value);
        return wrong(r, line, "too many settings", "");
    }
    f->entries = mem_realloc(f->entries, (f->n + 1) * sizeof *f->entries);
    f->entries[f->n++] = (struct flat_yaml_entry){mem_strdup(r->key), value, line, r->in_list};
    return E_OK;
}

static void end_value(struct reader *r)
{
    mem_free(r->key);
    r->key = NULL;
    r->in_list = false;
}

/* A scalar, the beginning of a list, or inside of a list an item or its end. */
static enum err take_value(struct reader *r, const yaml_event_t *ev, enum state *state)
{
    if (ev->type == YAML_SCALAR_EVENT) {
        TRY(check_scalar(r, ev));
        TRY(add(r, line_of(ev), copy(ev)));
        r->n_items++;
    } else if (ev->type == YAML_SEQUENCE_START_EVENT && !r->in_list &&
               ev->data.sequence_start.anchor == NULL && ev->data.sequence_start.tag == NULL) {
        r->in_list = true;
        r->list_line = line_of(ev);
        r->n_items = 0;
    } else if (ev->type == YAML_SEQUENCE_END_EVENT) {
        if (r->n_items == 0) {
            TRY(add(r, r->list_line, NULL));
        }
        end_value(r);
        *state = AT_KEY;
    } else {
        return wrong(r, line_of(ev), "a value, or a list of values, is wanted for ", r->key);
    }
    if (ev->type == YAML_SCALAR_EVENT && !r->in_list) {
        end_value(r);
        *state = AT_KEY;
    }
    return E_OK;
}

static enum err take(struct reader *r, const yaml_event_t *ev, enum state *state)
{
    bool frame = ev->type == YAML_STREAM_START_EVENT || ev->type == YAML_DOCUMENT_START_EVENT ||
                 ev->type == YAML_DOCUMENT_END_EVENT;

    if (*state == AT_VALUE) {
        return take_value(r, ev, state);
    }
    if (*state == AT_KEY && ev->type == YAML_SCALAR_EVENT) {
        *state = AT_VALUE;
        return take_key(r, ev);
    }
    if (*state == AT_KEY && ev->type == YAML_MAPPING_END_EVENT) {
        *state = AFTER_MAP;
        return E_OK;
    }
    if (*state == BEFORE_MAP && ev->type == YAML_MAPPING_START_EVENT &&
        ev->data.mapping_start.anchor == NULL && ev->data.mapping_start.tag == NULL) {
        *state = AT_KEY;
        return E_OK;
    }
    /* A file of nothing but comments sets nothing: libyaml may tell it as one empty scalar. */
    if (*state == BEFORE_MAP && ev->type == YAML_SCALAR_EVENT && ev->data.scalar.length == 0) {
        *state = AFTER_MAP;
        return E_OK;
    }
    if (ev->type == YAML_STREAM_END_EVENT) {
        *state = AT_END;
        return E_OK;
    }
    if (*state == AFTER_MAP && ev->type == YAML_DOCUMENT_START_EVENT) {
        return wrong(r, line_of(ev), "a second document", "");
    }
    return frame ? E_OK : wrong(r, line_of(ev), "lines of \"name: value\" are wanted", "");
}

static enum err run(struct reader *r)
{
    enum state state = BEFORE_MAP;

    while (state != AT_END) {
        yaml_event_t ev;

        if (!yaml_parser_parse(&r->parser, &ev)) {
            return wrong(r, (unsigned)r->parser.problem_mark.line + 1, "",
                         r->parser.problem != NULL ? r->parser.problem : "not YAML");
        }
        enum err e = take(r, &ev, &state);
        yaml_event_delete(&ev);
        TRY(e);
    }
    return E_OK;
}

enum err flat_yaml_parse(struct view text, struct flat_yaml *ret,
                         char fault[static FLAT_YAML_FAULT_MAX])
{
    struct reader r = {.out = ret, .fault = fault};

    *ret = (struct flat_yaml){0};
    fault[0] = '\0';
    if (text.n > FLAT_YAML_BYTES_MAX) {
        return wrong(&r, 1, "the file is over 256 KiB", "");
    }
    if (!yaml_parser_initialize(&r.parser)) {
        return wrong(&r, 1, "no memory for YAML", "");
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, text.n == 0 ? (const uint8_t *)"" : text.p, text.n);
    enum err e = run(&r);
    yaml_parser_delete(&r.parser);
    mem_free(r.key);
    if (e != E_OK) {
        flat_yaml_done(ret);
    }
    return e;
}

void flat_yaml_done(struct flat_yaml *f)
{
    for (size_t i = 0; i < f->n; i++) {
        mem_free(f->entries[i].key);
        mem_free(f->entries[i].value);
    }
    mem_free(f->entries);
    *f = (struct flat_yaml){0};
}
