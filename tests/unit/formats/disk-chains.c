// SPDX-License-Identifier: Apache-2.0
/*
 * Differencing disks and their parents: random chains of 2 to 4 VHD, VHDX or VDI images, compared
 * with a model of the guest's sectors as bytes and as extents; and parents that are shorter or
 * longer.
 */
#include <errno.h>
#include <unistd.h>

#include "formats/checked.h"
#include "tests/support/vhd-image.h"
#include "tests/support/vhdx-image.h"

enum {
    LAYERS = 4,
    SECTORS_MAX = 4 * 2048, /* of a disk */
    CHAINS = 60,

    VDI_MAP = 512,
    VDI_DATA = 1 << 20,
};

enum owner { ASKS, HAS, ZEROS };

struct layer {
    struct sample s;
    const struct format_driver *driver;
    uint64_t sectors;
    uint64_t block_sectors;
    uint8_t owner[SECTORS_MAX];
};

static struct layer layers[LAYERS];
static uint64_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(seed >> 33) % n;
}

static int begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYERS; i++)
        layers[i].s.fd = -1;
    return 0;
}

static int end_all(void **state)
{
    for (size_t i = 0; i < LAYERS; i++)
        sample_end(&layers[i].s);
    return end(state);
}

/* The content of a sector in a layer: never zeros. */
static void content(size_t layer, uint64_t sector, uint8_t bytes[SECTOR])
{
    for (size_t i = 0; i < SECTOR; i++)
        bytes[i] = (uint8_t)(1 + (layer * 89 + sector * 31 + i / 8) % 255);
}

/* Writes all sectors of a block to the file, whichever layer they belong to. */
static void write_block(size_t layer, uint64_t block, uint64_t host)
{
    static uint8_t bytes[1 << 20];
    struct layer *l = &layers[layer];

    for (uint64_t i = 0; i < l->block_sectors; i++)
        content(layer, block * l->block_sectors + i, bytes + i * SECTOR);
    put(&l->s, host, bytes, (size_t)l->block_sectors * SECTOR);
}

static void own(struct layer *l, uint64_t block, enum owner owner)
{
    for (uint64_t i = 0; i < l->block_sectors; i++)
        if (block * l->block_sectors + i < SECTORS_MAX)
            l->owner[block * l->block_sectors + i] = (uint8_t)owner;
}

/* Puts random runs of sectors of a block, whose bitmap is at that offset, into the file. */
static void own_sectors(struct layer *l, uint64_t block, uint64_t bitmap, bool msb_first,
                        uint64_t unit)
{
    uint64_t bits = l->block_sectors / unit;
    static uint8_t bitmap_bytes[2048 / 8];
    bool has = random_below(2);
    uint64_t left = 0;

    memset(bitmap_bytes, 0, sizeof bitmap_bytes);
    for (uint64_t i = 0; i < bits; i++, left--) {
        if (left == 0) {
            has = !has;
            left = 1 + random_below(random_below(3) ? 9 : 200);
        }
        if (!has)
            continue;
        bitmap_bytes[i / 8] |= (uint8_t)(msb_first ? 0x80 >> i % 8 : 1 << i % 8);
        for (uint64_t k = 0; k < unit; k++)
            if (block * l->block_sectors + i * unit + k < SECTORS_MAX)
                l->owner[block * l->block_sectors + i * unit + k] = HAS;
    }
    put(&l->s, bitmap, bitmap_bytes, (size_t)(bits + 7) / 8);
}

static void make_vhd_layer(size_t layer, bool is_base)
{
    struct layer *l = &layers[layer];
    uint64_t blocks, next;

    l->block_sectors = UINT64_C(1) << random_below(12);
    blocks = (l->sectors + l->block_sectors - 1) / l->block_sectors;
    make_dynamic(&l->s, l->sectors * SECTOR, (uint32_t)l->block_sectors * SECTOR,
                 is_base ? DYNAMIC : DIFFERENCING);
    put_be(&l->s, DYNAMIC_PARENT_ID, 8, 0x8877665544332211);
    next = (BAT_AT + 4 * blocks + 511) / 512 + random_below(9);
    for (uint64_t b = 0; b < blocks; b++) {
        if (!random_below(3))
            continue;
        put_be(&l->s, BAT_AT + 4 * b, 4, next);
        if (is_base)
            own(l, b, HAS);
        else
            own_sectors(l, b, next * SECTOR, true, 1);
        write_block(layer, b, (next + 1) * SECTOR);
        next += 1 + l->block_sectors;
    }
}

