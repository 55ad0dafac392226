/* store_redis_int.h: scripts, and the argument list of a put. */
#ifndef PARLEY_BASE_STORE_REDIS_INT_H
#define PARLEY_BASE_STORE_REDIS_INT_H

#include "common/base/kv.h"
#include "common/base/store.h"

/* A script is sent as source until Redis has told its hash, and again after a NOSCRIPT (EVAL keeps it there). */
struct redis_script {
    const char *source;
    char sha[41]; /* "": not known */
    bool asked;
};
/* Fills args[0…2]: EVAL or EVALSHA, script, number of keys; returns 3. */
size_t redis_script_begin(struct redis_script *, struct kv *, struct slice *args, const char *n_keys);
/* The answer says that the script is not there: ask again, it will go as source. */
bool redis_script_missing(struct redis_script *, const struct kv_result *);

struct redis_put_args {
    struct slice *args;
    size_t n, fixed_at; /* fixed_at: five arguments that the caller fills in */
    char n_keys[8];
    char *text; /* keys and counts */
};
/* args[0…2] and the fixed ones are left open. NULL: no memory. Valid until released. */
struct slice *redis_put_args(struct redis_put_args *, const char *base, const struct store_put *);
void redis_put_args_release(struct redis_put_args *);

#endif
