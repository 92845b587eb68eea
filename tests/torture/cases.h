/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to an image, by number: the cases of tests/torture/torture.c. A kind and a number always make the
 * same image of the same seed.
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
    CASE_REPAIRED, /* the same, and checksums over it made right */
    CASE_RANDOM,   /* N: the seed of a random choice of two to four bits; checksums made right */
    CASE_KINDS,
};

enum { SEALS_MAX = 64, CHANGES_MAX = 4 + SEALS_MAX };

/* A structure that has a checksum over itself. */
struct seal {
    size_t offset, length;
    size_t field; /* the checksum, 4 bytes, counted from offset */
    bool is_crc;  /* CRC-32C, little endian; else ones' complement of the sum, big endian */
};

/* A file of an image, undamaged. */
struct seed {
    const char *path;
    struct timespec times[2];
    uint8_t *bytes, *damaged; /* damaged: as bytes, but for the changes of the case at hand */
    size_t size;
    uint32_t *metadata; /* where its bytes are */
    size_t metadata_count;
    struct seal seals[SEALS_MAX];
    size_t seals_count;
};

/* What a case changes: the length, or bytes here and there. */
struct damage {
    size_t size;
    size_t count;
    struct change {
        size_t offset, length;
    } changes[CHANGES_MAX];
};

/* Loads the file; is_guest: bytes of the guest, by offset, that are no metadata; NULL: there are
 * none. */
bool seed_load(struct seed *seed, const char *path);
void seed_find_metadata(struct seed *seed, const uint8_t *is_guest);
void seed_end(struct seed *seed);

/* How many cases there are of the kind. */
uint64_t cases_count(const struct seed *seed, enum case_kind kind);

/* Damages the seed; false: the case is none, or is a case of another kind. case_undo() ends it. */
bool case_make(struct seed *seed, enum case_kind kind, uint64_t n, struct damage *damage);
void case_undo(struct seed *seed, const struct damage *damage);

/* Writes the whole of what is in memory to the file, blocks of zeros as holes. */
bool seed_write(const struct seed *seed, size_t size, int fd);

/* Writes what the damage changed; or, of the undamaged bytes, what it had changed. */
bool damage_write(const struct seed *seed, const struct damage *damage, int fd);

/* Makes a file that has the first `from` bytes have the first `to`. */
bool truncation_grow(const struct seed *seed, size_t from, size_t to, int fd);

/* Whether the bytes in [from, to) are zeros. */
bool seed_is_zero(const struct seed *seed, size_t from, size_t to);

#endif
