// SPDX-License-Identifier: Apache-2.0
/* Allocation in bulk: searches in maps, and which disks have one. The drivers' tests compare the
 * bits with their extents. */
#include "formats/unit-map.h"

#include <string.h>

#include "formats/disk.h"
#include "formats/format.h"
#include "tests/support/support.h"

static struct unit_map map;

/* Entries of one byte: their bits. */
static enum unit_bits classify(const void *context, const uint8_t *entry)
{
    (void)context;
    return (enum unit_bits) * entry;
}

static void fill(const char *entries)
{
    uint8_t bytes[256];
    size_t count = strlen(entries);

    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(entries[i] - '0');
    memset(&map, 0xff, sizeof map);
    unit_map_fill(&map, bytes, 1, (uint32_t)count, classify, NULL);
}

static void test_fill(void **state)
{
    (void)state;
    fill("0112");
    assert_int_equal(map.count, 4);
    assert_int_equal(map.data[0], 6);
    assert_int_equal(map.odd[0], 8);
    fill("000000000000000000000000000000000000000000000000000000000000000112");
    assert_int_equal(map.count, 66);
    assert_true(map.data[0] == UINT64_C(1) << 63);
    assert_int_equal(map.data[1], 1);
    assert_int_equal(map.odd[1], 2);
}

static void test_search(void **state)
{
    (void)state;
    fill("0111000000000000000000000000000000000000000000000000000000000000011100");
    assert_int_equal(unit_map_next(&map, map.data, 0), 1);
    assert_int_equal(unit_map_end(&map, map.data, 1), 4);
    assert_int_equal(unit_map_next(&map, map.data, 4), 65);
    assert_int_equal(unit_map_end(&map, map.data, 65), 68);
    assert_int_equal(unit_map_next(&map, map.data, 68), 70);
    assert_int_equal(unit_map_end(&map, map.data, 69), 69);
    assert_int_equal(unit_map_next(&map, map.odd, 0), 70);
    assert_int_equal(unit_map_count(&map, 70), 6);
    assert_int_equal(unit_map_count(&map, 66), 4);
    assert_int_equal(unit_map_count(&map, 0), 0);
    fill("11");
    assert_int_equal(unit_map_end(&map, map.data, 0), 2);
}

static int map_three(struct disk *disk, uint64_t offset, struct unit_map *m)
{
    (void)disk;
    m->unit = 100;
    m->count = 3;
    m->data[0] = 5;
    m->odd[0] = 0;
    return offset % 100 ? 0 : 1;
}

/* Neither an image with a backing reference nor a unit that the end of the disk cuts off. */
static void test_disks(void **state)
{
    static const struct reference backing;
    struct format_driver driver = {.name = "fake", .map_units = map_three};
    struct disk disk = {.driver = &driver, .virtual_size = 250};

    (void)state;
    assert_true(disk_map_units(&disk, 0, &map));
    assert_int_equal(map.count, 2);
    assert_false(disk_map_units(&disk, 50, &map));
    assert_false(disk_map_units(&disk, 200, &map));
    disk.backing_reference = &backing;
    assert_false(disk_map_units(&disk, 0, &map));
    disk.backing_reference = NULL;
    disk.qemu = QEMU_VERSION(7, 2);
    assert_true(disk_map_units(&disk, 0, &map));
    driver.opaque_to_qemu = true;
    assert_false(disk_map_units(&disk, 0, &map));
    disk.driver = &raw_driver;
    disk.qemu = 0;
    assert_false(disk_map_units(&disk, 0, &map));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_disks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
