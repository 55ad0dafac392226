/* conf.h: the deployment's one JSON file, read into a process's settings struct.
 *
 * A setting is a row in a table: its path in the file, where it goes, default, range, help. Each module has
 * its own table; a process lists them and gets checking, environment overrides, --print-config and a reference
 * page in return.
 *
 *     struct edge_settings { const char *listen; int64_t max_conns, login_ms; };
 *     static const struct conf_def edge_defs[] = {
 *         CONF_STR("edge.listen", struct edge_settings, listen, "127.0.0.1:7000", "Address for clients.",
 *                  .check = addr_check),
 *         CONF_INT("edge.max_conns", struct edge_settings, max_conns, "100000", 1, 1000000, "Connections."),
 *         CONF_MS("edge.login", struct edge_settings, login_ms, "10s", 100, 60000, "Time to log in.",
 *                 .flags = CONF_RELOAD),
 *     };
 *
 * A value comes from the environment, else the file, else its default. In the environment "edge.max_conns" is
 * PARLEY_EDGE_MAX_CONNS, and .env may name a second, shorter one (PARLEY_KAFKA). The file is shared: a section
 * (first part of a path) of another process is skipped; an unknown section, and an unknown key in one's own,
 * are errors. Loop thread only.
 */
#ifndef PARLEY_BASE_CONF_H
#define PARLEY_BASE_CONF_H

#include "common/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum conf_type {
    CONF_T_STR,    /* const char *; NULL when unset and without a default */
    CONF_T_INT,    /* int64_t */
    CONF_T_BOOL,   /* bool */
    CONF_T_MS,     /* int64_t, milliseconds: 250, "250ms", "10s", "5m", "2h", "7d" */
    CONF_T_SIZE,   /* int64_t, bytes: 4096, "64KiB", "1MiB", "2GiB" */
    CONF_T_LIST,   /* struct conf_list: ["a", "b"]; "a,b" in the environment */
    CONF_T_SECRET, /* struct conf_secret: the path of a file, relative to the configuration's folder */
    CONF_T_JSON, /* struct conf_json: objects and arrays, for the owner to take apart; text in the environment */
};

enum conf_flags {
    CONF_RELOAD = 1,    /* SIGHUP changes it; others say that they need a restart */
    CONF_REQUIRED = 2,  /* has no default, must be given */
    CONF_SENSITIVE = 4, /* may hold a password: never shown (secrets never are) */
};

struct conf_list {
    size_t n;
    const char *const *v;
};

struct conf_secret {
    const char *path; /* NULL: not given */
    const char *text; /* the file's content without the last newline, NUL-terminated */
    size_t n;
};

struct conf_json {
    const char *text;   /* compact; NULL: not given */
    const char *folder; /* of the configuration's file, for paths in it; NULL: the working folder */
};

struct conf_def {
    const char *path;
    enum conf_type type;
    size_t offset;
    const char *def; /* written as in the environment; NULL: unset (NULL, 0, false, empty) */
    int64_t min, max;
    const char *help;    /* one sentence */
    const char *choices; /* "text|json": the only values, for CONF_T_STR; or NULL */
    const char *env;     /* a second environment name, or NULL */
    unsigned flags;
    /* CONF_T_STR, CONF_T_JSON and each of CONF_T_LIST: 0, or -EINVAL and what was expected in `why`. May be NULL. */
    int (*check)(const char *value, char *why, size_t n);
};

/* offsetof that does not compile when the field has another type than the setting. */
#define CONF_AT_(S, field, T) \
    (offsetof(S, field) +     \
     0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)0)->field), T) ? 1 : -1]))

/* Rows of a table. What follows the help are designated members: .flags, .env, .choices, .check. */
#define CONF_STR(path, S, field, def, help, ...) \
    CONF_ROW_(CONF_T_STR, const char *, path, S, field, def, 0, 0, help, __VA_ARGS__)
#define CONF_INT(path, S, field, def, min, max, help, ...) \
    CONF_ROW_(CONF_T_INT, int64_t, path, S, field, def, min, max, help, __VA_ARGS__)
#define CONF_BOOL(path, S, field, def, help, ...) \
    CONF_ROW_(CONF_T_BOOL, _Bool, path, S, field, def, 0, 0, help, __VA_ARGS__)
#define CONF_MS(path, S, field, def, min, max, help, ...) \
    CONF_ROW_(CONF_T_MS, int64_t, path, S, field, def, min, max, help, __VA_ARGS__)
#define CONF_SIZE(path, S, field, def, min, max, help, ...) \
    CONF_ROW_(CONF_T_SIZE, int64_t, path, S, field, def, min, max, help, __VA_ARGS__)
#define CONF_LIST(path, S, field, def, help, ...) \
    CONF_ROW_(CONF_T_LIST, struct conf_list, path, S, field, def, 0, 0, help, __VA_ARGS__)
#define CONF_JSON(path, S, field, def, help, ...) \
    CONF_ROW_(CONF_T_JSON, struct conf_json, path, S, field, def, 0, 0, help, __VA_ARGS__)
#define CONF_SECRET(path, S, field, def, help, ...) \
    CONF_ROW_(CONF_T_SECRET, struct conf_secret, path, S, field, def, 0, 0, help, __VA_ARGS__)

#define CONF_ROW_(type_, T, path_, S, field_, def_, min_, max_, help_, ...)                       \
    {                                                                                             \
        .path = path_, .type = type_, .offset = CONF_AT_(S, field_, T), .def = def_, .min = min_, \
        .max = max_, .help = help_, __VA_ARGS__                                                   \
    }

struct conf_table {
    const struct conf_def *defs;
    size_t n;
    size_t base;         /* offset of the module's settings struct in the process's */
    const char *section; /* put before each path ("edge" before "http"); NULL: the paths are whole */
};
/* CONF_TABLE(edge_defs, struct settings, edge): a module's table, its struct being settings.edge */
#define CONF_TABLE(defs_, S, field)                                      \
    {                                                                    \
        .defs = defs_, .n = ARRAY_LEN(defs_), .base = offsetof(S, field) \
    }

struct conf_spec { /* everything is borrowed as long as the conf lives */
    const struct conf_table *tables;
    size_t n;
    size_t size;                 /* of the settings struct */
    const char *const *sections; /* all of the deployment's file, then NULL; may be NULL: only own ones */
};

struct conf;

/* Reads file (NULL: none) and environment. Every problem, not just the first, is written to `say` as
 * "parley.json:12: edge.listen: what is wrong; how to put it right"; warnings likewise.
 * -EINVAL: there were errors, -ENOENT …: the file cannot be read, -ENOMEM. `out` is then untouched. */
int MUST_CHECK conf_load(struct conf **out, const struct conf_spec *, const char *file, char *const *env,
                         FILE *say);
void conf_free(struct conf *);

/* Filled in, zeroed otherwise. Strings in it stay valid until conf_free(), whatever is reloaded. */
const void *conf_settings(const struct conf *);

/* Reads all again. On success the CONF_RELOAD settings are changed in place and 0 is returned; a change to
 * another one is named in `say` and not made. On failure (as conf_load) nothing changes. */
int MUST_CHECK conf_reload(struct conf *, FILE *say);

void conf_print(const struct conf *, FILE *out);          /* path = value   # where from; secrets hidden */
void conf_reference(const struct conf_spec *, FILE *out); /* Markdown: a table of settings for each section */

#endif
