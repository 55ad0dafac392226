/* ends.h: how many records the product's topics have had so far, from their end offsets. Blocks for some milliseconds. */
#ifndef PARLEY_BENCH_ENDS_H
#define PARLEY_BENCH_ENDS_H

#include <stdint.h>

struct ends {
    uint64_t inbound, conversation, deliver, offline; /* deliver: all slots */
};

int ends_read(const char *kafka, struct ends *); /* 0, or -EIO (told on stderr) */

#endif