static void make_vhdx_layer(size_t layer, bool is_base)
{
    struct layer *l = &layers[layer];
    uint64_t unit = random_below(2) && l->sectors % 8 == 0 ? 8 : 1, mib = 6;

    l->block_sectors = 2048;
    if (is_base) {
        make_vhdx(&l->s, l->sectors * SECTOR, MIB, unit * SECTOR);
    } else {
        make_differencing(&l->s, l->sectors * SECTOR, MIB, unit * SECTOR, 2);
        put_locator_text(&l->s, 0, "parent_linkage", "{00000000-0000-0000-0000-000000000000}");
        put_locator_text(&l->s, 1, "relative_path", "p");
        set_block(&l->s, 4096 * unit, 6, 5);
    }
    set_size(&l->s, 11 * MIB);
    for (uint64_t b = 0; b * 2048 < l->sectors; b++) {
        unsigned state = random_below(is_base ? 7 : 8);

        state = state == 4 || state == 5 ? 6 : state;
        set_block(&l->s, b, state, state >= 6 ? mib : 0);
        own(l, b, state == 6 ? HAS : state && state < 6 ? ZEROS : ASKS);
        if (state == 7)
            own_sectors(l, b, 5 * MIB + b * (256 / unit), false, unit);
        if (state >= 6)
            write_block(layer, b, mib++ * MIB);
    }
}

static void make_vdi_layer(size_t layer, bool is_base)
{
    struct layer *l = &layers[layer];
    uint64_t blocks = (l->sectors + 2047) / 2048, next = 0;

    l->block_sectors = 2048;
    sample_begin(&l->s);
    put_le(&l->s, 64, 4, 0xbeda107f);
    put_le(&l->s, 68, 4, 0x10001);
    put_le(&l->s, 72, 4, 400);
    put_le(&l->s, 76, 4, is_base ? 1 : 4);
    put_le(&l->s, 340, 4, VDI_MAP);
    put_le(&l->s, 344, 4, VDI_DATA);
    put_le(&l->s, 360, 4, SECTOR);
    put_le(&l->s, 368, 8, l->sectors * SECTOR);
    put_le(&l->s, 376, 4, MIB);
    put_le(&l->s, 384, 4, blocks);
    put_le(&l->s, 392, 8, layer + 10);
    if (!is_base)
        put_le(&l->s, 424, 8, layer + 11);
    set_size(&l->s, VDI_DATA);
    for (uint64_t b = 0; b < blocks; b++) {
        uint32_t kind = random_below(3);

        put_le(&l->s, VDI_MAP + 4 * b, 4,
               kind == HAS    ? next
               : kind == ASKS ? UINT32_MAX
                              : UINT32_MAX - 1);
        own(l, b, kind);
        if (kind == HAS)
            write_block(layer, b, VDI_DATA + next++ * MIB);
    }
}

static void make_chain(size_t count)
{
    static const struct {
        const struct format_driver *driver;
        void (*make)(size_t layer, bool is_base);
    } makers[] = {{&vhd_driver, make_vhd_layer},
                  {&vhdx_driver, make_vhdx_layer},
                  {&vdi_driver, make_vdi_layer}};
    size_t kind = random_below(6) % 5 % 3; /* VHD as often as the others */
    uint64_t sectors = 1 + random_below(SECTORS_MAX - 1);

    if (random_below(2))
        sectors = (sectors + 7) / 8 * 8; /* sectors of 4096 bytes */
    for (size_t i = 0; i < count; i++) {
        struct layer *l = &layers[i];

        memset(l->owner, ASKS, sizeof l->owner);
        l->driver = makers[kind].driver;
        l->sectors = random_below(2) ? sectors : 1 + random_below(SECTORS_MAX - 1);
        makers[kind].make(i, i == count - 1);
        assert_int_equal(sample_open(&l->s, l->driver), 0);
        image_share_windows(l->s.img, (unsigned)count);
    }
    for (size_t i = count - 1; i > 0; i--)
        assert_int_equal(disk_set_backing(&layers[i - 1].s.disk, &layers[i].s.disk, NULL), 0);
}

/* The layer that has the sector; count: none, it is zeros. */
static size_t layer_of(size_t count, uint64_t sector)
{
    for (size_t i = 0; i < count; i++) {
        if (sector >= layers[i].sectors || layers[i].owner[sector] == ZEROS)
            return count;
        if (layers[i].owner[sector] == HAS)
            return i;
    }
    return count;
}

static void expect(size_t count, uint64_t sector, uint8_t bytes[SECTOR])
{
    size_t layer = layer_of(count, sector);

    memset(bytes, 0, SECTOR);
    if (layer < count)
        content(layer, sector, bytes);
}

static void check_bytes(size_t count)
{
    static uint8_t got[SECTORS_MAX * SECTOR], right[SECTORS_MAX * SECTOR];
    struct disk *disk = &layers[0].s.disk;
    size_t size = (size_t)layers[0].sectors * SECTOR;

    assert_int_equal(disk->virtual_size, size);
    for (uint64_t i = 0; i < layers[0].sectors; i++)
        expect(count, i, right + i * SECTOR);
    assert_int_equal(disk_read(disk, 0, got, size), 0);
    assert_memory_equal(got, right, size);
    for (unsigned n = 0; n < 20; n++) {
        size_t first = random_below((uint32_t)size),
               length = 1 + random_below((uint32_t)(size - first));

        length = n % 2 && length > 5000 ? 5000 : length;
        assert_int_equal(disk_read(disk, first, got, length), 0);
        assert_memory_equal(got, right + first, length);
    }
}

