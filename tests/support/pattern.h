/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a pattern without zeros: byte n is 1 + n % 251. A wrong offset or a byte past the end
 * shows. */
#ifndef TESTS_SUPPORT_PATTERN_H
#define TESTS_SUPPORT_PATTERN_H

#include "support.h"

static inline uint8_t pattern_byte(uint64_t offset)
{
    return (uint8_t)(1 + offset % 251);
}

/* Begins a session on a new file of that size. */
static inline void pattern_file(struct sample *s, size_t size)
{
    static uint8_t bytes[4 << 20];

    assert_true(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern_byte(i);
    sample_begin(s);
    put(s, 0, bytes, size);
    sample_session(s);
}

/* The bytes are those at offset of such a file, and zeros past its end. */
static inline void assert_pattern(const uint8_t *bytes, uint64_t offset, size_t length,
                                  uint64_t file_size)
{
    for (size_t i = 0; i < length; i++) {
        uint64_t at = offset + i;

        if (bytes[i] != (at < file_size ? pattern_byte(at) : 0))
            fail_msg("byte %zu from offset %llu on is %u", i, (unsigned long long)offset, bytes[i]);
    }
}

#endif
