// SPDX-License-Identifier: Apache-2.0
/*
 * Makes qcow images, version 1. Big endian. As qemu lays them out: the header, the backing file's
 * name, the L1 table, then what the arguments ask for, each cluster behind its L2 table.
 *
 *     size=1M  cluster_bits=12  l2_bits=9  data=N (bytes written of each data cluster; default:
 * all)  swapped=1 (in a range, neighbouring clusters change places)  backing=NAME
 * backing_length=N (the name filled up with x)
 *     l2=INDEX[-LAST]:data | compressed | same (the entry before) | ENTRY
 *     l1=INDEX:ENTRY  header.FIELD=value
 */
#include "maker.h"

#include <stdlib.h>
#include <string.h>

#include "make-stream.h"

enum { HEADER_BYTES = 48, SECTOR = 512, NAME_MAX_BYTES = 4096 };

#define ENTRY_COMPRESSED (1ull << 63)

static const struct maker_field header_fields[] = {
    {"magic", 0, 4, '>'},
    {"version", 4, 4, '>'},
    {"backing_file_offset", 8, 8, '>'},
    {"backing_file_size", 16, 4, '>'},
    {"mtime", 20, 4, '>'},
    {"size", 24, 8, '>'},
    {"cluster_bits", 32, 1, '>'},
    {"l2_bits", 33, 1, '>'},
    {"padding", 34, 2, '>'},
    {"crypt_method", 36, 4, '>'},
    {"l1_table_offset", 40, 8, '>'},
    {0},
};

struct qcow {
    struct maker *m;
    uint64_t size, cluster_bits, cluster_size, l2_bits;
    uint64_t l1_offset, l1_size;
    uint64_t *tables; /* where the L2 tables are; 0: none yet */
    uint64_t end;     /* of what is laid out so far */
    uint64_t last;    /* the entry before */
};

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static void write64(struct qcow *q, uint64_t offset, uint64_t value)
{
    uint8_t bytes[8];

    maker_put(bytes, 0, 8, '>', value);
    maker_write(q->m, offset, bytes, sizeof bytes);
}

static uint64_t allocate(struct qcow *q, uint64_t length, uint64_t align)
{
    uint64_t offset = round_up(q->end, align);

    q->end = offset + length;
    return offset;
}

/* The L2 table for a guest cluster. */
static uint64_t l2_table(struct qcow *q, uint64_t cluster)
{
    uint64_t index = cluster >> q->l2_bits;

    if (index >= q->l1_size)
        maker_die("cluster %llu is not on the disk", (unsigned long long)cluster);
    if (!q->tables[index]) {
        q->tables[index] = allocate(q, 8ull << q->l2_bits, q->cluster_size);
        write64(q, q->l1_offset + 8 * index, q->tables[index]);
    }
    return q->tables[index];
}

/* Gives a guest cluster its place and writes its bytes. */
static uint64_t data_cluster(struct qcow *q, uint64_t cluster)
{
    uint64_t left = maker_number(q->m, "data", q->cluster_size);
    uint64_t offset = allocate(q, q->cluster_size, q->cluster_size);
    uint8_t piece[4096];

    memset(piece, (int)(0x41 + cluster % 26), sizeof piece);
    for (uint64_t at = offset; left;) {
        size_t n = left < sizeof piece ? (size_t)left : sizeof piece;

        maker_write(q->m, at, piece, n);
        at += n;
        left -= n;
    }
    return offset;
}

static uint64_t compressed_cluster(struct qcow *q, uint64_t cluster)
{
    uint8_t *stream = malloc(STREAM_BYTES(q->cluster_size));
    uint64_t offset;
    size_t length;

    if (!stream)
        maker_die("out of memory");
    length = stream_deflate(stream, q->cluster_size, (uint8_t)(0x41 + cluster % 26));
    offset = allocate(q, length, SECTOR);
    maker_write(q->m, offset, stream, length);
    free(stream);
    return ENTRY_COMPRESSED | (uint64_t)length << (63 - q->cluster_bits) | offset;
}

