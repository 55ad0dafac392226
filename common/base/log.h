/* log.h: what a process tells its operator, on stderr: one line an event, with its context as fields.
 *
 *     log_info("slot claimed", log_int("slot", 3), log_str("edge", name));
 *     2026-01-02T03:04:05.678Z info  edge: slot claimed slot=3 edge=e1
 *     {"time":"…","level":"info","process":"edge","msg":"slot claimed","slot":3,"edge":"e1"}
 *
 * The message is a fixed text; what varies goes into fields. Never a password, token or message body. Values
 * from outside are escaped, so a line stays a line. A call site that repeats is cut after LOG_BURST lines in
 * 10 s; the rest is told as "(repeated N times)".
 *
 * Any thread: a line is one write(2) of at most LOG_LINE bytes. A library does not log: it returns an error and
 * its process logs once.
 */
#ifndef PARLEY_BASE_LOG_H
#define PARLEY_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_BURST 32
#define LOG_LINE  4096

enum log_level { LOG_DEBUGGING, LOG_INFORMATION, LOG_WARNINGS, LOG_ERRORS, LOG_NOTHING };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_options {
    const char *process; /* borrowed for ever; may be NULL */
    enum log_level level;
    enum log_format format;
    int fd;
    bool colour; /* only in text; log_want_colour() says whether a descriptor deserves it */
};

/* Before threads start. Without it: information and above, text, stderr, no colour. */
void log_setup(const struct log_options *);
void log_set_level(enum log_level);                     /* any time, any thread */
int log_parse_level(const char *, enum log_level *out); /* debug, info, warn, error, none; -EINVAL */
bool log_want_colour(int fd);                           /* a terminal, and NO_COLOR unset */

/* Tell what was hidden as a repeat: where the 10 s are over (daemon does it every second), or all (at the end). */
void log_flush(void);
void log_flush_all(void);

/* ---- fields ---- */
enum log_type { LOG_T_NONE, LOG_T_INT, LOG_T_UINT, LOG_T_BOOL, LOG_T_STR, LOG_T_HEX };

struct log_field { /* made by the functions below; everything is borrowed during the call */
    const char *key;
    enum log_type type;
    uint32_t n;
    union {
        int64_t i;
        uint64_t u;
        const void *p;
    };
};

static inline struct log_field log_int(const char *key, int64_t v)
{
    return (struct log_field){key, LOG_T_INT, 0, {.i = v}};
}
static inline struct log_field log_uint(const char *key, uint64_t v)
{
    return (struct log_field){key, LOG_T_UINT, 0, {.u = v}};
}
static inline struct log_field log_bool(const char *key, bool v)
{
    return (struct log_field){key, LOG_T_BOOL, 0, {.u = v}};
}
struct log_field log_str(const char *key, const char *v);            /* NULL is left out */
struct log_field log_text(const char *key, const void *p, size_t n); /* text that is not NUL-terminated */
struct log_field log_hex(const char *key, const void *p, size_t n);  /* bytes as hexadecimal */
struct log_field log_err(int rc); /* error="Connection refused" from an errno, negative or not */

/* ---- lines ---- */
#define log_debug(...) LOG_AT(LOG_DEBUGGING, __VA_ARGS__)
#define log_info(...)  LOG_AT(LOG_INFORMATION, __VA_ARGS__)
#define log_warn(...)  LOG_AT(LOG_WARNINGS, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_ERRORS, __VA_ARGS__)

/* ---- behind the macros ---- */
struct log_site { /* one per call site; all zero at first */
    _Atomic int64_t window_ms;
    _Atomic uint32_t lines, hidden;
    atomic_flag listed;
    enum log_level level;
    const char *msg;
    struct log_site *next;
};

bool log_enabled(enum log_level);
void log_write(struct log_site *, enum log_level, const char *msg, const struct log_field *, size_t n);

#define LOG_AT(level_, ...) LOG_SITE_(level_, __VA_ARGS__)
/* The first field is empty so that the list never is; log_write() skips it. */
#define LOG_SITE_(level_, msg_, ...)                                                                       \
    do {                                                                                                   \
        static struct log_site log_site_;                                                                  \
        if (log_enabled(level_)) {                                                                         \
            const struct log_field log_fields_[] = {{0} __VA_OPT__(, ) __VA_ARGS__};                       \
            log_write(&log_site_, level_, "" msg_, log_fields_, sizeof log_fields_ / sizeof *log_fields_); \
        }                                                                                                  \
    } while (0)

#endif
