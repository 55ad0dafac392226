/* migrate.h: brings a PostgreSQL database to the schema this binary was built for.
 *
 * Migrations are files NNN_name.sql in one directory, numbered from 1 without gaps. Each is applied once, in order, in
 * a transaction of its own together with its row in `schema_version` (number, name, checksum, time): a failure leaves
 * the database at the number before it. A file that was applied is never edited: a new one is added. When no schema
 * of the search path is there, the first that it names is made.
 *
 * Blocking (libpq, plain connections): for command-line tools and tests, not for a loop thread. A process asks its
 * own connection for MIGRATE_QUERY and judges the answer with migrate_judge(). */
#ifndef PARLEY_BASE_MIGRATE_H
#define PARLEY_BASE_MIGRATE_H

#include <stddef.h>

enum migrate_state {
    MIGRATE_CURRENT, /* nothing to do */
    MIGRATE_MISSING, /* no schema there at all */
    MIGRATE_OLDER,   /* migrations are to be applied */
    MIGRATE_NEWER,   /* a newer binary was here: this one must not touch it */
};

/* One row, one column: the highest number applied, 0 when there is none. Works in an empty database too. */
#define MIGRATE_QUERY                                                                                    \
    "SELECT CASE WHEN to_regclass('schema_version') IS NULL THEN 0 ELSE "                                \
    "(xpath('/row/v/text()', query_to_xml('SELECT coalesce(max(version), 0) AS v FROM schema_version', " \
    "false, true, "                                                                                      \
    "'')))[1]::text::int END"

enum migrate_state migrate_judge(int have, int newest);
const char *migrate_state_name(enum migrate_state);

/* The directory that holds the migrations: `setting` when it is not empty, else beside the executable (build tree,
 * then installed), else ./schema/sql. -ENOENT: none of them has a 001_*.sql; -ENAMETOOLONG. */
int migrate_find(const char *setting, char *out, size_t out_n);

struct migrate {
    const char *conninfo; /* libpq keywords or URI */
    const char *dir;      /* see migrate_find() */
    int newest;           /* the highest number this binary knows; higher files are ignored */
    void (*note)(void *ctx, const char *line); /* progress for people, without newline; may be NULL */
    void *ctx;
};

struct migrate_result {
    int before, after; /* highest number applied, before and after */
    char error[1024];  /* for people, when the call failed */
};

/* Applies what is missing; safe to run twice and by two at once (an advisory lock; the second finds nothing to do).
 * 0; -EPROTO: the database is newer than `newest`; -EBADMSG: a file's checksum is not that of what was applied, or a
 * file is missing; -EIO: the server refused something or is away. `result` is filled in every case. */
int migrate_apply(const struct migrate *, struct migrate_result *);

/* Asks only, changes nothing. 0 (state in *out) or -EIO. */
int migrate_check(const struct migrate *, enum migrate_state *out, struct migrate_result *);

#endif
