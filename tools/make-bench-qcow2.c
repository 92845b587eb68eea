// SPDX-License-Identifier: Apache-2.0
/* qcow2 images for the benchmark, alone and as layers of a chain: docs/interop/qcow2.txt, big
 * endian. */
#include <stdio.h>

#include "bench-images.h"
#include "formats/checked.h"

#define QCOW2_COPIED             (UINT64_C(1) << 63)
#define EXTENSION_BACKING_FORMAT 0xe2792aca

enum { HEADER_BYTES = 104 };

/* A table of offsets, each a cluster above the one before. */
static void write_offsets(int fd, uint64_t table, uint64_t count, uint64_t first, uint64_t cluster)
{
    struct table t = {.fd = fd, .offset = table};

    for (uint64_t i = 0; i < count; i++)
        put_be64(table_next(&t, 8), first + i * cluster);
    table_flush(&t);
}

/* Refcount blocks of 16-bit ones for that many clusters, and the table that names them. */
static void write_refcounts(int fd, uint64_t table, uint64_t cluster, uint64_t clusters)
{
    uint64_t blocks = div_up(clusters * 2, cluster);
    struct table t = {.fd = fd, .offset = table + round_up(blocks * 8, cluster)};

    write_offsets(fd, table, blocks, t.offset, cluster);
    for (uint64_t i = 0; i < blocks * cluster / 2; i++)
        memcpy(table_next(&t, 2), "\0\1", 2);
    table_flush(&t);
}

typedef bool has_data_fn(const struct bench_image *image, uint64_t i);

static void write_l2(int fd, uint64_t offset, uint64_t data, const struct bench_image *image,
                     has_data_fn *has)
{
    uint64_t clusters = image->virtual_size / image->unit;
    struct table t = {.fd = fd, .offset = offset};

    for (uint64_t i = 0; i < clusters; i++) {
        uint64_t entry = (data + data_unit(image, i) * image->unit) | QCOW2_COPIED;

        put_be64(table_next(&t, 8), has(image, i) ? entry : 0);
    }
    table_flush(&t);
}

/* Header, L1 table, L2 tables, refcounts, a gap of 1 GiB that has room for any of these, data. */
static void write_image(int fd, const struct bench_image *image, has_data_fn *has)
{
    uint64_t cluster = image->unit;
    uint64_t clusters = image->virtual_size / cluster;
    uint64_t l2_tables = clusters / (cluster / 8);
    uint64_t l1 = cluster;
    uint64_t l2 = l1 + round_up(l2_tables * 8, cluster);
    uint64_t refcounts = l2 + l2_tables * cluster;
    uint64_t data = round_up(refcounts + GIB, cluster);
    uint64_t end_clusters = data / cluster + clusters;
    uint8_t header[HEADER_BYTES] = "QFI\xfb";

    put_be32(header + 4, 3);
    put_be32(header + 20, (unsigned)__builtin_ctzll(cluster));
    put_be64(header + 24, image->virtual_size);
    put_be32(header + 36, (uint32_t)l2_tables);
    put_be64(header + 40, l1);
    put_be64(header + 48, refcounts);
    put_be32(header + 56, (uint32_t)div_up(div_up(end_clusters * 2, cluster) * 8, cluster));
    put_be32(header + 96, 4); /* refcount_order: 16 bits */
    put_be32(header + 100, sizeof header);
    write_at(fd, 0, header, sizeof header);
    write_offsets(fd, l1, l2_tables, l2 | QCOW2_COPIED, cluster);
    write_l2(fd, l2, data, image, has);
    if (image->refcounted)
        write_refcounts(fd, refcounts, cluster, end_clusters);
    set_size(fd, data + image->virtual_size + 8 * cluster);
}

void make_qcow2(int fd, const struct bench_image *image)
{
    write_image(fd, image, has_data);
}

/* Whether a layer has data at cluster i: the lower, the more often. Which is the highest that has
 * some changes every 16 clusters, in no order, and is each of them as often. */
static bool layer_has_data(const struct bench_image *image, uint64_t i)
{
    uint64_t mixed = (i / 16 + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return (mixed >> 40 & 0xffff) % image->of <= image->skip;
}

void make_qcow2_layer(int fd, const struct bench_image *image)
{
    uint8_t head[128] = {0};
    char name[32];
    int length = snprintf(name, sizeof name, "chain%u-%u.qcow2", image->of, image->skip + 1);

    write_image(fd, image, layer_has_data);
    if (image->skip + 1 == image->of)
        return;
    put_be32(head, EXTENSION_BACKING_FORMAT);
    put_be32(head + 4, 5);
    memcpy(head + 8, "qcow2", 5);
    memcpy(head + 24, name, (size_t)length);
    write_at(fd, HEADER_BYTES, head, sizeof head);
    put_be64(head, HEADER_BYTES + 24);
    put_be32(head + 8, (uint32_t)length);
    write_at(fd, 8, head, 12);
}
