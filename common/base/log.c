#include "common/base/log.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW_MS = 10000 };

static struct log_options options = {.level = LOG_INFORMATION, .fd = STDERR_FILENO};
static _Atomic int threshold = LOG_INFORMATION;
static struct log_site *_Atomic hidden_sites; /* every site that ever hid a line; only grows */

void log_setup(const struct log_options *o)
{
    options = *o;
    log_set_level(o->level);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

int log_parse_level(const char *text, enum log_level *out)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "none"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(text, names[i])) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool log_want_colour(int fd)
{
    const char *no = getenv("NO_COLOR");
    return isatty(fd) && !(no && *no);
}

/* ---- fields ---- */

struct log_field log_text(const char *key, const void *p, size_t n)
{
    return (struct log_field){key, LOG_T_STR, (uint32_t)n, {.p = p}};
}

struct log_field log_str(const char *key, const char *v)
{
    return v ? log_text(key, v, strlen(v)) : (struct log_field){0};
}

struct log_field log_hex(const char *key, const void *p, size_t n)
{
    return (struct log_field){key, LOG_T_HEX, (uint32_t)n, {.p = p}};
}

struct log_field log_err(int rc)
{
    return log_str("error", err_text(rc));
}

/* ---- lines ---- */

static void emit(struct log_line *l)
{
    char line[LOG_LINE];
    l->how = &options;
    l->wall_ms = clock_wall_ms();
    size_t n = log_line_format(line, l);
    int saved = errno;
    while (write(options.fd, line, n) < 0 && errno == EINTR) /* nobody to tell if it fails */
        ;
    errno = saved;
}

static void tell_hidden(struct log_site *s)
{
    uint32_t n = atomic_exchange(&s->hidden, 0);
    if (n)
        emit(&(struct log_line){.level = s->level, .msg = s->msg, .repeated = n});
}

static void hide(struct log_site *s, enum log_level level, const char *msg)
{
    if (!atomic_flag_test_and_set(&s->listed)) {
        s->level = level;
        s->msg = msg;
        s->next = atomic_load(&hidden_sites);
        while (!atomic_compare_exchange_weak(&hidden_sites, &s->next, s))
            ;
    }
    atomic_fetch_add(&s->hidden, 1);
}

void log_write(struct log_site *s, enum log_level level, const char *msg, const struct log_field *fields,
               size_t n)
{
    int64_t now = clock_mono_ms(), start = atomic_load(&s->window_ms);
    if ((start == 0 || now - start >= WINDOW_MS) &&
        atomic_compare_exchange_strong(&s->window_ms, &start, now))
        atomic_store(&s->lines, 0);
    if (atomic_fetch_add(&s->lines, 1) >= LOG_BURST) {
        hide(s, level, msg);
        return;
    }
    emit(&(struct log_line){.level = level, .msg = msg, .fields = fields, .n = n});
}

static void flush(bool all)
{
    int64_t now = clock_mono_ms();
    for (struct log_site *s = atomic_load(&hidden_sites); s; s = s->next) {
        if (all || now - atomic_load(&s->window_ms) >= WINDOW_MS)
            tell_hidden(s);
    }
}

void log_flush(void)
{
    flush(false);
}

void log_flush_all(void)
{
    flush(true);
}
