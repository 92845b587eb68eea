// SPDX-License-Identifier: Apache-2.0
/*
 * Damage to an image, by number. Recomputes the checksums that the formats check: those of VHD
 * footers and dynamic headers, and of VHDX headers and region tables. (Those of GPT, LUKS2, DMG and
 * VHDX logs are not checked.)
 */
#include "cases.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/bytes.h"
#include "formats/crc32c.h"

enum {
    BLOCK = 4096,       /* of zeros is a hole */
    SMALL = 16384,      /* up to this size all bytes that are not guest data are metadata */
    NEIGHBOURHOOD = 64, /* in larger images, zeros this close to other bytes are metadata, too */
};

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return !length || (!bytes[0] && memcmp(bytes, bytes + 1, length - 1) == 0);
}

bool seed_is_zero(const struct seed *seed, size_t from, size_t to)
{
    return is_zero(seed->bytes + from, to - from);
}

static void add_seal(struct seed *seed, struct seal seal)
{
    if (seed->seals_count < SEALS_MAX && seal.offset + seal.length <= seed->size)
        seed->seals[seed->seals_count++] = seal;
}

/* Finds the structures with checksums. */
static void find_seals(struct seed *seed)
{
    const uint8_t *end = seed->bytes + seed->size, *p = seed->bytes;

    while ((p = memmem(p, (size_t)(end - p), "conectix", 8)))
        add_seal(seed, (struct seal){(size_t)(p++ - seed->bytes), 512, 64, false});
    for (p = seed->bytes; (p = memmem(p, (size_t)(end - p), "cxsparse", 8));)
        add_seal(seed, (struct seal){(size_t)(p++ - seed->bytes), 1024, 36, false});
    for (size_t at = 64 << 10; at <= 256 << 10 && at + 4 <= seed->size; at += 64 << 10) {
        if (memcmp(seed->bytes + at, "head", 4) == 0)
            add_seal(seed, (struct seal){at, 4096, 4, true});
        if (memcmp(seed->bytes + at, "regi", 4) == 0)
            add_seal(seed, (struct seal){at, 64 << 10, 4, true});
    }
}

bool seed_load(struct seed *seed, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool good;

    *seed = (struct seed){.path = path};
    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    seed->times[0] = st.st_atim;
    seed->times[1] = st.st_mtim;
    seed->size = (size_t)st.st_size;
    seed->bytes = malloc(seed->size + 1);
    seed->damaged = malloc(seed->size + 1);
    seed->metadata = malloc((seed->size + 1) * sizeof *seed->metadata);
    good = seed->bytes && seed->damaged && seed->metadata &&
           read(fd, seed->bytes, seed->size) == (ssize_t)seed->size;
    close(fd);
    if (!good)
        return false;
    memcpy(seed->damaged, seed->bytes, seed->size);
    find_seals(seed);
    return true;
}

void seed_end(struct seed *seed)
{
    free(seed->bytes);
    free(seed->damaged);
    free(seed->metadata);
}

void seed_find_metadata(struct seed *seed, const uint8_t *is_guest)
{
    size_t next = 0; /* bytes before it are decided */

    for (size_t i = 0; i < seed->size; i++) {
        size_t end = seed->size - i < NEIGHBOURHOOD ? seed->size : i + NEIGHBOURHOOD;

        if (seed->size > SMALL && (!seed->bytes[i] || (is_guest && is_guest[i])))
            continue;
        if (i > NEIGHBOURHOOD && next < i - NEIGHBOURHOOD)
            next = i - NEIGHBOURHOOD;
        for (; next < end; next++)
            if (!is_guest || !is_guest[next])
                seed->metadata[seed->metadata_count++] = (uint32_t)next;
    }
}

uint64_t cases_count(const struct seed *seed, enum case_kind kind)
{
    if (kind == CASE_TRUNCATE)
        return seed->size;
    if (kind == CASE_RANDOM)
        return seed->metadata_count ? UINT64_MAX : 0;
    return 8 * (uint64_t)seed->metadata_count;
}

static void change(struct damage *damage, size_t offset, size_t length)
{
    damage->changes[damage->count++] = (struct change){offset, length};
}

