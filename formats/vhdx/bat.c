// SPDX-License-Identifier: Apache-2.0
/*
 * The BAT of VHDX (MS-VHDX 2.5), little endian. An entry has 8 bytes: the state in bits 0 to 2, the
 * offset in the file in units of 1 MiB from bit 20 on. Peculiar: every chunk_ratio payload entries
 * are followed by the entry of a sector bitmap block, which only differencing images use.
 */
#include "bat.h"

#include <errno.h>

#include "bitmap.h"
#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/image.h"
#include "formats/sector-bitmap.h"
#include "place.h"

enum { /* states of payload blocks */
       NOT_PRESENT = 0,
       UNDEFINED = 1,
       ZERO = 2,
       UNMAPPED = 3,
       DRAFT_UNMAPPED = 5, /* UNMAPPED in version 0.95: written by early systems, read by qemu */
       FULLY_PRESENT = 6,
       PARTIALLY_PRESENT = 7,
};

/* What a state means for guest bytes. States with the same meaning continue a run. */
enum meaning { BAD, HOLE, DRAFT_HOLE, ZEROS, DRAFT_ZEROS, DATA, PARTIAL };

static const enum meaning meanings[] = {
    [NOT_PRESENT] = HOLE,
    [UNDEFINED] = HOLE,
    [ZERO] = ZEROS,
    [UNMAPPED] = HOLE,
    [4] = BAD,
    [DRAFT_UNMAPPED] = DRAFT_HOLE,
    [FULLY_PRESENT] = DATA,
    [PARTIALLY_PRESENT] = BAD,
};

/*
 * In a differencing image only NOT_PRESENT falls through to the parent (2.5.1.1). The bytes of the
 * other states that are not in the file are zeros, undefined, or what the guest has discarded.
 * Zeros are right for all of them, and show nothing of what was discarded.
 */
static const enum meaning differencing_meanings[] = {
    [NOT_PRESENT] = HOLE,
    [UNDEFINED] = ZEROS,
    [ZERO] = ZEROS,
    [UNMAPPED] = ZEROS,
    [4] = BAD,
    [DRAFT_UNMAPPED] = DRAFT_ZEROS,
    [FULLY_PRESENT] = DATA,
    [PARTIALLY_PRESENT] = PARTIAL,
};

/* The pattern that an entry must match to continue a run. */
struct pattern {
    const enum meaning *meanings; /* indexed by state */
    enum meaning meaning;
    bool contiguous;    /* DATA: the blocks must be adjacent in the file */
    uint64_t low, high; /* DATA: the gap between regions that the first block lies in */
    uint64_t next;      /* contiguous: the next entry, without reserved bits */
    uint64_t step;      /* contiguous: from entry to entry */
};

/* How many of n entries, from the first on, have the meaning. */
static uint64_t vhdx_count_meaning(const uint8_t *p, uint64_t n, const struct pattern *pattern)
{
    for (uint64_t i = 0; i < n; i++)
        if (pattern->meanings[p[i * BAT_ENTRY_BYTES] & BAT_STATE_MASK] != pattern->meaning)
            return i;
    return n;
}

/* How many of n entries, from the first on, are data blocks at offsets of low to high. */
static uint64_t vhdx_count_data(const uint8_t *p, uint64_t n, uint64_t low_mib, uint64_t high_mib)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t entry = le64(p + i * BAT_ENTRY_BYTES);

        if ((entry & BAT_STATE_MASK) != FULLY_PRESENT ||
            (entry >> BAT_OFFSET_SHIFT) - low_mib > high_mib - low_mib)
            return i;
    }
    return n;
}

/* How many of n entries, from the first on, are adjacent data blocks. Advances pattern->next. */
static uint64_t vhdx_count_contiguous(const uint8_t *p, uint64_t n, struct pattern *pattern)
{
    uint64_t reserved = (1U << BAT_OFFSET_SHIFT) - 1 - BAT_STATE_MASK;
    uint64_t i = 0;

    for (; i < n && (le64(p + i * BAT_ENTRY_BYTES) & ~reserved) == pattern->next; i++)
        pattern->next += pattern->step;
    return i;
}

static uint64_t vhdx_count(const struct vhdx *v, const uint8_t *p, uint64_t n,
                           struct pattern *pattern)
{
    if (pattern->meaning != DATA)
        return vhdx_count_meaning(p, n, pattern);
    if (pattern->contiguous)
        return vhdx_count_contiguous(p, n, pattern);
    return vhdx_count_data(p, n, pattern->low >> BAT_OFFSET_SHIFT,
                           (pattern->high - v->block_size) >> BAT_OFFSET_SHIFT);
}

/* How many blocks, from block on, match the pattern. p has n entries, the first one that of block;
 * those of sector bitmap blocks are skipped. */
static uint64_t vhdx_run(const struct vhdx *v, uint64_t block, const uint8_t *p, uint64_t n,
                         struct pattern *pattern)
{
    uint64_t chunk = v->chunk_ratio - block % v->chunk_ratio;
    uint64_t run = 0;

