/* samples.h: a good record of every kind, as bytes, for tests that then spoil it. Any thread. */
#ifndef PARLEY_TESTS_SUPPORT_SAMPLES_H
#define PARLEY_TESTS_SUPPORT_SAMPLES_H

#include "common/im/codec.h"

#define SAMPLE_MAX 2048

/* Bytes written; 0: there is no variant of that number (they count from 0). */
size_t sample_record(enum record_kind, unsigned variant, uint8_t out[SAMPLE_MAX]);
size_t sample_convrec(unsigned variant, uint8_t out[SAMPLE_MAX]);

#endif
