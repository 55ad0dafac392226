/* options.h: --options: those of the program, and those of one command. */
#ifndef PARLEY_TERMINAL_OPTIONS_H
#define PARLEY_TERMINAL_OPTIONS_H

#include "client/lib/parley_history.h"

#include <stddef.h>

struct command;
struct settings;

struct options { /* of one command; zero: not given */
    long limit;  /* -1: not given; 0: all */
    uint64_t before, after, around, reply;
    int64_t at_ms;
    uint64_t for_s;
    bool events, groups, unread, yes, all, others;
    uint32_t flags, flags_mask; /* --set */
    const char *type, *name, *mention;
    enum parley_privacy presence;
    bool help; /* --help */
};

/* Takes options from the front (of a command with TEXT…) or everywhere, and moves them before the words. cmd NULL:
 * those of the program only. s NULL: none of those (the chat). Returns the index of the first word, -1: `err` says
 * why. What is kept points into argv. argv[0] is passed over. */
int options_read(struct settings *s, struct options *, const struct command *, int argc, char **argv,
                 char *err, size_t err_n);
/* "approval,no-quiet" or one of them: bits of parley_flag to change, and how they are to be. */
bool options_flags(const char *text, uint32_t *flags, uint32_t *mask);
void options_flags_text(char *out, size_t n, uint32_t flags); /* "approval, quiet"; "" */
bool options_number(const char *text, uint64_t *out);         /* "12", "#12"; not 0 */
bool options_duration(const char *text, uint64_t *seconds);   /* "90", "10m", "2h", "7d", "30s" */
bool options_time(
    const char *text, int64_t now_ms,
    int64_t *out); /* "2026-01-31", "2026-01-31T14:03", "14:03", "2h" ago; this machine's time zone */

/* Every option, for help. */
struct option_help {
    const char *name, *arg, *help; /* arg NULL: none */
    char letter;                   /* 0: none */
    bool program;                  /* of the program; else of commands */
};
size_t options_count(void);
const struct option_help *options_at(size_t);

#endif
