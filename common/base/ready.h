/* ready.h: what the process still waits for, by name: kafka, postgres, a slot …
 *
 * A condition exists from its first ready_wait() and holds from ready_ok() until the next ready_wait().
 * Changes are logged, and every 10 s what is still missing ("waiting for kafka: connection refused"), so that
 * any start order works visibly. Loop thread only.
 */
#ifndef PARLEY_BASE_READY_H
#define PARLEY_BASE_READY_H

#include "common/base/bytes.h"
#include "common/base/loop.h"
#include "common/base/macros.h"

#include <stdbool.h>

struct ready;

struct ready *MUST_CHECK ready_new(struct loop *); /* NULL: no memory. Nothing is waited for at first */
void ready_free(struct ready *);

/* `name` is a fixed text, borrowed for ever; `why` is copied and cut at 160 bytes. */
void ready_wait(struct ready *, const char *name, const char *why);
void ready_ok(struct ready *, const char *name);

bool ready_all(const struct ready *);
void ready_json(const struct ready *,
                struct bytes *out); /* {"ready":false,"waiting":[{"for":"kafka","why":"…"}]} */
/* One line for people, cut to fit: "ready", or "waiting for kafka: connection refused; schema: …". */
void ready_text(const struct ready *, char *out, size_t n);

#endif
