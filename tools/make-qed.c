// SPDX-License-Identifier: Apache-2.0
/*
 * Makes QED images (QEMU's docs/interop/qed_spec.txt). Little endian. As qemu lays them out: the
 * header with the backing file's name, the L1 table, then what the arguments ask for, each cluster
 * behind its L2 table.
 *
 *     size=1M  cluster_size=4K  table_size=2 (clusters)  header_size=1 (clusters)
 * data=N (bytes written of each data cluster; default: all)  swapped=1 (in a range, neighbouring
 * clusters change places)  backing=NAME  backing_length=N (the name filled up with x)
 *     l2=INDEX[-LAST]:data | zero | same (the entry before) | ENTRY
 *     l1=INDEX:ENTRY  header.FIELD=value
 */
#include "maker.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 64, NAME_MAX_BYTES = 4096, BACKING_FILE = 1 };

static const struct maker_field header_fields[] = {
    {"magic", 0, 4, '<'},
    {"cluster_size", 4, 4, '<'},
    {"table_size", 8, 4, '<'},
    {"header_size", 12, 4, '<'},
    {"features", 16, 8, '<'},
    {"compat_features", 24, 8, '<'},
    {"autoclear_features", 32, 8, '<'},
    {"l1_table_offset", 40, 8, '<'},
    {"image_size", 48, 8, '<'},
    {"backing_filename_offset", 56, 4, '<'},
    {"backing_filename_size", 60, 4, '<'},
    {0},
};

struct qed {
    struct maker *m;
    uint64_t size, cluster_size, table_size, header_size;
    uint64_t entries; /* of a table */
    uint64_t l1_offset;
    uint64_t *tables; /* where the L2 tables are; 0: none yet */
    uint64_t end;     /* of what is laid out so far */
    uint64_t last;    /* the entry before */
};

static void write64(struct qed *q, uint64_t offset, uint64_t value)
{
    uint8_t bytes[8];

    maker_put(bytes, 0, 8, '<', value);
    maker_write(q->m, offset, bytes, sizeof bytes);
}

static uint64_t allocate(struct qed *q, uint64_t clusters)
{
    uint64_t offset = q->end;

    q->end += clusters * q->cluster_size;
    return offset;
}

/* The L2 table for a guest cluster. */
static uint64_t l2_table(struct qed *q, uint64_t cluster)
{
    uint64_t index = cluster / q->entries;

    if (index >= q->entries)
        maker_die("cluster %llu is not on the disk", (unsigned long long)cluster);
    if (!q->tables[index]) {
        q->tables[index] = allocate(q, q->table_size);
        write64(q, q->l1_offset + 8 * index, q->tables[index]);
    }
    return q->tables[index];
}

/* Gives a guest cluster its place and writes its bytes. */
static uint64_t data_cluster(struct qed *q, uint64_t cluster)
{
    uint64_t left = maker_number(q->m, "data", q->cluster_size);
    uint64_t offset = allocate(q, 1);
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

static uint64_t l2_entry(struct qed *q, uint64_t cluster, const char *what)
{
    if (strcmp(what, "data") == 0)
        return data_cluster(q, cluster);
    if (strcmp(what, "zero") == 0)
        return 1;
    if (strcmp(what, "same") == 0)
        return q->last;
    return maker_parse(what, &what);
}

static void write_l2(struct qed *q, const char *argument, bool swapped)
{
    const char *p = argument;
    uint64_t first = maker_parse(p, &p), last = first;

    if (*p == '-')
        last = maker_parse(p + 1, &p);
    if (*p != ':')
        maker_die("l2=%s: INDEX[-LAST]:WHAT is wanted", argument);
    for (uint64_t n = first; n <= last; n++) {
        uint64_t i = swapped && (n | 1) <= last ? n ^ 1 : n;
        uint64_t at = l2_table(q, i) + 8 * (i % q->entries);

        q->last = l2_entry(q, i, p + 1);
        write64(q, at, q->last);
    }
}

static void write_tables(struct qed *q)
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

/* The header, and behind it the backing file's name. */
static void write_header(struct qed *q)
{
    const char *name = maker_string(q->m, "backing", "");
    uint64_t length = maker_number(q->m, "backing_length", strlen(name));
    uint8_t header[HEADER_BYTES + NAME_MAX_BYTES] = "QED";

    if (length > NAME_MAX_BYTES || strlen(name) > length)
        maker_die("backing_length=%llu cannot be laid out", (unsigned long long)length);
    maker_put(header, 4, 4, '<', q->cluster_size);
    maker_put(header, 8, 4, '<', q->table_size);
    maker_put(header, 12, 4, '<', q->header_size);
    maker_put(header, 16, 8, '<', length ? BACKING_FILE : 0);
    maker_put(header, 40, 8, '<', q->l1_offset);
    maker_put(header, 48, 8, '<', q->size);
    maker_put(header, 56, 4, '<', length ? HEADER_BYTES : 0);
    maker_put(header, 60, 4, '<', length);
    memset(header + HEADER_BYTES, 'x', (size_t)length);
    memcpy(header + HEADER_BYTES, name, strlen(name));
    maker_fields(q->m, "header", header_fields, header, NULL);
    maker_write(q->m, 0, header, HEADER_BYTES + (size_t)length);
}

void make_qed(struct maker *m)
{
    struct qed q = {.m = m};

    q.size = maker_number(m, "size", 1 << 20);
    q.cluster_size = maker_number(m, "cluster_size", 4 << 10);
    q.table_size = maker_number(m, "table_size", 2);
    q.header_size = maker_number(m, "header_size", 1);
    if (!q.cluster_size || !q.table_size || q.table_size > 64)
        maker_die("give header.cluster_size, header.table_size: these cannot be laid out");
    q.entries = q.cluster_size * q.table_size / 8;
    q.end = q.header_size * q.cluster_size;
    q.l1_offset = allocate(&q, q.table_size);
    q.tables = calloc((size_t)q.entries, sizeof *q.tables);
    if (!q.tables)
        maker_die("out of memory");
    write_tables(&q);
    write_header(&q);
    maker_extend(m, q.end);
    free(q.tables);
}
