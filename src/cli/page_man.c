/* beacon-p2pd man: the manual page, from the tables of commands and options. */
#include "commands.h"
#include "options.h"
#include "settings.h"
#include "version.h"

#include <string.h>

/* Text that troff must take as it is: no requests, hyphens as they are typed. */
static void put(const char *text)
{
    bool first = true;

    for (; *text != '\0'; text++) {
        if (first && (*text == '.' || *text == '\'')) {
            fputs("\\&", stdout);
        }
        first = *text == '\n';
        switch (*text) {
        case '-':
            fputs("\\-", stdout);
            break;
        case '\\':
            fputs("\\e", stdout);
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        case '"':
            fputs("\\(dq", stdout);
            break;
        case '~':
            fputs("\\(ti", stdout);
            break;
        default:
            fputc(*text, stdout);
        }
    }
}

static void paragraph(const char *text)
{
    fputs(".PP\n", stdout);
    put(text);
    fputc('\n', stdout);
}

static void tagged(const char *dashes, const char *name, const char *argument)
{
    fputs(".TP\n\\fB", stdout);
    put(dashes);
    put(name);
    fputs("\\fR", stdout);
    if (argument != NULL && argument[0] != '\0') {
        fputs(" \\fI", stdout);
        put(argument);
        fputs("\\fR", stdout);
    }
    fputc('\n', stdout);
}

static void section(const char *title)
{
    printf(".SH \"%s\"\n", title);
}

static void put_options(void)
{
    struct option_row r;

    section("OPTIONS");
    put("These are the flags of run, devnet and every command without flags of its own below.");
    fputc('\n', stdout);
    for (size_t i = 0; option_row_at(i, &r); i++) {
        if (r.title != NULL) {
            fputs(".SS \"", stdout);
            put(r.title);
            fputs("\"\n", stdout);
            continue;
        }
        tagged("--", option_name(r.id), r.argument);
        put(r.help);
        if (r.fallback != NULL) {
            put(" [");
            put(r.fallback);
            put("]");
        }
        fputc('\n', stdout);
        const char *more = strchr(r.names, '|');
        if (more != NULL) {
            fputs(".br\nAlso: ", stdout);
            for (const char *at = more; at != NULL; at = strchr(at, '|')) {
                char alias[64];

                (void)snprintf(alias, sizeof alias, "%s--%.*s", at == more ? "" : ", ",
                               (int)strcspn(at + 1, "|"), at + 1);
                put(alias);
                at++;
            }
            fputc('\n', stdout);
        }
    }
}

static void put_own(const struct command_line *c, const struct command_line *end)
{
    fputs(".SS \"", stdout);
    put(c->name);
    fputs("\"\n\\fBbeacon\\-p2pd ", stdout);
    put(c->name);
    fputs("\\fR ", stdout);
    put(c->usage);
    fputc('\n', stdout);
    paragraph(c->help);
    for (const struct command_line *l = c + 1; l < end && l->kind != LINE_COMMAND; l++) {
        if (l->kind == LINE_TEXT) {
            paragraph(l->help);
        } else {
            tagged(l->kind == LINE_FLAG ? "--" : "", l->name, l->usage);
            put(l->help != NULL ? l->help : "An example.");
            fputc('\n', stdout);
        }
    }
}

static void put_commands(bool own)
{
    size_t n;
    const struct command_line *l = command_lines(&n);

    for (size_t i = 0; i < n; i++) {
        if (l[i].kind != LINE_COMMAND) {
            continue;
        }
        if (own && l[i].own) {
            put_own(&l[i], l + n);
        } else if (!own) {
            tagged("", l[i].name, l[i].usage);
            put(l[i].help);
            fputc('\n', stdout);
        }
    }
}

static void put_settings(void)
{
    char variable[SETTING_ENV_MAX];

    section("ENVIRONMENT");
    put("Every flag has a variable: its name in capitals, with underscores, behind "
        "BEACON_P2PD_. Flags without a value take true or false; lists take commas. A "
        "variable with that beginning that no flag has is an error.");
    fputs("\n.TP\n\\fB", stdout);
    put(setting_env_name("log-level", variable));
    fputs("\\fR=\\fIdebug\\fR\n", stdout);
    put("is --log-level debug. A flag is stronger than its variable, a variable than the file, the "
        "file than the default; --print-config shows where each value is from.");
    fputc('\n', stdout);
    section("FILES");
    put("The file of --config is YAML: a flag's name, a colon, its value; a list has its values in "
        "brackets or a line each behind a dash. Names that no flag has, and names given twice, are "
        "errors that name the line.");
    fputs("\n.PP\n.nf\n.RS\n", stdout);
    put("network: hoodi\ntarget-peers: 60\nlog-level: info,discv5=debug\nboot-nodes:\n"
        "  - enr:-Iq4Q...\ndisable-quic: false\n");
    fputs(".RE\n.fi\n", stdout);
    fputs(".TP\n\\fI", stdout);
    put("~/.local/share/beacon-p2pd/NETWORK");
    fputs("\\fR\n", stdout);
    put("The datadir: key (the identity, mode 0600), store (blocks and records), control.sock.");
    fputc('\n', stdout);
}

static void put_end(void)
{
    section("EXIT STATUS");
    tagged("", "0", NULL);
    fputs("Done, or stopped in good order by a signal.\n", stdout);
    tagged("", "1", NULL);
    fputs("It failed; one line on standard error says why and what to do.\n", stdout);
    tagged("", "2", NULL);
    fputs("Wrong usage; one line on standard error names the flag, variable or line.\n", stdout);
    section("SIGNALS");
    put("SIGINT and SIGTERM stop it in good order; a second one stops it at once.");
    fputc('\n', stdout);
}

int cmd_man(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return command_usage("man", stderr);
    }
    printf(".TH BEACON\\-P2PD 1 \"\" \"beacon\\-p2pd %s\" \"User Commands\"\n", version_number());
    section("NAME");
    put("beacon-p2pd - a peer-to-peer daemon of Ethereum's consensus layer\n");
    section("SYNOPSIS");
    fputs("\\fBbeacon\\-p2pd\\fR [\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]\n", stdout);
    section("DESCRIPTION");
    put("Speaks discovery (discv5), TCP and QUIC, gossipsub and req/resp of Ethereum's consensus "
        "networks: joins a network, keeps and serves its blocks, validates what it forwards, and "
        "tells what it sees by an HTTP API, metrics and a control socket.\n");
    section("COMMANDS");
    put_commands(false);
    put_options();
    section("COMMANDS WITH FLAGS OF THEIR OWN");
    put_commands(true);
    put_settings();
    put_end();
    return ferror(stdout) || fflush(stdout) != 0 ? 1 : 0;
}
