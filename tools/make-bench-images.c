// SPDX-License-Identifier: Apache-2.0
/*
 * make-bench-images: metadata-heavy disk images for tools/bench. Tables are written in bulk, guest
 * data never: data areas are holes, so that terabytes take a few hundred MiB. Layouts follow
 * docs/interop/qcow2.txt, the VHD specification 1.0, the VMDK technical note 5.0 and the VHDX
 * specification 1.00.
 *
 *     make-bench-images DIR [NAME...]
 *
 * Data blocks are exchanged with their neighbours where an image shall not read as one long run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench-images.h"
#include "formats/checked.h"

/* A VHD checksum: the ones' complement of the sum of all bytes, those of the checksum taken as
 * zero. */
static void vhd_checksum(uint8_t *header, size_t length, size_t field)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += header[i];
    put_be32(header + field, ~sum);
}

static void vhd_footer(uint8_t *footer, uint64_t virtual_size)
{
    memcpy(footer, "conectix", 8);
    put_be32(footer + 8, 2);
    put_be32(footer + 12, 0x10000);
    put_be64(footer + 16, 512);
    memcpy(footer + 28, "win ",
           4); /* a creator whose disks have the size in the footer, not that of the geometry */
    memcpy(footer + 36, "Wi2k", 4);
    put_be64(footer + 40, virtual_size);
    put_be64(footer + 48, virtual_size);
    memcpy(footer + 56, "\xff\xff\x10\xff", 4);
    put_be32(footer + 60, 3); /* dynamic */
    vhd_checksum(footer, 512, 64);
}

/* Copy of the footer, dynamic header, BAT, blocks each behind its sector bitmap, footer. */
static void make_vhd(int fd, const struct bench_image *image)
{
    uint64_t blocks = div_up(image->virtual_size, image->unit);
    uint64_t stride = image->unit + round_up(image->unit / 512 / 8, 512);
    uint64_t next = 1536 + round_up(4 * blocks, 512);
    uint8_t footer[512] = {0}, header[1024] = "cxsparse\xff\xff\xff\xff\xff\xff\xff\xff";
    struct table t = {.fd = fd, .offset = 1536};

    vhd_footer(footer, image->virtual_size);
    write_at(fd, 0, footer, sizeof footer);
    put_be64(header + 16, 1536);
    put_be32(header + 24, 0x10000);
    put_be32(header + 28, (uint32_t)blocks);
    put_be32(header + 32, (uint32_t)image->unit);
    vhd_checksum(header, sizeof header, 36);
    write_at(fd, 512, header, sizeof header);
    for (uint64_t i = 0; i < blocks; i++) {
        bool data = has_data(image, i);

        put_be32(table_next(&t, 4), data ? (uint32_t)(next / 512) : UINT32_MAX);
        next += data ? stride : 0;
    }
    table_flush(&t);
    write_at(fd, next, footer, sizeof footer);
}

struct vmdk_layout {
    uint64_t tables, grain_sectors;
    uint64_t directory_sectors, grains_at_sectors; /* how long a directory is, where grains begin */
};

enum { GRAIN_TABLE_ENTRIES = 512, GRAIN_TABLE_SECTORS = 4, DESCRIPTOR_SECTORS = 20 };

static void write_grain_tables(int fd, uint64_t sector, const struct vmdk_layout *layout,
                               const struct bench_image *image)
{
    uint64_t grains = image->virtual_size / image->unit;
    struct table t = {.fd = fd, .offset = sector * 512};

    for (uint64_t i = 0; i < layout->tables; i++) {
        uint64_t table = sector + layout->directory_sectors + GRAIN_TABLE_SECTORS * i;

        put_le32(table_next(&t, 4), (uint32_t)table);
    }
    table_flush(&t);
    t.offset = (sector + layout->directory_sectors) * 512;
    for (uint64_t i = 0; i < grains; i++) {
        uint64_t at = layout->grains_at_sectors + data_unit(image, i) * layout->grain_sectors;

        put_le32(table_next(&t, 4), has_data(image, i) ? (uint32_t)at : 0);
    }
    table_flush(&t);
}

