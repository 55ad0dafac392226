/* rowmap.h: the rows of one batch by (table, key): what was loaded, replaced by what was written since.
 * Rows are copied. One thread. */
#ifndef PARLEY_PERSISTER_ROWMAP_H
#define PARLEY_PERSISTER_ROWMAP_H

#include "common/base/core.h"

struct rowmap;
struct rowmap *rowmap_new(void); /* NULL: no memory */
void rowmap_free(struct rowmap *);
void rowmap_set(struct rowmap *, uint8_t table, struct slice key,
                struct slice row); /* ends the process without memory */
/* False: never set. True with row->n == 0: known not to exist. Valid until the key is set again. */
bool rowmap_get(const struct rowmap *, uint8_t table, struct slice key, struct slice *row);
void rowmap_clear(struct rowmap *);

#endif
