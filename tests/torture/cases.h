/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to an image, by number: the cases of tests/torture/torture.c. A kind and a number always
 * make the same image from the same seed.
 */
#ifndef TESTS_TORTURE_CASES_H
#define TESTS_TORTURE_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum case_kind {
    CASE_TRUNCATE, /* N: the first N bytes */
    CASE_FLIP,     /* N: bit N % 8 of byte of metadata N / 8 */
    CASE_REPAIRED, /* the same, with checksums recomputed */
    CASE_RANDOM,   /* N: seed of a random choice of two to four bits; checksums recomputed */
    CASE_KINDS,
};

enum { SEALS_MAX = 64, CHANGES_MAX = 4 + SEALS_MAX };

/* A structure with a checksum of itself. */
struct seal {
    size_t offset, length;
    size_t field; /* the checksum, 4 bytes, counted from offset */
    bool is_crc;  /* CRC-32C, little endian; else ones' complement of the sum, big endian */
};

/* A file of an image, undamaged. */
struct seed {
    const char *path;
    struct timespec times[2];
    uint8_t *bytes, *damaged; /* damaged: bytes with the changes of the current case */
    size_t size;
    uint32_t *metadata; /* offsets of its bytes */
    size_t metadata_count;
    struct seal seals[SEALS_MAX];
    size_t seals_count;
};

/* The changes of a case: the length, or some bytes. */
struct damage {
    size_t size;
    size_t count;
    struct change {
        size_t offset, length;
    } changes[CHANGES_MAX];
};

bool seed_load(struct seed *seed, const char *path);

/* is_guest: by offset, whether a byte is guest data, and so no metadata; NULL: none is. */
void seed_find_metadata(struct seed *seed, const uint8_t *is_guest);
void seed_end(struct seed *seed);

/* The number of cases of the kind. */
uint64_t cases_count(const struct seed *seed, enum case_kind kind);

/* Damages the seed in memory. false: the case does not exist, or is one of another kind too.
 * case_undo() undoes it. */
bool case_make(struct seed *seed, enum case_kind kind, uint64_t n, struct damage *damage);
void case_undo(struct seed *seed, const struct damage *damage);

/* Writes all damaged bytes to the file, blocks of zeros as holes. */
bool seed_write(const struct seed *seed, size_t size, int fd);

/* Writes the blocks with changes to the file: after case_make() damaged, after case_undo() intact.
 */
bool damage_write(const struct seed *seed, const struct damage *damage, int fd);

/* Extends a file with the first `from` bytes of the seed to the first `to` bytes. */
bool truncation_grow(const struct seed *seed, size_t from, size_t to, int fd);

/* Whether the bytes in [from, to) are zeros. */
bool seed_is_zero(const struct seed *seed, size_t from, size_t to);

#endif
