/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the makers of benchmark images: rows of their table, and tables written in bulk. */
#ifndef TOOLS_BENCH_IMAGES_H
#define TOOLS_BENCH_IMAGES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

struct bench_image {
    const char *name;
    void (*make)(int fd, const struct bench_image *image);
    uint64_t virtual_size;
    uint64_t unit;     /* bytes: cluster, block, grain */
    uint32_t skip, of; /* of so many units the first hold no data, the others do; or: layer, of */
    bool in_order;     /* data lies in the order of the disk */
    bool refcounted;   /* qcow2: data clusters have refcounts, so holes of the file count */
};

/* Whether unit i of the disk has data. */
bool has_data(const struct bench_image *image, uint64_t i);

/* The position of the data of unit i: its own, or that of its neighbour. */
uint64_t data_unit(const struct bench_image *image, uint64_t i);

/* Ends the program with the message of errno. */
void die(const char *what) __attribute__((noreturn));

void write_at(int fd, uint64_t offset, const void *bytes, size_t length);
void set_size(int fd, uint64_t size);

/* A table that is written entry by entry, in large pieces. One at a time. */
struct table {
    int fd;
    uint64_t offset; /* of the piece in the file */
    size_t length;   /* bytes of it filled */
};

/* Room for the next entry. */
uint8_t *table_next(struct table *t, size_t width);

/* Writes the last piece. */
void table_flush(struct table *t);

static inline uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* Stores value in so many bytes: '<' little endian, '>' big endian. */
static inline void put(uint8_t *p, unsigned width, char order, uint64_t value)
{
    value = order == '<' ? htole64(value) : htobe64(value << (64 - 8 * width));
    memcpy(p, &value, width);
}

#define put_be32(p, value) put(p, 4, '>', value)
#define put_be64(p, value) put(p, 8, '>', value)
#define put_le32(p, value) put(p, 4, '<', value)
#define put_le64(p, value) put(p, 8, '<', value)

/* The makers: make-bench-images.c has some, make-bench-qcow2.c and make-bench-others.c have these.
 * A layer of a chain is number skip of the images; 0 is the top. */
void make_qcow2(int fd, const struct bench_image *image);
void make_qcow2_layer(int fd, const struct bench_image *image);
void make_parallels(int fd, const struct bench_image *image);
void make_qcow(int fd, const struct bench_image *image);
void make_qed(int fd, const struct bench_image *image);
void make_vdi(int fd, const struct bench_image *image);

#endif