static void write_vmdk_descriptor(int fd, const struct bench_image *image)
{
    char text[DESCRIPTOR_SECTORS * 512] = {0};
    int length = snprintf(text, sizeof text,
                          "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
                          "createType=\"monolithicSparse\"\n\nRW %llu SPARSE \"%s\"\n\n"
                          "ddb.virtualHWVersion = \"4\"\n",
                          (unsigned long long)(image->virtual_size / 512), image->name);

    write_at(fd, 512, text, (size_t)length);
}

/* Header, descriptor, redundant directory and tables, directory and tables, grains. */
static void make_vmdk(int fd, const struct bench_image *image)
{
    uint64_t grains = image->virtual_size / image->unit;
    struct vmdk_layout layout = {div_up(grains, GRAIN_TABLE_ENTRIES), image->unit / 512, 0, 0};
    uint64_t redundant = 1 + DESCRIPTOR_SECTORS, directory;
    uint8_t header[512] = "KDMV";

    layout.directory_sectors = div_up(layout.tables * 4, 512);
    directory = redundant + layout.directory_sectors + GRAIN_TABLE_SECTORS * layout.tables;
    layout.grains_at_sectors = round_up(2 * directory - redundant,
                                        layout.grain_sectors < 128 ? 128 : layout.grain_sectors);
    put_le32(header + 4, 1);
    put_le32(header + 8, 3); /* newline test valid, redundant tables present */
    put_le64(header + 12, image->virtual_size / 512);
    put_le64(header + 20, layout.grain_sectors);
    put_le64(header + 28, 1);
    put_le64(header + 36, DESCRIPTOR_SECTORS);
    put_le32(header + 44, GRAIN_TABLE_ENTRIES);
    put_le64(header + 48, redundant);
    put_le64(header + 56, directory);
    put_le64(header + 64, layout.grains_at_sectors);
    memcpy(header + 73, "\n \r\n", 4);
    write_at(fd, 0, header, sizeof header);
    write_vmdk_descriptor(fd, image);
    write_grain_tables(fd, redundant, &layout, image);
    write_grain_tables(fd, directory, &layout, image);
    set_size(fd, (layout.grains_at_sectors + grains * layout.grain_sectors) * 512);
}

/* CRC-32C, as VHDX has it, a bit at a time: it covers some 200 KiB. */
static uint32_t crc32c(const uint8_t *bytes, size_t length)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

enum {
    VHDX_HEADER = 64 << 10, /* two of them, as far apart */
    VHDX_HEADER_BYTES = 4 << 10,
    VHDX_REGIONS = 192 << 10, /* two of them, as far apart */
    VHDX_REGIONS_BYTES = 64 << 10,
    VHDX_LOG = 1 << 20,
    VHDX_METADATA = 2 << 20,
    VHDX_ITEMS = 64 << 10, /* in the metadata region */
    VHDX_BAT = 3 << 20,
    VHDX_FULLY_PRESENT = 6,
};

static void write_vhdx_headers(int fd)
{
    static uint8_t header[VHDX_HEADER_BYTES] = "head";

    write_at(fd, 0, "vhdxfile", 8);
    for (uint32_t i = 0; i < 2; i++) {
        put_le64(header + 8, i + 1); /* sequence number: the second is active */
        memset(header + 16, 0x11, 32);
        memcpy(header + 66, "\1", 1); /* version; the log GUID stays zero: the log is empty */
        put_le32(header + 68, MIB);
        put_le64(header + 72, VHDX_LOG);
        put_le32(header + 4, 0);
        put_le32(header + 4, crc32c(header, sizeof header));
        write_at(fd, VHDX_HEADER * (i + 1), header, sizeof header);
    }
}

