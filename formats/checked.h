/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on values from an image: sums and products that detect overflow. */
#ifndef FORMATS_CHECKED_H
#define FORMATS_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes. qemu counts disks in sectors, and most formats count offsets and sizes in them. */
enum { SECTOR = 512 };

/* *sum = a + b; false if that does not fit in 64 bits. */
static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

/* *product = a * b; false if that does not fit in 64 bits. */
static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* *rounded = n rounded up to a multiple of unit (unit > 0); false if that does not fit. */
static inline bool checked_round_up(uint64_t n, uint64_t unit, uint64_t *rounded)
{
    uint64_t rest = n % unit;

    return checked_add(n, rest ? unit - rest : 0, rounded);
}

/* n / unit, rounded up (unit > 0). Never overflows. */
static inline uint64_t div_up(uint64_t n, uint64_t unit)
{
    return n / unit + (n % unit != 0);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline bool is_power_of_two(uint64_t n)
{
    return n && !(n & (n - 1));
}

#endif