static uint64_t l2_entry(struct qcow *q, uint64_t cluster, const char *what)
{
    if (strcmp(what, "data") == 0)
        return data_cluster(q, cluster);
    if (strcmp(what, "compressed") == 0)
        return compressed_cluster(q, cluster);
    if (strcmp(what, "same") == 0)
        return q->last;
    return maker_parse(what, &what);
}

static void write_l2(struct qcow *q, const char *argument, bool swapped)
{
    const char *p = argument;
    uint64_t first = maker_parse(p, &p), last = first;

    if (*p == '-')
        last = maker_parse(p + 1, &p);
    if (*p != ':')
        maker_die("l2=%s: INDEX[-LAST]:WHAT is wanted", argument);
    for (uint64_t n = first; n <= last; n++) {
        uint64_t i = swapped && (n | 1) <= last ? n ^ 1 : n;
        uint64_t at = l2_table(q, i) + 8 * (i & ((1ull << q->l2_bits) - 1));

        q->last = l2_entry(q, i, p + 1);
        write64(q, at, q->last);
    }
}

static void write_tables(struct qcow *q)
{
    bool swapped = maker_number(q->m, "swapped", 0);
    const char *argument;
    int position = 0;

    while ((argument = maker_each(q->m, "l2", &position)))
        write_l2(q, argument, swapped);
    position = 0;
    while ((argument = maker_each(q->m, "l1", &position))) {
        uint64_t index = maker_parse(argument, &argument);

        if (*argument != ':')
            maker_die("l1: INDEX:ENTRY is wanted");
        write64(q, q->l1_offset + 8 * index, maker_parse(argument + 1, &argument));
    }
}

/* The backing file's name behind the header; returns its length. */
static uint64_t write_backing(struct qcow *q)
{
    const char *name = maker_string(q->m, "backing", "");
    uint64_t length = maker_number(q->m, "backing_length", strlen(name));
    char bytes[NAME_MAX_BYTES];

    if (length > sizeof bytes || strlen(name) > length)
        maker_die("backing_length=%llu cannot be laid out", (unsigned long long)length);
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, name, strlen(name));
    maker_write(q->m, q->end, bytes, (size_t)length);
    q->end += length;
    return length;
}

static void write_header(struct qcow *q, uint64_t backing_length)
{
    uint8_t header[HEADER_BYTES] = "QFI\xfb";

    maker_put(header, 4, 4, '>', 1);
    maker_put(header, 8, 8, '>', backing_length ? HEADER_BYTES : 0);
    maker_put(header, 16, 4, '>', backing_length);
    maker_put(header, 24, 8, '>', q->size);
    maker_put(header, 32, 1, '>', q->cluster_bits);
    maker_put(header, 33, 1, '>', q->l2_bits);
    maker_put(header, 40, 8, '>', q->l1_offset);
    maker_fields(q->m, "header", header_fields, header, NULL);
    maker_write(q->m, 0, header, sizeof header);
}

void make_qcow(struct maker *m)
{
    struct qcow q = {.m = m, .end = HEADER_BYTES};
    uint64_t backing_length;

    q.size = maker_number(m, "size", 1 << 20);
    q.cluster_bits = maker_number(m, "cluster_bits", 12);
    q.l2_bits = maker_number(m, "l2_bits", 9);
    if (q.cluster_bits < 9 || q.cluster_bits > 20 || q.l2_bits > 20)
        maker_die("give header.cluster_bits, header.l2_bits: these cannot be laid out");
    q.cluster_size = 1ull << q.cluster_bits;
    backing_length = write_backing(&q);
    q.l1_size = round_up(q.size, q.cluster_size << q.l2_bits) / (q.cluster_size << q.l2_bits);
    q.l1_offset = allocate(&q, 8 * q.l1_size, 8);
    q.tables = calloc((size_t)q.l1_size + 1, sizeof *q.tables);
    if (!q.tables)
        maker_die("out of memory");
    write_tables(&q);
    write_header(&q, backing_length);
    maker_extend(m, round_up(q.end, SECTOR));
    free(q.tables);
}
