#include "client/parley/show.h"

#include "common/base/hex.h"
#include "common/base/utf8.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static bool control(const char *p, size_t n)
{
    unsigned char c = (unsigned char)*p;
    if (n == 1)
        return c < 0x20 || c == 0x7f;
    if (n == 2) /* U+0080 … U+009F: the same in one character */
        return c == 0xc2 && (unsigned char)p[1] < 0xa0;
    /* U+202A … U+202E, U+2066 … U+2069 turn the direction of what follows; U+2028, U+2029 break lines */
    if (n == 3 && c == 0xe2 && (unsigned char)p[1] == 0x80)
        return (unsigned char)p[2] >= 0xa8 && (unsigned char)p[2] <= 0xae;
    return n == 3 && c == 0xe2 && (unsigned char)p[1] == 0x81 && (unsigned char)p[2] >= 0xa6 &&
           (unsigned char)p[2] <= 0xa9;
}

size_t show_clean(char *out, size_t size, const char *text, const char *line_break)
{
    size_t left = strlen(text), used = 0;
    while (left) {
        size_t n = utf8_char(text, left), put = n;
        const char *what = text;
        if (*text == '\n')
            what = line_break, put = strlen(line_break);
        else if (*text == '\t')
            what = " ", put = 1;
        else if (n == 0 || control(text, n))
            what = "\xef\xbf\xbd", put = 3;
        if (used + put + 1 > size)
            break;
        memcpy(out + used, what, put);
        used += put;
        text += n ? n : 1;
        left -= n ? n : 1;
    }
    if (size)
        out[used] = '\0';
    return used;
}

/* Bytes of the next character, its columns in *w. */
static size_t next_char(const char *s, size_t n, int *w)
{
    wchar_t wc;
    mbstate_t st = {0};
    size_t used = mbrtowc(&wc, s, n, &st);
    *w = 1;
    if (used == (size_t)-1 || used == (size_t)-2 || used == 0)
        return 1;
    *w = wcwidth(wc);
    *w = *w > 0 ? *w : 0;
    return used;
}

int show_width(const char *s)
{
    int cols = 0, w;
    for (size_t n = strlen(s); n;) {
        size_t used = next_char(s, n, &w);
        cols += w;
        s += used;
        n -= used;
    }
    return cols;
}

void show_column(char *out, size_t size, const char *text, int cols)
{
    int most = cols < 0 ? -cols : cols, have = 0, w;
    size_t used = show_clean(out, size, text, " "), at = 0;
    if (show_width(out) > most) {
        while (at < used) {
            size_t n = next_char(out + at, used - at, &w);
            if (have + w > most - 1)
                break;
            have += w;
            at += n;
        }
        used = at;
        if (used + 4 <= size) {
            memcpy(out + used, "…", 4);
            used += 3;
        }
    }
    have = show_width(out);
    while (cols > 0 && have++ < most && used + 1 < size)
        out[used++] = ' ';
    out[used] = '\0';
}

/* Bytes of the next word and the blanks before it; *w: columns of both. */
static size_t next_word(const char *s, int *blanks, int *w)
{
    size_t n = strspn(s, " "), end;
    int one;
    *blanks = (int)n;
    *w = (int)n;
    for (end = n; s[end] && s[end] != ' ' && s[end] != '\n'; *w += one)
        end += next_char(s + end, strlen(s + end), &one);
    return end;
}

static size_t break_line(char *out, size_t size, int indent)
{
    int n = snprintf(out, size, "\n%*s", indent, "");
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

void show_wrap(char *out, size_t size, const char *text, int at, int indent, int cols)
{
    size_t used = 0;
    int blanks, w, one;
    *out = '\0';
    while (*text && used + 8 < size) {
        if (*text == '\n') {
            used += break_line(out + used, size - used, indent);
            at = indent;
            text++;
            continue;
        }
        size_t n = next_word(text, &blanks, &w);
        if (at + w > cols && at > indent && w - blanks <= cols - indent) { /* the whole word goes down */
            used += break_line(out + used, size - used, indent);
            at = indent;
            text += blanks;
            n -= (size_t)blanks;
        }
        for (size_t i = 0; i < n && used + 8 < size;) {
            size_t len = next_char(text + i, n - i, &one);
            if (at + one > cols) {
                used += break_line(out + used, size - used, indent);
                at = indent;
            }
            memcpy(out + used, text + i, len);
            used += len;
            at += one;
            i += len;
        }
        text += n;
        out[used] = '\0';
    }
}

void show_time(char out[16], int64_t time_ms)
{
    time_t t = (time_t)(time_ms / 1000), now = time(NULL);
    struct tm a, b;
    localtime_r(&t, &a);
    localtime_r(&now, &b);
    bool today = a.tm_year == b.tm_year && a.tm_yday == b.tm_yday;
    if (!strftime(out, 16, today ? "%H:%M" : "%b %d %H:%M", &a))
        out[0] = '\0';
}

void show_iso(char out[32], int64_t time_ms)
{
    time_t t = (time_t)(time_ms / 1000);
    struct tm a;
    gmtime_r(&t, &a);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &a);
    snprintf(out + n, 32 - n, ".%03dZ", (int)(time_ms % 1000));
}

