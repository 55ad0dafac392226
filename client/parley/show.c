#include "client/parley/show.h"

#include "common/base/hex.h"
#include "common/base/utf8.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

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
    static char text[3 * PARLEY_TEXT_MAX + 1], who[400], peer[400];
    char when[16];
    show_time(when, m->time_ms);
    show_clean(who, sizeof who, m->sender_login, "?");
    show_clean(peer, sizeof peer, m->peer_login, "?");
    if (m->missed)
        fprintf(f, "(%" PRIu64 " before this one are only in history)\n", m->missed);
    if (m->own)
        fprintf(f, "%s %s to %s: ", when, who, peer);
    else
        fprintf(f, "%s %s: ", when, who);
    if (*m->content_type) {
        show_clean(text, sizeof text, m->content_type, "?");
        fprintf(f, "[%s, %zu bytes]\n", text, m->data_n);
    } else {
        show_clean(text, sizeof text, m->text, "\\n");
        fprintf(f, "%s%s\n", text, m->late ? " (late)" : "");
    }
}

static json_t *hex_of(const uint8_t *p, size_t n)
{
    char *text = malloc(2 * n + 1);
    if (!text)
        return json_null();
    json_t *j = json_string(hex_encode(text, p, n));
    free(text);
    return j;
}

static void put(FILE *f, json_t *j)
{
    if (j)
        json_dumpf(j, f, JSON_COMPACT);
    fputc('\n', f);
    json_decref(j);
}

void show_json(FILE *f, const struct parley_message *m)
{
    char when[32];
    show_iso(when, m->time_ms);
    json_t *j = json_pack("{so sI ss ss si so ss sI sb sI sb}", "conversation",
                          hex_of(m->conversation, PARLEY_ID), "seq", (json_int_t)m->seq, "from",
                          m->sender_login, "to", m->peer_login, "device", (int)m->sender_device, "msg_id",
                          hex_of(m->msg_id, PARLEY_ID), "time", when, "time_ms", (json_int_t)m->time_ms,
                          "own", (int)m->own, "missed", (json_int_t)m->missed, "late", (int)m->late);
    if (j && *m->content_type) {
        json_object_set_new(j, "content_type", json_string(m->content_type));
        json_object_set_new(j, "data_hex", hex_of(m->data, m->data_n));
    } else if (j) {
        json_object_set_new(j, "text", json_string(m->text));
    }
    put(f, j);
}

void show_sent_json(FILE *f, const struct parley_sent *s)
{
    static const char *const stages[] = {"", "accepted", "sequenced", "refused"};
    json_t *j = json_pack("{ss ss sI}", "to", s->to, "stage", stages[s->stage & 3], "client_seq",
                          (json_int_t)s->client_seq);
    if (j && s->stage == PARLEY_NOT_SENT)
        json_object_set_new(j, "code", json_string(parley_code_name(s->code)));
    else if (j) {
        json_object_set_new(j, "msg_id", hex_of(s->msg_id, PARLEY_ID));
        json_object_set_new(j, "conversation", hex_of(s->conversation, PARLEY_ID));
    }
    if (j && s->stage == PARLEY_SEQUENCED) {
        json_object_set_new(j, "seq", json_integer((json_int_t)s->seq));
        json_object_set_new(j, "time_ms", json_integer((json_int_t)s->time_ms));
    }
    put(f, j);
}
