/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK images for tests: extents of each kind, and the first lines of a descriptor. */
#ifndef TESTS_SUPPORT_VMDK_IMAGE_H
#define TESTS_SUPPORT_VMDK_IMAGE_H

#include <errno.h>

#include "formats/checked.h"
#include "support.h"

#define DESCRIPTOR(create_type)                                                                    \
    "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"                         \
    "createType=\"" create_type "\"\n"

static const char flat[] = DESCRIPTOR("monolithicFlat");

/* The image of the tests that include this. */
static struct sample s = {.fd = -1};

/* A hosted extent: sectors of directory and tables, size of grains. */
enum { GD = 32, GT = 40, GRAIN_SECTORS = 8, GRAIN = GRAIN_SECTORS * SECTOR };

static const char base[] = DESCRIPTOR("monolithicSparse");

static inline void gte(uint64_t table, uint64_t index, uint32_t value)
{
    put_le(&s, (GT + 4 * table) * SECTOR + 4 * index, 4, value);
}

static inline void header(uint64_t at, uint64_t capacity_sectors)
{
    put_text(&s, at, "KDMV");
    put_le(&s, at + 4, 4, 1);
    put_le(&s, at + 8, 4, 1);
    put_le(&s, at + 12, 8, capacity_sectors);
    put_le(&s, at + 20, 8, GRAIN_SECTORS);
    put_le(&s, at + 28, 8, 1);
    put_le(&s, at + 36, 8, 20);
    put_le(&s, at + 44, 4, 512);
    put_le(&s, at + 56, 8, GD);
    put_le(&s, at + 64, 8, 21);
    put_text(&s, at + 73, "\n \r\n");
}

/* An image of that many adjacent grain tables, which cover 2 MiB each. Nothing is allocated. */
static inline void make_sparse(uint64_t tables)
{
    sample_begin(&s);
    header(0, tables * 512 * GRAIN_SECTORS);
    put_text(&s, SECTOR, base);
    for (uint64_t i = 0; i < tables; i++)
        put_le(&s, GD * SECTOR + 4 * i, 4, GT + 4 * i);
    put_le(&s, (GT + 4 * tables) * SECTOR - 1, 1, 0);
}

/* The driver's extent at offset. */
static inline struct extent at(uint64_t offset, unsigned want)
{
    struct extent e = {.offset = offset};

    assert_int_equal(vmdk_driver.extent_at(&s.disk, offset, want, &e), 0);
    assert_true(e.length > 0);
    return e;
}

static inline void assert_extent(struct extent e, enum extent_kind kind, uint64_t length,
                                 uint64_t host)
{
    assert_int_equal(e.kind, kind);
    assert_int_equal(e.length, length);
    assert_int_equal(e.host, host);
}

/* A COWD extent of that many grain tables, without descriptor. Nothing is allocated. */
static inline void make_cowd(uint64_t tables)
{
    const uint64_t values[] = {1, 3, tables * 4096 * GRAIN_SECTORS, GRAIN_SECTORS, 4, tables};

    sample_begin(&s);
    put_text(&s, 0, "COWD");
    for (size_t i = 0; i < COUNT(values); i++)
        put_le(&s, 4 + 4 * i, 4, values[i]);
    for (uint64_t i = 0; i < tables; i++)
        put_le(&s, 4 * SECTOR + 4 * i, 4, 8 + 32 * i);
    set_size(&s, (8 + 32 * tables) * SECTOR);
}

/* Sectors of directory, tables and grains of a seSparse extent. */
enum { SE_GD = 8, SE_GT = 16, SE_GRAINS = 1024 };

/* A seSparse extent of that many grain tables. Nothing is allocated. */
static inline void make_sesparse(uint64_t tables)
{
    sample_begin(&s);
    put_le(&s, 0, 8, 0xcafebabe);
    put_le(&s, 8, 8, UINT64_C(0x200000001));
    put_le(&s, 16, 8, tables * 4096 * 8);
    put_le(&s, 24, 8, 8);
    put_le(&s, 32, 8, 64);
    put_le(&s, 80, 8, 1);
    put_le(&s, 128, 8, SE_GD);
    put_le(&s, 136, 8, 8);
    put_le(&s, 144, 8, SE_GT);
    put_le(&s, 192, 8, SE_GRAINS);
    put_le(&s, SECTOR, 8, 0xcafecafe);
    for (uint64_t i = 0; i < tables; i++)
        put_le(&s, SE_GD * SECTOR + 8 * i, 8, UINT64_C(1) << 60 | i);
    set_size(&s, (SE_GT + 64 * tables) * SECTOR);
}

static inline int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

#endif