static void flip(struct seed *seed, struct damage *damage, uint64_t bit)
{
    size_t offset = seed->metadata[bit / 8];

    seed->damaged[offset] ^= (uint8_t)(1U << bit % 8);
    change(damage, offset, 1);
}

/* Recomputes a checksum. */
static void repair(uint8_t *bytes, const struct seal *seal)
{
    uint8_t *field = bytes + seal->offset + seal->field;
    uint32_t sum = 0;

    memset(field, 0, 4);
    if (seal->is_crc)
        sum = crc32c(0, bytes + seal->offset, seal->length);
    for (size_t i = 0; !seal->is_crc && i < seal->length; i++)
        sum += bytes[seal->offset + i];
    if (!seal->is_crc)
        sum = ~sum;
    for (size_t i = 0; i < 4; i++)
        field[i] = (uint8_t)(sum >> (seal->is_crc ? 8 * i : 24 - 8 * i));
}

/* Recomputes the checksums of changed structures. false: there are none. */
static bool repair_all(struct seed *seed, struct damage *damage)
{
    size_t flipped = damage->count;

    for (const struct seal *s = seed->seals; s < seed->seals + seed->seals_count; s++) {
        bool is_over = false;

        for (size_t i = 0; i < flipped; i++)
            is_over |= damage->changes[i].offset - s->offset < s->length;
        if (!is_over)
            continue;
        repair(seed->damaged, s);
        change(damage, s->offset + s->field, 4);
    }
    return damage->count > flipped;
}

static bool differs(const struct seed *seed, const struct damage *damage)
{
    for (const struct change *c = damage->changes; c < damage->changes + damage->count; c++)
        if (memcmp(seed->bytes + c->offset, seed->damaged + c->offset, c->length) != 0)
            return true;
    return false;
}

/* SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

bool case_make(struct seed *seed, enum case_kind kind, uint64_t n, struct damage *damage)
{
    uint64_t random = n;
    bool good = true;

    *damage = (struct damage){.size = kind == CASE_TRUNCATE ? (size_t)n : seed->size};
    if (kind == CASE_TRUNCATE)
        return true;
    if (kind == CASE_RANDOM)
        for (size_t flips = 2 + next_random(&random) % 3; flips; flips--)
            flip(seed, damage, next_random(&random) % (8 * (uint64_t)seed->metadata_count));
    else
        flip(seed, damage, n);
    if (kind != CASE_FLIP)
        good = repair_all(seed, damage) || kind == CASE_RANDOM;
    if (good && differs(seed, damage))
        return true;
    case_undo(seed, damage);
    return false;
}

void case_undo(struct seed *seed, const struct damage *damage)
{
    for (const struct change *c = damage->changes; c < damage->changes + damage->count; c++)
        memcpy(seed->damaged + c->offset, seed->bytes + c->offset, c->length);
}

/* Writes the block at offset, up to size; one of zeros becomes a hole. */
static bool write_block(const uint8_t *bytes, size_t offset, size_t size, int fd)
{
    size_t length = size - offset < BLOCK ? size - offset : BLOCK;

    if (is_zero(bytes + offset, length))
        return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, BLOCK) == 0;
    return pwrite(fd, bytes + offset, length, (off_t)offset) == (ssize_t)length;
}

bool seed_write(const struct seed *seed, size_t size, int fd)
{
    bool good = ftruncate(fd, 0) == 0 && ftruncate(fd, (off_t)size) == 0;

    for (size_t at = 0; at < size && good; at += BLOCK)
        good = write_block(seed->damaged, at, size, fd);
    return good && futimens(fd, seed->times) == 0;
}

bool damage_write(const struct seed *seed, const struct damage *damage, int fd)
{
    bool good = true;

    for (const struct change *c = damage->changes; c < damage->changes + damage->count; c++)
        for (size_t at = c->offset / BLOCK * BLOCK; at < c->offset + c->length; at += BLOCK)
            good &= write_block(seed->damaged, at, seed->size, fd);
    return good && futimens(fd, seed->times) == 0;
}

bool truncation_grow(const struct seed *seed, size_t from, size_t to, int fd)
{
    bool good = ftruncate(fd, (off_t)to) == 0;

    for (size_t at = from / BLOCK * BLOCK; at < to && good; at += BLOCK)
        good = write_block(seed->bytes, at, to, fd);
    return good && futimens(fd, seed->times) == 0;
}