    while (n) {
        uint64_t here = min_u64(n, chunk);
        uint64_t alike = vhdx_count(v, p, here, pattern);

        run += alike;
        if (alike < here || here == n)
            break;
        p += (here + 1) * BAT_ENTRY_BYTES;
        n -= here + 1;
        chunk = v->chunk_ratio;
    }
    return run;
}

/* Fails for states that leave the bytes unknown. The draft's state is noted once. */
static int vhdx_check_state(struct disk *disk, uint64_t block, unsigned block_state,
                            enum meaning meaning)
{
    struct vhdx *v = disk->state;

    if (meaning == BAD && block_state == PARTIALLY_PRESENT)
        return image_fail(disk->img, EUCLEAN,
                          "vhdx: block %llu is partially present, but the disk has no parent",
                          (unsigned long long)block);
    if (meaning == BAD)
        return image_fail(disk->img, EUCLEAN, "vhdx: block %llu has state %u, which is not defined",
                          (unsigned long long)block, block_state);
    if (block_state == DRAFT_UNMAPPED && !v->is_draft_state_noted) {
        v->is_draft_state_noted = true;
        image_note(
            disk->img,
            "vhdx: block %llu has state 5 (unmapped in a draft of the format): it reads as zeros",
            (unsigned long long)block);
    }
    return 0;
}

/* Checks the entry of a block, and sets the pattern that the following ones must match. */
static int vhdx_read_entry(struct disk *disk, uint64_t block, uint64_t entry,
                           struct pattern *pattern)
{
    const struct vhdx *v = disk->state;
    unsigned block_state = (unsigned)(entry & BAT_STATE_MASK);
    uint64_t host = entry >> BAT_OFFSET_SHIFT << BAT_OFFSET_SHIFT;
    int error;

    pattern->meanings = disk->backing_reference ? differencing_meanings : meanings;
    pattern->meaning = pattern->meanings[block_state];
    error = vhdx_check_state(disk, block, block_state, pattern->meaning);
    if (error || (pattern->meaning != DATA && pattern->meaning != PARTIAL))
        return error;
    pattern->next = host | block_state;
    pattern->step = v->block_size;
    return vhdx_check_place(disk, "block", block, host,
                            min_u64(v->block_size, v->size - block * v->block_size), &pattern->low,
                            &pattern->high);
}

int vhdx_open_bat(struct disk *disk, struct vhdx *v)
{
    uint64_t entries;

    v->blocks = div_up(v->size, v->block_size);
    /* 2.5: each chunk has a sector bitmap entry, except for the last one of an image without
     * parent. */
    if (disk->backing_reference)
        entries = div_up(v->blocks, v->chunk_ratio) * (v->chunk_ratio + 1);
    else
        entries = v->blocks + (v->blocks - 1) / v->chunk_ratio;
    v->entries = (struct image_table){
        .offset = v->bat.offset, .entries = entries, .entry_bytes = BAT_ENTRY_BYTES};
    if (entries * BAT_ENTRY_BYTES > v->bat.length)
        return image_fail(
            disk->img, EUCLEAN,
            "vhdx: BAT region of %llu bytes is too small: the disk needs %llu entries",
            (unsigned long long)v->bat.length, (unsigned long long)entries);
    return image_require(disk->img, v->bat.offset, entries * BAT_ENTRY_BYTES, "vhdx: the BAT");
}

static enum extent_kind vhdx_extent_kind(enum meaning meaning)
{
    if (meaning == DATA)
        return EXTENT_DATA;
    return meaning == ZEROS || meaning == DRAFT_ZEROS ? EXTENT_ZERO : EXTENT_HOLE;
}

/* The extent at offset within one block, or over several blocks with like entries. */
static int vhdx_block_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct vhdx *v = disk->state;
    uint64_t block = offset / v->block_size, inside = offset % v->block_size;
    uint64_t last = v->blocks - 1, run = 1, host, n;
    struct pattern pattern = {.contiguous = want & EXTENTS_WANT_HOST};
    const uint8_t *p;
    int error = image_table_at(disk->img, &v->entries, block + block / v->chunk_ratio, &p, &n);

    if (error)
        return error;
    host = le64(p) >> BAT_OFFSET_SHIFT << BAT_OFFSET_SHIFT;
    error = vhdx_read_entry(disk, block, le64(p), &pattern);
    if (error)
        return error;
    /* Of the last block, the file needs no more than the disk has: it is not part of a run. */
    if (block < last && pattern.meaning != PARTIAL)
        run = min_u64(vhdx_run(v, block, p, n, &pattern), last - block);
    if (pattern.meaning == DATA && pattern.contiguous && block < last)
        run = min_u64(run, (pattern.high - host) / v->block_size);
    extent->kind = vhdx_extent_kind(pattern.meaning);
    extent->length = run * v->block_size - inside;
    if (pattern.meaning == PARTIAL)
        error = vhdx_sectors_at(disk, block, inside, extent);
    if (extent->kind == EXTENT_DATA)
        extent->host = host + inside;
    return error;
}

int vhdx_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    return sector_runs_at(disk, offset, want, extent, vhdx_block_at);
}
