// SPDX-License-Identifier: Apache-2.0
/*
 * Makes qcow2 images (QEMU's docs/interop/qcow2.txt). Big endian. Clusters are handed out in order:
 * header, refcount table, L1 table, then what the arguments ask for, each with its L2 table before
 * it; the refcount blocks come last.
 *
 *     version=3  size=1M  cluster_bits=16  refcount_order=4  refcounts=none (all left 0)
 * header_length=112 extended_l2=1  compression_type=1  data=N (bytes written of each data cluster;
 * default: all) backing=NAME  backing_length=N (the name filled up with x)  backing_format=NAME
 * data_file=NAME  data_file_raw=1 extension=TYPE:LENGTH[:HEX]  bitmap=NAME:GRANULARITY_BITS:FLAGS
 * snapshot=ID:NAME (of an empty disk) l2=INDEX[-LAST]:data[:BITMAP] | zero | zero-alloc |
 * compressed[:BYTES_INTO_THE_CLUSTER] | copied-only | same (host cluster as the entry before) |
 * ENTRY[:BITMAP] l1=INDEX:ENTRY header.FIELD=value  bitmaps.FIELD=value
 * bitmap_entry.FIELD=value (in each entry of the directory)
 *
 * In NAMEs %1b is the byte 0x1b. BITMAP is that of extended L2 entries.
 */
#include "make-qcow2.h"

#include <stdlib.h>
#include <string.h>

#include "make-stream.h"

enum { V2_HEADER_BYTES = 72 };

#define ENTRY_COPIED     (1ull << 63)
#define ENTRY_COMPRESSED (1ull << 62)
#define ENTRY_ZERO       1ull
#define BITMAP_ALL_DATA  0x00000000ffffffffull
#define BITMAP_ALL_ZERO  0xffffffff00000000ull

static void write64(struct qcow2 *q, uint64_t offset, uint64_t value)
{
    uint8_t bytes[8];

    maker_put(bytes, 0, 8, '>', value);
    maker_write(q->m, offset, bytes, sizeof bytes);
}

uint64_t qcow2_allocate(struct qcow2 *q, uint64_t count)
{
    uint64_t first = q->clusters;

    q->clusters += count;
    q->refcounts = realloc(q->refcounts, (size_t)(q->clusters + 1) * sizeof *q->refcounts);
    if (!q->refcounts)
        maker_die("out of memory");
    for (uint64_t i = first; i < q->clusters; i++)
        q->refcounts[i] = 1;
    return first * q->cluster_size;
}

/* The L2 table for a guest cluster. */
static uint64_t l2_table(struct qcow2 *q, uint64_t cluster)
{
    uint64_t index = cluster / q->entries;

    for (unsigned i = 0; i < q->tables_count; i++)
        if (q->tables[i].index == index)
            return q->tables[i].offset;
    if (q->tables_count == QCOW2_TABLES_MAX)
        maker_die("too many L2 tables");
    q->tables[q->tables_count] = (struct qcow2_table){index, qcow2_allocate(q, 1)};
    write64(q, q->l1_offset + 8 * index, q->tables[q->tables_count].offset | ENTRY_COPIED);
    return q->tables[q->tables_count++].offset;
}

/* Gives a guest cluster a host cluster and writes its bytes. */
static uint64_t data_cluster(struct qcow2 *q, uint64_t cluster)
{
    uint64_t left = maker_number(q->m, "data", q->cluster_size), offset;
    uint8_t piece[4096];

    if (q->data_file)
        return cluster * q->cluster_size;
    offset = q->last_host = qcow2_allocate(q, 1);
    memset(piece, (int)(0x41 + cluster % 26), sizeof piece);
    for (uint64_t at = offset; left;) {
        size_t n = left < sizeof piece ? (size_t)left : sizeof piece;

        maker_write(q->m, at, piece, n);
        at += n;
        left -= n;
    }
    return offset;
}

/* The L2 entry of a compressed cluster that begins skip bytes into a host cluster of its own. */
static uint64_t compressed_cluster(struct qcow2 *q, uint64_t cluster, uint64_t skip)
{
    uint8_t *stream = malloc(STREAM_BYTES(q->cluster_size));
    uint8_t byte = (uint8_t)(0x41 + cluster % 26);
    uint64_t offset = qcow2_allocate(q, 1) + skip, sectors;
    unsigned shift = 0;
    size_t length;

    if (!stream)
        maker_die("out of memory");
    while (1ull << shift < q->cluster_size)
        shift++;
    shift = 62 - (shift - 8);
    length = q->compression_type ? stream_zstd(stream, q->cluster_size, byte)
                                 : stream_deflate(stream, q->cluster_size, byte);
    if (skip + length > q->cluster_size)
        maker_die("the compressed cluster does not fit into one");
    maker_write(q->m, offset, stream, length);
    free(stream);
    sectors = (offset + length - 1) / 512 - offset / 512;
    return ENTRY_COMPRESSED | sectors << shift | offset;
}

/* Whether text is WORD, or WORD:value: then *value is set. */
static bool is_word(const char *text, const char *word, uint64_t *value)
{
    size_t n = strlen(word);
    const char *end;

    if (strncmp(text, word, n) != 0 || (text[n] && text[n] != ':'))
        return false;
    if (text[n])
        *value = maker_parse(text + n + 1, &end);
    return true;
}

