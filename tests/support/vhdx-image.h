/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHDX images for tests, in a sparse temporary file: log at 1 MiB, BAT at 2 MiB, metadata at 4 MiB,
 * payload from 5 MiB on. After a change of headers or region tables, seal_all() updates checksums.
 */
#ifndef TESTS_SUPPORT_VHDX_IMAGE_H
#define TESTS_SUPPORT_VHDX_IMAGE_H

#include <unistd.h>

#include "formats/crc32c.h"
#include "support.h"

enum {
    HEADER1 = 64 << 10,
    HEADER2 = 128 << 10,
    REGIONS = 192 << 10,
    LOG = 1 << 20,
    BAT = 2 << 20,
    METADATA = 4 << 20,
    ITEMS_AT = METADATA + (64 << 10),
    PARAMETERS = ITEMS_AT,
    DISK_SIZE = ITEMS_AT + 8,
    LOGICAL_SECTOR = ITEMS_AT + 32,
    LOCATOR = ITEMS_AT + 64,
};

/* An entry of the region or the metadata table. */
static inline void put_guid(struct sample *s, uint64_t at, uint64_t low, uint64_t high)
{
    put_le(s, at, 8, low);
    put_le(s, at + 8, 8, high);
}

static inline void put_item(struct sample *s, unsigned n, uint64_t low, uint64_t high,
                            uint64_t offset, uint64_t length)
{
    uint64_t at = METADATA + 32 + 32 * n;

    put_guid(s, at, low, high);
    put_le(s, at + 16, 4, 0x10000 + offset);
    put_le(s, at + 20, 4, length);
    put_le(s, at + 24, 4, 4);
}

static inline void seal(struct sample *s, uint64_t at, size_t length)
{
    static uint8_t bytes[65536];

    put_le(s, at + 4, 4, 0);
    assert_int_equal(pread(s->fd, bytes, length, (off_t)at), length);
    put_le(s, at + 4, 4, crc32c(0, bytes, length));
}

/* Updates the checksums of both headers and of the first region table. */
static inline void seal_all(struct sample *s)
{
    seal(s, HEADER1, 4096);
    seal(s, HEADER2, 4096);
    seal(s, REGIONS, 65536);
}

static inline void make_header(struct sample *s, uint64_t at, uint64_t sequence)
{
    put_text(s, at, "head");
    put_le(s, at + 8, 8, sequence);
    put_le(s, at + 66, 2, 1);
    put_le(s, at + 68, 4, MIB);
    put_le(s, at + 72, 8, LOG);
}

/* A dynamic disk without data. */
static inline void make_vhdx(struct sample *s, uint64_t size, uint64_t block_size, uint64_t sector)
{
    sample_begin(s);
    set_size(s, 5 * MIB);
    put_text(s, 0, "vhdxfile");
    make_header(s, HEADER1, 1);
    make_header(s, HEADER2, 2);
    put_text(s, REGIONS, "regi");
    put_le(s, REGIONS + 8, 4, 2);
    put_guid(s, REGIONS + 16, 0x4200f6232dc27766, 0x084afd9b5e11649d);
    put_le(s, REGIONS + 32, 8, BAT);
    put_le(s, REGIONS + 40, 8, 2 * MIB | UINT64_C(1) << 32);
    put_guid(s, REGIONS + 48, 0x4b9a47908b7ca206, 0x6e880f055f57feb8);
    put_le(s, REGIONS + 64, 8, METADATA);
    put_le(s, REGIONS + 72, 8, MIB | UINT64_C(1) << 32);
    put_text(s, METADATA, "metadata");
    put_le(s, METADATA + 10, 2, 5);
    put_item(s, 0, 0x4d43fa36caa16737, 0x6be744aaf033b6b3, 0, 8);
    put_item(s, 1, 0x4876cd1b2fa54224, 0xb8f43bd8be5d11b2, 8, 8);
    put_item(s, 2, 0x4523b2e6beca12ab, 0x46c700e009c3ef93, 16, 16);
    put_item(s, 3, 0x4709a96f8141bf1d, 0x5fabfaa833f247ba, 32, 4);
    put_item(s, 4, 0x4471445dcda348c7, 0x56c5515288e9c99c, 36, 4);
    put_le(s, PARAMETERS, 4, block_size);
    put_le(s, DISK_SIZE, 8, size);
    put_le(s, LOGICAL_SECTOR, 4, sector);
    put_le(s, LOGICAL_SECTOR + 4, 4, 4096);
    seal_all(s);
}

/* Puts pair n of a parent locator. */
static inline void put_locator_pair(struct sample *sample, unsigned n, const char *key,
                                    const uint16_t *value, size_t units)
{
    uint64_t pair = LOCATOR + 20 + 12 * n, at = 256 + 256 * n;

    put_le(sample, pair, 4, at);
    put_le(sample, pair + 4, 4, at + 128);
    put_le(sample, pair + 8, 2, 2 * strlen(key));
    put_le(sample, pair + 10, 2, 2 * units);
    for (size_t i = 0; key[i]; i++)
        put_le(sample, LOCATOR + at + 2 * i, 2, (uint8_t)key[i]);
    for (size_t i = 0; i < units; i++)
        put_le(sample, LOCATOR + at + 128 + 2 * i, 2, value[i]);
}

/* A differencing disk whose locator has so many pairs, which the caller puts. */
static inline void make_differencing(struct sample *sample, uint64_t size, uint64_t block_size,
                                     uint64_t sector, unsigned pairs)
{
    make_vhdx(sample, size, block_size, sector);
    put_le(sample, PARAMETERS + 4, 4, 2);
    put_le(sample, METADATA + 10, 2, 6);
    put_item(sample, 5, 0x454db30ba8d35f2d, 0x0cab3448d8d3f7ab, 64, 2048);
    put_guid(sample, LOCATOR, 0x4a81d19eb04aefb7, 0x135944e9b82589b7);
    put_le(sample, LOCATOR + 18, 2, pairs);
}

/* The same with an ASCII value. */
static inline void put_locator_text(struct sample *sample, unsigned n, const char *key,
                                    const char *value)
{
    uint16_t units[64];
    size_t count = 0;

    for (; value[count]; count++)
        units[count] = (uint8_t)value[count];
    put_locator_pair(sample, n, key, units, count);
}

static inline void set_block(struct sample *s, uint64_t entry, uint64_t state, uint64_t mib)
{
    put_le(s, BAT + 8 * entry, 8, mib << 20 | state);
}

/* The image opens, and its extents end with that error. */
static inline void assert_extents_fail(struct sample *s, int error, const char *key)
{
    assert_int_equal(sample_open(s, &vhdx_driver), 0);
    assert_stream_fails(s, 0, error, key);
}

/* The image of the tests that include this. */
static struct sample s = {.fd = -1};

static inline int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

#endif
