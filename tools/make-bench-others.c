// SPDX-License-Identifier: Apache-2.0
/*
 * Metadata-heavy images of formats with one or two plain tables: vdi (VirtualBox), parallels
 * (QEMU, docs/interop/parallels.txt), qed (docs/interop/qed_spec.txt), qcow version 1.
 */
#include "bench-images.h"
#include "formats/checked.h"

enum {
    QED_CLUSTER = 64 << 10,
    QED_TABLE_CLUSTERS = 4,
    QED_TABLE = QED_TABLE_CLUSTERS * QED_CLUSTER,
    QCOW_L2_BITS = 9,
};

/* Header, block map, blocks of 1 MiB. */
void make_vdi(int fd, const struct bench_image *image)
{
    uint64_t blocks = div_up(image->virtual_size, image->unit), allocated = 0;
    uint64_t data = round_up(512 + 4 * blocks, image->unit);
    struct table t = {.fd = fd, .offset = 512};
    uint8_t header[512] = "<<< a disk image >>>\n";

    for (uint64_t i = 0; i < blocks; i++)
        put_le32(table_next(&t, 4), has_data(image, i) ? allocated++ : UINT32_MAX);
    table_flush(&t);
    put_le32(header + 64, 0xbeda107f);
    put_le32(header + 68, 0x10001);
    put_le32(header + 72, 0x180);
    put_le32(header + 76, 1); /* dynamic */
    put_le32(header + 340, 512);
    put_le32(header + 344, data);
    put_le32(header + 360, 512);
    put_le64(header + 368, image->virtual_size);
    put_le32(header + 376, image->unit);
    put_le32(header + 384, blocks);
    put_le32(header + 388, allocated);
    write_at(fd, 0, header, sizeof header);
    set_size(fd, data + allocated * image->unit);
}

/* Header, block allocation table, clusters. */
void make_parallels(int fd, const struct bench_image *image)
{
    uint64_t clusters = div_up(image->virtual_size, image->unit);
    uint64_t first = div_up(64 + 4 * clusters, image->unit), next = first;
    struct table t = {.fd = fd, .offset = 64};
    uint8_t header[64] = "WithouFreSpacExt";

    put_le32(header + 16, 2);
    put_le32(header + 20, 16);
    put_le32(header + 28, image->unit / 512);
    put_le32(header + 32, clusters);
    put_le64(header + 36, image->virtual_size / 512);
    put_le32(header + 48, first * image->unit / 512);
    write_at(fd, 0, header, sizeof header);
    for (uint64_t i = 0; i < clusters; i++)
        put_le32(table_next(&t, 4), has_data(image, i) ? next++ : 0);
    table_flush(&t);
    set_size(fd, next * image->unit);
}

/* The second level: of each unit where its data is. */
static void write_units(int fd, uint64_t table, uint64_t data, char order,
                        const struct bench_image *image)
{
    struct table t = {.fd = fd, .offset = table};

    for (uint64_t i = 0; i < image->virtual_size / image->unit; i++)
        put(table_next(&t, 8), 8, order,
            has_data(image, i) ? data + data_unit(image, i) * image->unit : 0);
    table_flush(&t);
}

/* The first level: tables one behind the other. */
static void write_tables(int fd, uint64_t table, uint64_t tables, uint64_t first, uint64_t bytes,
                         char order)
{
    struct table t = {.fd = fd, .offset = table};

    for (uint64_t i = 0; i < tables; i++)
        put(table_next(&t, 8), 8, order, first + i * bytes);
    table_flush(&t);
}

/* Header, L1 table, L2 tables, clusters. */
void make_qed(int fd, const struct bench_image *image)
{
    uint64_t tables = div_up(image->virtual_size / QED_CLUSTER, QED_TABLE / 8);
    uint64_t l2 = QED_CLUSTER + QED_TABLE, data = l2 + tables * QED_TABLE;
    uint8_t header[64] = "QED";

    put_le32(header + 4, QED_CLUSTER);
    put_le32(header + 8, QED_TABLE_CLUSTERS);
    put_le32(header + 12, 1);
    put_le64(header + 40, QED_CLUSTER);
    put_le64(header + 48, image->virtual_size);
    write_at(fd, 0, header, sizeof header);
    write_tables(fd, QED_CLUSTER, tables, l2, QED_TABLE, '<');
    write_units(fd, l2, data, '<', image);
    set_size(fd, data + image->virtual_size);
}

/* Header, L1 table, L2 tables, clusters. */
void make_qcow(int fd, const struct bench_image *image)
{
    uint64_t table = (UINT64_C(1) << QCOW_L2_BITS) * 8;
    uint64_t tables = div_up(image->virtual_size / image->unit, table / 8);
    uint64_t l1 = image->unit, l2 = round_up(l1 + tables * 8, image->unit);
    uint64_t data = round_up(l2 + tables * table, image->unit);
    uint8_t header[48] = "QFI\xfb";

    put_be32(header + 4, 1);
    put_be64(header + 24, image->virtual_size);
    header[32] = (uint8_t)__builtin_ctzll(image->unit);
    header[33] = QCOW_L2_BITS;
    put_be64(header + 40, l1);
    write_at(fd, 0, header, sizeof header);
    write_tables(fd, l1, tables, l2, table, '>');
    write_units(fd, l2, data, '>', image);
    set_size(fd, data + image->virtual_size);
}
