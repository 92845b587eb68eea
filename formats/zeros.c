// SPDX-License-Identifier: Apache-2.0
/* The test for zeros, by vectors that the compiler supports on any machine. */
#include "zeros.h"

#include <string.h>

enum { VECTORS = 8 };

typedef uint64_t vector __attribute__((vector_size(16)));

enum { STRIDE = VECTORS * sizeof(vector) };

/* Whether STRIDE bytes, at any address, are zeros. */
static inline bool is_zero_stride(const uint8_t *bytes)
{
    vector any = {0, 0}, v;

    for (size_t i = 0; i < VECTORS; i++) {
        memcpy(&v, bytes + i * sizeof v, sizeof v);
        any |= v;
    }
    return !(any[0] | any[1]);
}

/* The same, up to 8 bytes. */
static inline bool is_zero_word(const uint8_t *bytes, size_t length)
{
    uint64_t word = 0;

    memcpy(&word, bytes, length);
    return !word;
}

bool are_zeros(const uint8_t *bytes, size_t length)
{
    /* Most data differs from zeros in its first word. */
    if (length >= sizeof(uint64_t) && !is_zero_word(bytes, sizeof(uint64_t)))
        return false;
    for (; length >= STRIDE; length -= STRIDE, bytes += STRIDE)
        if (!is_zero_stride(bytes))
            return false;
    for (; length >= sizeof(uint64_t); length -= sizeof(uint64_t), bytes += sizeof(uint64_t))
        if (!is_zero_word(bytes, sizeof(uint64_t)))
            return false;
    return is_zero_word(bytes, length);
}
