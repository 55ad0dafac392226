/* rstore_swap.c: the shadow becomes the live one. */
#include "client/parleyctl/rstore.h"

#include <errno.h>
#include <inttypes.h>

static void write_list(char *out, size_t size, const int64_t v[STORE_TOPICS])
{
    size_t n = 0;
    for (int i = 0; i < STORE_TOPICS && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%" PRId64, i ? "," : "", v[i]);
}

/* KEYS: mark, live tables, shadow tables. ARGV: next, committed, force, tables. */
static const char swap_script[] =
    "local function list(s)\n"
    "  local l = {}\n"
    "  for v in string.gmatch(s or '', '[^,]+') do l[#l + 1] = tonumber(v) end\n"
    "  return l\n"
    "end\n"
    "local m = redis.call('HMGET', KEYS[1], 'g', 's', 'n', 'q')\n"
    "local next, committed, live, quiet = list(ARGV[1]), list(ARGV[2]), list(m[3]), list(m[4])\n"
    "for i = 1, #next do\n"
    "  if ARGV[3] == '0' and (live[i] or -1) < next[i] then return {'0', m[2] or '0'} end\n"
    "end\n"
    "local t = redis.call('TIME')\n"
    "local g, now = tonumber(m[1] or '0') + 1, t[1] * 1000000 + t[2]\n"
    "if g < now then g = now end\n"
    "local n = tonumber(ARGV[4])\n"
    "for i = 2, n + 1 do\n"
    "  redis.call('UNLINK', KEYS[i])\n"
    "  if redis.call('EXISTS', KEYS[i + n]) == 1 then redis.call('RENAME', KEYS[i + n], KEYS[i]) end\n"
    "end\n"
    "local q = {}\n"
    "for i = 1, #next do\n"
    "  q[i] = string.format('%.0f', math.max(next[i], committed[i], live[i] or 0, quiet[i] or 0))\n"
    "end\n"
    "local s = string.format('%.0f', tonumber(m[2] or '0') + 1)\n"
    "g = string.format('%.0f', g)\n"
    "redis.call('HSET', KEYS[1], 'g', g, 's', s, 'n', ARGV[1], 'q', table.concat(q, ','))\n"
    "return {g, s, ARGV[1], table.concat(q, ',')}\n";

int rstore_swap(struct rstore *r, const int64_t next[STORE_TOPICS], const int64_t committed[STORE_TOPICS],
                bool force, struct store_mark *now)
{
    char keys[2 * STORE_TABLES + 1][240], n_keys[8], n[96], c[96], tables[8];
    const char *argv[3 + 2 * STORE_TABLES + 1 + 4];
    int k = 0;
    snprintf(n_keys, sizeof n_keys, "%d", 2 * STORE_TABLES + 1);
    snprintf(tables, sizeof tables, "%d", STORE_TABLES);
    write_list(n, sizeof n, next);
    write_list(c, sizeof c, committed);
    rstore_mark_key(r, RSTORE_LIVE, keys[0]);
    for (unsigned t = 0; t < STORE_TABLES; t++) {
        rstore_table(r, RSTORE_LIVE, t, keys[1 + t]);
        rstore_table(r, RSTORE_SHADOW, t, keys[1 + STORE_TABLES + t]);
    }
    argv[k++] = "EVAL";
    argv[k++] = swap_script;
    argv[k++] = n_keys;
    for (int i = 0; i < 2 * STORE_TABLES + 1; i++)
        argv[k++] = keys[i];
    argv[k++] = n;
    argv[k++] = c;
    argv[k++] = force ? "1" : "0";
    argv[k++] = tables;
    redisReply *a = rstore_ask(r, k, argv, NULL);
    if (!a)
        return CTL_FAILED;
    rstore_mark_of(a, now);
    freeReplyObject(a);
    return now->present ? 0 : -EAGAIN;
}
