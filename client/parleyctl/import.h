/* import.h: inside `parleyctl import`: the file, and what its records become here. */
#ifndef PARLEY_CTL_IMPORT_H
#define PARLEY_CTL_IMPORT_H

#include "client/parleyctl/ctl.h"
#include "common/im/ids.h"
#include "proto/record.pb-c.h"

#include <stdio.h>

struct import_file {
    FILE *f;
    const char *path;
    size_t line;
    struct id16 id;
    int64_t records, end_ms; /* all of the file; time of the last one */
    int64_t taken;           /* that had an effect */
    json_t *state;           /* at the end of the file */
};

/* Opens it and looks whether it is whole. 0, or CTL_FAILED after having said why; release it in any case. */
int import_open(struct import_file *, const char *path);
void import_release(struct import_file *);

struct import_record { /* one that had an effect, as it is written here */
    Im__ConvRecord *m; /* to be freed by im__conv_record__free_unpacked(m, NULL) */
    int64_t time_ms;   /* when it was said */
    int64_t until_ms;  /* a mute that was over before the file's end: until then; else 0 */
};
/* From the first one on after import_rewind. 1: there is one; 0: no more; negative: said why. */
void import_rewind(struct import_file *);
int import_next(struct import_file *, struct import_record *);

/* A mute that ended within the file lasts so long here: what the muted said later has to wait for it. */
#define IMPORT_MUTE_S 3

#endif
