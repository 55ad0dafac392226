#include "common/base/log_line.h"

#include "common/base/macros.h"
#include "common/base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { VALUE_MAX = 1024, TAIL = 64 }; /* bytes of a value that are shown; room kept for the line's end */

struct out {
    char *p;
    size_t n, max;
    bool full; /* something did not fit */
};

static void put(struct out *o, const char *s, size_t n)
{
    if (o->full || n > o->max - o->n) {
        o->full = true;
        return;
    }
    memcpy(o->p + o->n, s, n);
    o->n += n;
}

static void putf(struct out *, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void putf(struct out *o, const char *fmt, ...)
{
    char s[192];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    put(o, s, n < (int)sizeof s ? (size_t)n : sizeof s - 1);
}

/* What stands inside quotes. Bytes from outside can neither end our line nor steer a terminal. */
static void put_escaped(struct out *o, const char *s, size_t n, bool json)
{
    while (n) {
        size_t len = utf8_char(s, n);
        unsigned char c = (unsigned char)s[0];
        bool c0 = c < 0x20 || c == 0x7f;
        bool c1 = len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0;
        if (c == '"' || c == '\\')
            putf(o, "\\%c", c);
        else if (c == '\n')
            put(o, "\\n", 2);
        else if (c0 || c1)
            putf(o, json ? "\\u%04x" : "\\x%02x", c1 ? (unsigned char)s[1] : c);
        else if (len)
            put(o, s, len);
        else if (json)
            put(o, "\xef\xbf\xbd", 3);
        else
            putf(o, "\\x%02x", c);
        len = len ? len : 1;
        s += len;
        n -= len;
    }
}

static void put_string(struct out *o, const char *s, size_t n, bool json)
{
    bool cut = n > VALUE_MAX, plain = n > 0 && !json;
    if (cut) {
        n = VALUE_MAX;
        while (n && ((unsigned char)s[n] & 0xc0) == 0x80) /* not in the middle of a character */
            n--;
    }
    for (size_t i = 0; plain && i < n; i++)
        plain = s[i] > ' ' && s[i] < 0x7f && !strchr("\"\\=", s[i]);
    if (plain && !cut) {
        put(o, s, n);
        return;
    }
    put(o, "\"", 1);
    put_escaped(o, s, n, json);
    if (cut)
        put(o, "\xe2\x80\xa6", 3);
    put(o, "\"", 1);
}

static void put_hex(struct out *o, const unsigned char *p, size_t n, bool json)
{
    if (n > VALUE_MAX / 2)
        n = VALUE_MAX / 2;
    put(o, "\"", json);
    for (size_t i = 0; i < n; i++)
        putf(o, "%02x", p[i]);
    put(o, "\"", json);
}

static void put_field(struct out *o, const struct log_field *f, bool json)
{
    if (f->type == LOG_T_NONE)
        return;
    size_t start = o->n;
    putf(o, json ? ",\"%s\":" : " %s=", f->key);
    switch (f->type) {
    case LOG_T_INT:
        putf(o, "%" PRId64, f->i);
        break;
    case LOG_T_UINT:
        putf(o, "%" PRIu64, f->u);
        break;
    case LOG_T_BOOL:
        putf(o, "%s", f->u ? "true" : "false");
        break;
    case LOG_T_STR:
        put_string(o, f->p, f->n, json);
        break;
    default:
        put_hex(o, f->p, f->n, json);
        break;
    }
    if (o->full) /* a half field would spoil the JSON */
        o->n = start;
}

static void put_head(struct out *o, const struct log_line *l)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    static const char *const colours[] = {"\033[2m", "\033[32m", "\033[33m", "\033[31m"};
    time_t s = (time_t)(l->wall_ms / 1000);
    struct tm tm;
    char when[32];
    gmtime_r(&s, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    unsigned ms = (unsigned)(l->wall_ms % 1000);
    const char *process = l->how->process;

    if (l->how->format == LOG_JSON) {
        putf(o, "{\"time\":\"%s.%03uZ\",\"level\":\"%s\"", when, ms, names[l->level]);
        if (process)
            putf(o, ",\"process\":\"%s\"", process);
        put(o, ",\"msg\":", 7);
        put_string(o, l->msg, strlen(l->msg), true);
        return;
    }
    bool colour = l->how->colour;
    putf(o, "%s.%03uZ %s%-5s%s ", when, ms, colour ? colours[l->level] : "", names[l->level],
         colour ? "\033[0m" : "");
    if (process)
        putf(o, "%s: ", process);
    put_escaped(o, l->msg, strlen(l->msg), false);
}

size_t log_line_format(char out[LOG_LINE], const struct log_line *l)
{
    bool json = l->how->format == LOG_JSON;
    struct out o = {out, 0, LOG_LINE - TAIL, false};
    put_head(&o, l);
    for (size_t i = 0; i < l->n && !o.full; i++)
        put_field(&o, &l->fields[i], json);

    struct out end = {out, o.n, LOG_LINE, false};
    if (l->repeated)
        putf(&end, json ? ",\"repeated\":%" PRIu32 : " (repeated %" PRIu32 " times)", l->repeated);
    if (o.full)
        putf(&end, "%s", json ? ",\"truncated\":true" : " truncated=true");
    putf(&end, "%s", json ? "}\n" : "\n");
    return end.n;
}