static void write_vhdx_regions(int fd, uint64_t bat_bytes)
{
    static const uint8_t guids[2][16] = {
        "\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08", /* BAT */
        "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e", /* metadata */
    };
    static uint8_t regions[VHDX_REGIONS_BYTES] = "regi";

    put_le32(regions + 8, 2);
    for (size_t i = 0; i < 2; i++) {
        uint8_t *entry = regions + 16 + 32 * i;

        memcpy(entry, guids[i], 16);
        put_le64(entry + 16, i ? VHDX_METADATA : VHDX_BAT);
        put_le32(entry + 24, i ? MIB : bat_bytes);
        put_le32(entry + 28, 1); /* required */
    }
    put_le32(regions + 4, crc32c(regions, sizeof regions));
    write_at(fd, VHDX_REGIONS, regions, sizeof regions);
    write_at(fd, VHDX_REGIONS + VHDX_REGIONS_BYTES, regions, sizeof regions);
}

static void write_vhdx_metadata(int fd, const struct bench_image *image)
{
    static const struct {
        uint8_t guid[16];
        uint32_t length, flags; /* flags: 4 required, 2 virtual disk */
    } items[] = {
        {"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b", 8, 4},
        {"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8", 8, 6},
        {"\xab\x12\xca\xbe\xe6\xb2\x23\x45\x93\xef\xc3\x09\xe0\x00\xc7\x46", 16, 6},
        {"\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f", 4, 6},
        {"\xc7\x48\xa3\xcd\x5d\x44\x71\x44\x9c\xc9\xe9\x88\x52\x51\xc5\x56", 4, 6},
    };
    uint32_t offset = VHDX_ITEMS;
    uint8_t table[512] = "metadata", values[40] = {0};

    table[10] = sizeof items / sizeof *items;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        uint8_t *entry = table + 32 * (i + 1);

        memcpy(entry, items[i].guid, 16);
        put_le32(entry + 16, offset);
        put_le32(entry + 20, items[i].length);
        put_le32(entry + 24, items[i].flags);
        offset += items[i].length;
    }
    put_le32(values, (uint32_t)image->unit);
    put_le64(values + 8, image->virtual_size);
    memset(values + 16, 0x22, 16); /* the disk's identifier */
    put_le32(values + 32, 512);
    put_le32(values + 36, 4096);
    write_at(fd, VHDX_METADATA, table, sizeof table);
    write_at(fd, VHDX_METADATA + VHDX_ITEMS, values, sizeof values);
}

/* A bitmap entry (not present) follows each chunk of 2^23 sectors in the BAT. */
static void make_vhdx(int fd, const struct bench_image *image)
{
    uint64_t blocks = div_up(image->virtual_size, image->unit);
    uint64_t chunk = (UINT64_C(512) << 23) / image->unit;
    uint64_t bat_bytes = round_up((blocks + (blocks - 1) / chunk) * 8, MIB);
    uint64_t next = VHDX_BAT + bat_bytes;
    struct table t = {.fd = fd, .offset = VHDX_BAT};

    write_vhdx_headers(fd);
    write_vhdx_regions(fd, bat_bytes);
    write_vhdx_metadata(fd, image);
    for (uint64_t i = 0; i < blocks; i++) {
        bool data = has_data(image, i);

        if (i && i % chunk == 0)
            put_le64(table_next(&t, 8), 0);
        put_le64(table_next(&t, 8), data ? next | VHDX_FULLY_PRESENT : 0);
        next += data ? image->unit : 0;
    }
    table_flush(&t);
    set_size(fd, next);
}

/* Data in the first half of each unit: the one image whose data is written. */
static void make_raw(int fd, const struct bench_image *image)
{
    uint8_t data[4 * KIB];

    memset(data, 'x', sizeof data);
    for (uint64_t at = 0; at < image->virtual_size; at += image->unit)
        write_at(fd, at, data, image->unit / 2);
    set_size(fd, image->virtual_size);
}