/* Each sector of the extents has the right layer and kind, and its bytes are at the host offset. */
static void check_extents(size_t count, unsigned want)
{
    uint8_t got[SECTOR], right[SECTOR];
    struct extents stream;
    struct extent e;
    uint64_t next = 0;
    int more;

    extents_begin(&stream, &layers[0].s.disk, want);
    while ((more = extents_next(&stream, &e)) == 1) {
        assert_int_equal(e.offset, next);
        next += e.length;
        for (uint64_t at = e.offset; at < next; at += SECTOR) {
            size_t layer = layer_of(count, at / SECTOR);

            assert_int_equal(e.kind == EXTENT_DATA, layer < count);
            if (layer == count || !(want & EXTENTS_WANT_HOST))
                continue;
            assert_int_equal(e.layer, layer);
            assert_int_equal(
                pread(layers[layer].s.fd, got, SECTOR, (off_t)(e.host + at - e.offset)), SECTOR);
            content(layer, at / SECTOR, right);
            assert_memory_equal(got, right, SECTOR);
        }
    }
    assert_int_equal(more, 0);
    assert_int_equal(next, layers[0].sectors * SECTOR);
}

static void test_random_chains(void **state)
{
    (void)state;
    for (seed = 1; seed < CHAINS << 8;) {
        uint64_t chain = seed;
        size_t count = 2 + random_below(LAYERS - 1);

        make_chain(count);
        check_bytes(count);
        for (unsigned want = 0; want < 4; want++)
            check_extents(count, want);
        assert_string_equal(image_problems(layers[0].s.img), "");
        seed = chain + (1 << 8);
    }
}

/* Two VHDs of these sizes: the child has no data, the parent all of it. */
static void make_sizes(uint64_t child, uint64_t parent)
{
    make_dynamic(&layers[0].s, child, 4096, DIFFERENCING);
    put_be(&layers[0].s, DYNAMIC_PARENT_ID, 8, 0x8877665544332211);
    make_fixed(&layers[1].s, parent);
    for (uint64_t i = 0; i < parent; i += SECTOR)
        put_text(&layers[1].s, i, "data");
    assert_int_equal(sample_open(&layers[0].s, &vhd_driver), 0);
    assert_int_equal(sample_open(&layers[1].s, &vhd_driver), 0);
    assert_int_equal(disk_set_backing(&layers[0].s.disk, &layers[1].s.disk, NULL), 0);
}

/* A child larger than its parent has zeros past the end of the parent; a smaller one hides the
 * rest. */
static void test_sizes(void **state)
{
    uint8_t bytes[16384];

    (void)state;
    make_sizes(16384, 8192 + 512);
    ASSERT_EXTENTS(&layers[0].s, EXTENTS_WANT_JOINED, DATA(8192 + 512, 0), HOLE(8192 - 512));
    assert_int_equal(disk_read(&layers[0].s.disk, 0, bytes, sizeof bytes), 0);
    assert_memory_equal(bytes + 8192, "data", 4);
    assert_memory_equal(bytes + 8192 + 512, "\0\0\0\0", 4);
    make_sizes(4096 + 512, 16384);
    ASSERT_EXTENTS(&layers[0].s, EXTENTS_WANT_JOINED, DATA(4096 + 512, 0));
    assert_int_equal(disk_read(&layers[0].s.disk, 4096, bytes, 1024), 0);
    assert_memory_equal(bytes, "data", 4);
    assert_memory_equal(bytes + 512, "\0\0\0\0", 4);
}

/* any-parent accepts a parent of another format. */
static void test_other_formats_below(void **state)
{
    const struct open_options any = {.any_parent = true};
    uint8_t bytes[8];

    (void)state;
    make_sizes(16384, 16384);
    assert_int_equal(sample_open(&layers[1].s, &raw_driver), 0);
    assert_int_equal(disk_set_backing(&layers[0].s.disk, &layers[1].s.disk, NULL), -EUCLEAN);
    assert_int_equal(disk_read(&layers[0].s.disk, 512, bytes, 4), -EUCLEAN);
    assert_int_equal(disk_set_backing(&layers[0].s.disk, &layers[1].s.disk, &any), 0);
    assert_int_equal(disk_read(&layers[0].s.disk, 512, bytes, 4), 0);
    assert_memory_equal(bytes, "data", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_chains),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_other_formats_below),
    };

    return cmocka_run_group_tests(tests, begin, end_all);
}