/* One L2 entry as described by what; *bitmap is its second half in an extended table. */
static uint64_t l2_entry(struct qcow2 *q, uint64_t cluster, const char *what, uint64_t *bitmap)
{
    uint64_t number = 0;

    *bitmap = BITMAP_ALL_DATA;
    if (is_word(what, "data", bitmap))
        return data_cluster(q, cluster) | ENTRY_COPIED;
    if (is_word(what, "same", bitmap)) {
        write64(q, q->last_at, q->last_host); /* it is not the only one any more */
        q->refcounts[q->last_host / q->cluster_size]++;
        return q->last_host;
    }
    *bitmap = BITMAP_ALL_ZERO;
    if (!q->extended_l2)
        number = ENTRY_ZERO;
    if (is_word(what, "zero", bitmap))
        return number;
    if (is_word(what, "zero-alloc", bitmap))
        return data_cluster(q, cluster) | ENTRY_COPIED | number;
    *bitmap = number = 0;
    if (is_word(what, "compressed", &number))
        return compressed_cluster(q, cluster, number);
    if (is_word(what, "copied-only", &number))
        return ENTRY_COPIED;
    number = maker_parse(what, &what);
    if (*what == ':')
        *bitmap = maker_parse(what + 1, &what);
    return number;
}

static void write_l2(struct qcow2 *q, const char *argument)
{
    const char *p = argument;
    uint64_t first = maker_parse(p, &p), last = first;

    if (*p == '-')
        last = maker_parse(p + 1, &p);
    if (*p != ':')
        maker_die("l2=%s: INDEX[-LAST]:WHAT is wanted", argument);
    for (uint64_t i = first; i <= last; i++) {
        uint64_t at = l2_table(q, i) + i % q->entries * q->entry_bytes, bitmap;

        write64(q, at, l2_entry(q, i, p + 1, &bitmap));
        q->last_at = at;
        if (q->extended_l2)
            write64(q, at + 8, bitmap);
    }
}

static void write_tables(struct qcow2 *q)
{
    const char *argument;
    int position = 0;

    while ((argument = maker_each(q->m, "l2", &position)))
        write_l2(q, argument);
    position = 0;
    while ((argument = maker_each(q->m, "l1", &position))) {
        uint64_t index = maker_parse(argument, &argument);

        if (*argument != ':')
            maker_die("l1: INDEX:ENTRY is wanted");
        write64(q, q->l1_offset + 8 * index, maker_parse(argument + 1, &argument));
    }
}

/* Puts a refcount into its block: entries of less than a byte fill it from the least significant
 * bit. */
static void put_refcount(uint8_t *block, uint64_t index, uint64_t bits, uint32_t value)
{
    if (bits >= 8)
        maker_put(block, (uint32_t)(index * bits / 8), (uint8_t)(bits / 8), '>', value);
    else
        block[index * bits / 8] |= (uint8_t)(value << index * bits % 8);
}

/* The refcount blocks, which count themselves, after everything else. */
static void write_refcounts(struct qcow2 *q)
{
    uint64_t bits = 1ull << q->refcount_order, per_block = q->cluster_size * 8 / bits;
    uint64_t used = q->clusters, blocks = 0;
    uint8_t *block = malloc((size_t)q->cluster_size);

    if (!block)
        maker_die("out of memory");
    while (qcow2_units(used + blocks, per_block) > blocks)
        blocks++;
    if (blocks > q->cluster_size / 8)
        maker_die("the refcount table needs more than one cluster");
    qcow2_allocate(q, blocks);
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t first = i * per_block;

        memset(block, 0, (size_t)q->cluster_size);
        for (uint64_t j = first; j < q->clusters && j - first < per_block; j++)
            put_refcount(block, j - first, bits, q->refcounts[j]);
        maker_write(q->m, (used + i) * q->cluster_size, block, (size_t)q->cluster_size);
        write64(q, q->refcount_table + 8 * i, (used + i) * q->cluster_size);
    }
    free(block);
}

static void read_arguments(struct qcow2 *q)
{
    uint64_t cluster_bits = maker_number(q->m, "cluster_bits", 16);

    q->version = maker_number(q->m, "version", 3);
    q->size = maker_number(q->m, "size", 1 << 20);
    if (cluster_bits < 9 || cluster_bits > 30)
        maker_die("cluster_bits=%u cannot be laid out: give header.cluster_bits",
                  (unsigned)cluster_bits);
    q->cluster_size = 1ull << cluster_bits;
    q->refcount_order = maker_number(q->m, "refcount_order", 4);
    if (q->refcount_order > 6)
        maker_die("refcount_order above 6 cannot be laid out: give header.refcount_order");
    q->header_length = maker_number(q->m, "header_length", q->version < 3 ? V2_HEADER_BYTES : 112);
    if (q->header_length < V2_HEADER_BYTES || q->header_length > QCOW2_HEADER_ROOM / 2)
        maker_die("header_length cannot be laid out: give header.header_length");
    q->compression_type = maker_number(q->m, "compression_type", 0);
    q->extended_l2 = maker_number(q->m, "extended_l2", 0);
    q->data_file = maker_string(q->m, "data_file", NULL);
    q->entry_bytes = q->extended_l2 ? 16 : 8;
    q->entries = q->cluster_size / q->entry_bytes;
}

void make_qcow2(struct maker *m)
{
    static struct qcow2 q;

    q.m = m;
    read_arguments(&q);
    qcow2_allocate(&q, 1); /* the header */
    q.refcount_table = qcow2_allocate(&q, 1);
    q.l1_size = qcow2_units(qcow2_units(q.size, q.cluster_size), q.entries);
    q.l1_offset = qcow2_allocate(&q, qcow2_units(q.l1_size * 8, q.cluster_size));
    write_tables(&q);
    qcow2_write_header(&q);
    if (strcmp(maker_string(m, "refcounts", "all"), "none") != 0)
        write_refcounts(&q);
    maker_extend(m, q.clusters * q.cluster_size);
    free(q.refcounts);
}