/* Of a chain of 16: layer 0 is on top. */
#define LAYER(n)                                                                                   \
    {                                                                                              \
        "chain16-" #n ".qcow2", make_qcow2_layer, 128 * GIB, 64 * KIB, n, 16, false, false         \
    }

static const struct bench_image images[] = {
    {"q64g4k.qcow2", make_qcow2, 64 * GIB, 4 * KIB, 0, 1, false, false},
    {"q64g4k-alt.qcow2", make_qcow2, 64 * GIB, 4 * KIB, 1, 2, false, false},
    {"q64g4k-seq.qcow2", make_qcow2, 64 * GIB, 4 * KIB, 0, 1, true, false},
    {"q1t64k.qcow2", make_qcow2, TIB, 64 * KIB, 0, 1, false, false},
    {"q1t64k-empty.qcow2", make_qcow2, TIB, 64 * KIB, 1, 1, false, false},
    {"q8g4k-prealloc.qcow2", make_qcow2, 8 * GIB, 4 * KIB, 0, 1, false, true},
    LAYER(0),
    LAYER(1),
    LAYER(2),
    LAYER(3),
    LAYER(4),
    LAYER(5),
    LAYER(6),
    LAYER(7),
    LAYER(8),
    LAYER(9),
    LAYER(10),
    LAYER(11),
    LAYER(12),
    LAYER(13),
    LAYER(14),
    LAYER(15),
    {"vhd2t-alt.vhd", make_vhd, 2040 * GIB, 2 * MIB, 1, 2, true, false},
    {"vhd-small.vhd", make_vhd, 512 * GIB, 64 * KIB, 1, 3, true, false},
    {"v1t64k.vmdk", make_vmdk, TIB, 64 * KIB, 0, 1, false, false},
    {"v64g4k.vmdk", make_vmdk, 64 * GIB, 4 * KIB, 1, 2, false, false},
    /* One block of eight: the file then still fits a file system that ends at 16 TiB. */
    {"vhdx64t.vhdx", make_vhdx, 64 * TIB, MIB, 7, 8, true, false},
    {"vdi16t-alt.vdi", make_vdi, 16 * TIB, MIB, 1, 2, true, false},
    {"parallels512g64k.hds", make_parallels, 512 * GIB, 64 * KIB, 1, 3, true, false},
    {"qed1t64k.qed", make_qed, TIB, 64 * KIB, 0, 1, false, false},
    {"qcow64g4k.qcow", make_qcow, 64 * GIB, 4 * KIB, 0, 1, false, false},
    {"raw100k.raw", make_raw, 100000 * 8 * KIB, 8 * KIB, 0, 1, true, false},
};

/* Makes the image under another name first: one that stands there is complete. */
static void make_image(int directory, const struct bench_image *image)
{
    int fd = openat(directory, "incomplete", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0)
        die("incomplete");
    image->make(fd, image);
    if (close(fd) < 0 || renameat(directory, "incomplete", directory, image->name) < 0)
        die(image->name);
    puts(image->name);
}

/* Whether the image is asked for: by no names at all, by its own, or by that without its suffix. */
static bool is_wanted(const char *image, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        size_t length = strlen(argv[i]);

        if (!strncmp(argv[i], image, length) && (image[length] == '\0' || image[length] == '.'))
            return true;
    }
    return argc == 2;
}

int main(int argc, char **argv)
{
    int directory, made = 0;

    if (argc < 2 || argv[1][0] == '-') {
        fputs("usage: make-bench-images DIR [NAME...]\n", stderr);
        return 2;
    }
    if (mkdir(argv[1], 0777) < 0 && errno != EEXIST)
        die(argv[1]);
    directory = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        die(argv[1]);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        if (is_wanted(images[i].name, argc, argv)) {
            make_image(directory, &images[i]);
            made++;
        }
    if (!made)
        fputs("make-bench-images: no image of that name\n", stderr);
    return made ? 0 : 2;
}