void show_line(FILE *f, const struct parley_message *m)
{
    static char text[3 * PARLEY_TEXT_MAX + 600];
    char when[16], peer[400];
    show_time(when, m->time_ms);
    show_event(text, sizeof text, m, "\\n");
    if (m->missed)
        fprintf(f, "(%" PRIu64 " before this one are only in history)\n", m->missed);
    show_clean(peer, sizeof peer, m->peer_login, "?");
    if (m->group)
        fprintf(f, "%s +%02x%02x%02x%02x %s", when, m->conversation[0], m->conversation[1],
                m->conversation[2], m->conversation[3], text);
    else
        fprintf(f, "%s %s%s%s%s", when, m->own ? "to " : "", m->own ? peer : "", m->own ? ": " : "", text);
    fprintf(f, "%s\n", m->late ? " (late)" : "");
}

json_t *show_hex_json(const void *p, size_t n)
{
    char *text = malloc(2 * n + 1);
    if (!text)
        return json_null();
    json_t *j = json_string(hex_encode(text, p, n));
    free(text);
    return j;
}

json_t *show_text_json(const char *text)
{
    json_t *j = json_string(text);
    return j ? j : json_string("");
}

void show_put_json(FILE *f, json_t *j)
{
    int fd = fileno(f); /* on a terminal nothing but ASCII: JSON lets U+009B and the like through */
    if (j)
        json_dumpf(j, f, JSON_COMPACT | (fd >= 0 && isatty(fd) ? JSON_ENSURE_ASCII : 0));
    fputc('\n', f);
    json_decref(j);
}

/* What only some kinds have. */
static void more_json(json_t *j, const struct parley_message *m)
{
    char when[32];
    if (m->reply_to)
        json_object_set_new(j, "reply_to", json_integer((json_int_t)m->reply_to));
    if (m->target)
        json_object_set_new(j, "target", json_integer((json_int_t)m->target));
    if (m->people_n) {
        json_t *people = json_array();
        for (size_t i = 0; i < m->people_n; i++)
            json_array_append_new(people,
                                  json_pack("{so so}", "user", show_hex_json(m->people[i].user, PARLEY_ID),
                                            "login", show_text_json(m->people[i].login)));
        json_object_set_new(j, "people", people);
        json_object_set_new(j, "me", json_boolean(m->me));
    }
    if (m->role)
        json_object_set_new(j, "role", json_integer(m->role));
    if (m->group && m->kind >= PARLEY_GROUP_CREATE)
        json_object_set_new(j, "flags", json_integer(m->flags));
    if (m->until_ms) {
        show_iso(when, m->until_ms);
        json_object_set_new(j, "until", json_string(when));
    }
    if (*m->content_type) {
        json_object_set_new(j, "content_type", show_text_json(m->content_type));
        json_object_set_new(j, "data_hex", show_hex_json(m->data, m->data_n));
    } else {
        json_object_set_new(j, "text", show_text_json(m->text));
    }
}

json_t *show_message_json(const struct parley_message *m)
{
    char when[32];
    show_iso(when, m->time_ms);
    json_t *j =
        json_pack("{so sI ss sb so so ss si so ss sI sb sI sb}", "conversation",
                  show_hex_json(m->conversation, PARLEY_ID), "seq", (json_int_t)m->seq, "kind",
                  parley_kind_name(m->kind), "group", (int)m->group, "from", show_text_json(m->sender_login),
                  "to", show_text_json(m->peer_login), "user", "", "device", (int)m->sender_device, "msg_id",
                  show_hex_json(m->msg_id, PARLEY_ID), "time", when, "time_ms", (json_int_t)m->time_ms, "own",
                  (int)m->own, "missed", (json_int_t)m->missed, "late", (int)m->late);
    if (j) {
        json_object_set_new(j, "user", show_hex_json(m->sender, PARLEY_ID));
        more_json(j, m);
    }
    return j;
}

void show_json(FILE *f, const struct parley_message *m)
{
    show_put_json(f, show_message_json(m));
}

void show_sent_json(FILE *f, const struct parley_sent *s)
{
    static const char *const stages[] = {"", "accepted", "sequenced", "refused", "noted"};
    json_t *j =
        json_pack("{so ss ss sI}", "to", show_text_json(s->to), "kind", parley_kind_name(s->kind), "stage",
                  s->stage < 5 ? stages[s->stage] : "", "client_seq", (json_int_t)s->client_seq);
    if (j && s->stage == PARLEY_NOT_SENT)
        json_object_set_new(j, "code", json_string(parley_code_name(s->code)));
    else if (j) {
        json_object_set_new(j, "msg_id", show_hex_json(s->msg_id, PARLEY_ID));
        json_object_set_new(j, "conversation", show_hex_json(s->conversation, PARLEY_ID));
    }
    if (j && s->stage == PARLEY_SEQUENCED) {
        json_object_set_new(j, "seq", json_integer((json_int_t)s->seq));
        json_object_set_new(j, "time_ms", json_integer((json_int_t)s->time_ms));
    }
    show_put_json(f, j);
}
