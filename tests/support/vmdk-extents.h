/* SPDX-License-Identifier: Apache-2.0 */
/* Disks with extent files, which are granted. */
#ifndef TESTS_SUPPORT_VMDK_EXTENTS_H
#define TESTS_SUPPORT_VMDK_EXTENTS_H

#include "granted-files.h"
#include "vmdk-image.h"

/* Opens a descriptor of the first lines and the text, with the granted files. 0 or -errno. */
static inline int open_lines(const char *first_lines, const char *text)
{
    int error;

    sample_begin(&s);
    put_text(&s, 0, first_lines);
    put_text(&s, strlen(first_lines), text);
    error = sample_open(&s, &vmdk_driver);
    s.disk.granted = &granted;
    return error;
}

/* A file of that many sectors; sector n is filled with n. */
static inline int numbered_file(unsigned sectors)
{
    uint8_t bytes[SECTOR];

    sample_begin(&s);
    for (unsigned i = 0; i < sectors; i++) {
        memset(bytes, (int)i, sizeof bytes);
        put(&s, i * (uint64_t)SECTOR, bytes, sizeof bytes);
    }
    return sample_take(&s);
}

/* Guest sector n is filled with value. */
static inline void assert_sector(uint64_t n, uint8_t value)
{
    uint8_t got[SECTOR];

    if (disk_read(&s.disk, n * SECTOR, got, sizeof got) != 0)
        fail_msg("sector %llu: %s", (unsigned long long)n, image_problems(s.img));
    for (size_t i = 0; i < sizeof got; i++)
        assert_int_equal(got[i], value);
}

static inline int end_test(void **state)
{
    end(state);
    grant_nothing();
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, end_test)

#endif
