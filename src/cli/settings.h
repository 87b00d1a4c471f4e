/*
 * What is set outside of the command line: the environment's BEACON_P2PD_NAME, and the lines of a
 * file
 * (--config FILE, YAML). Names are those of the flags, of options.def and of the commands' own; a
 * name that nothing has is refused with the nearest one.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#define SETTING_ENV_PREFIX "BEACON_P2PD_"

/* Where a value comes from, the strongest last. */
enum setting_from { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct setting {
    const char *name; /* the flag's first name; static */
    char *value;      /* owned; of a file's list one row an item, NULL: an empty list */
    enum setting_from from;
    unsigned line; /* in the file */
    bool listed;
    char *word; /* owned; "--name", once it is an argument */
};

struct settings {
    struct setting *rows; /* the environment's first: they are stronger */
    size_t n;
    char *file; /* owned; NULL: none */
};

/* `file`: of the flag, or NULL: then BEACON_P2PD_CONFIG's, if any. False after a line on stderr. */
bool settings_load(struct settings *s, const char *file);
void settings_done(struct settings *s);

/* The environment's name of a flag: "BEACON_P2PD_LOG_LEVEL". */
#define SETTING_ENV_MAX 64u
const char *setting_env_name(const char *flag, char out[static SETTING_ENV_MAX]);
/* "true", "1" or "false", "0"; false: neither. */
bool setting_bool(const char *text, bool *ret);

/* Take all variables of ours out of the environment. */
void settings_forget(void);

/*
 * For a command with flags of its own: its arguments with what is set outside put in front (behind
 * a verb), where the same flag is not given. --config FILE is taken out. NULL after a line on
 * stderr; else free the array, whose words are of `s` and of argv.
 */
char **settings_arguments(struct settings *s, const char *command, int *argc, char **argv);

#endif
