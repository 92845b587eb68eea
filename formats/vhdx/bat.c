// SPDX-License-Identifier: Apache-2.0
/*
 * The BAT of VHDX (MS-VHDX 2.5), little endian: 8 bytes an entry, state in bits 0 to 2, offset in
 * the file in units of 1 MiB from bit 20 on. Peculiar: after every chunk_ratio payload entries
 * stands one for a sector bitmap, which only differencing images use.
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

enum { /* payload states; no other value is defined but 5 of the draft */
       NOT_PRESENT = 0,
       UNDEFINED = 1,
       ZERO = 2,
       UNMAPPED = 3,
       DRAFT_UNMAPPED =
           5, /* what UNMAPPED was in version 0.95: written by early systems, read by qemu */
       FULLY_PRESENT = 6,
       PARTIALLY_PRESENT = 7,
};

/* States that mean the same. */
enum class { BAD, HOLE, DRAFT_HOLE, ZEROS, DRAFT_ZEROS, DATA, PARTIAL };

static const enum class classes[] = {
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
 * In a differencing image only NOT_PRESENT asks the parent (2.5.1.1). The others that are not in
 * the file do not: their bytes are zeros, or what was there before the guest gave it up, or
 * undefined: zeros are right for all of them, and nothing is shown of what the guest discarded.
 */
static const enum class differencing_classes[] = {
    [NOT_PRESENT] = HOLE,
    [UNDEFINED] = ZEROS,
    [ZERO] = ZEROS,
    [UNMAPPED] = ZEROS,
    [4] = BAD,
    [DRAFT_UNMAPPED] = DRAFT_ZEROS,
    [FULLY_PRESENT] = DATA,
    [PARTIALLY_PRESENT] = PARTIAL,
};

/* What an entry must be to continue a run. */
struct like {
    const enum class *classes; /* by state */
    enum class class;
    bool contiguous; /* DATA: each block stands behind the one before it in the file */
    uint64_t low,
        high; /* DATA: the stretch of the file without regions that the first block lies in */
    uint64_t next,
        step; /* contiguous: the entry to come, without its reserved bits; and what follows it */
};

/* Of n entries, how many from the first on are of that class. */
static uint64_t vhdx_count_class(const uint8_t *p, uint64_t n, const struct like *like)
{
    for (uint64_t i = 0; i < n; i++)
        if (like->classes[p[i * BAT_ENTRY_BYTES] & BAT_STATE_MASK] != like->class)
            return i;
    return n;
}

/* Of n entries, how many from the first on have data at offsets of low to high, in MiB. */
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

/* Of n entries, how many from the first on are like->next and what follows it, which moves on. */
static uint64_t vhdx_count_contiguous(const uint8_t *p, uint64_t n, struct like *like)
{
    uint64_t reserved = (1U << BAT_OFFSET_SHIFT) - 1 - BAT_STATE_MASK;
    uint64_t i = 0;

    for (; i < n && (le64(p + i * BAT_ENTRY_BYTES) & ~reserved) == like->next; i++)
        like->next += like->step;
    return i;
}

static uint64_t vhdx_count(const struct vhdx *v, const uint8_t *p, uint64_t n, struct like *like)
{
    if (like->class != DATA)
        return vhdx_count_class(p, n, like);
    if (like->contiguous)
        return vhdx_count_contiguous(p, n, like);
    return vhdx_count_data(p, n, like->low >> BAT_OFFSET_SHIFT,
                           (like->high - v->block_size) >> BAT_OFFSET_SHIFT);
}

/* How many blocks from block on, whose entry is the first of n at p, are alike. Skips sector bitmap
 * entries. */
static uint64_t vhdx_run(const struct vhdx *v, uint64_t block, const uint8_t *p, uint64_t n,
                         struct like *like)
{
    uint64_t chunk = v->chunk_ratio - block % v->chunk_ratio;
    uint64_t run = 0;

    while (n) {
        uint64_t here = min_u64(n, chunk);
        uint64_t alike = vhdx_count(v, p, here, like);

        run += alike;
        if (alike < here || here == n)
            break;
        p += (here + 1) * BAT_ENTRY_BYTES;
        n -= here + 1;
        chunk = v->chunk_ratio;
    }
    return run;
}

/* Refuses states that leave the bytes unknown; tells once of the one that is only a draft's. */
static int vhdx_check_state(struct disk *disk, uint64_t block, unsigned block_state,
                            enum class class)
{
    struct vhdx *v = disk->state;

    if (class == BAD && block_state == PARTIALLY_PRESENT)
        return image_fail(disk->img, EUCLEAN,
                          "vhdx: block %llu is partially present, but the disk has no parent",
                          (unsigned long long)block);
    if (class == BAD)
        return image_fail(disk->img, EUCLEAN, "vhdx: block %llu has state %u, which is not defined",
                          (unsigned long long)block, block_state);
    if (block_state == DRAFT_UNMAPPED && !v->is_draft_state_noted) {
        v->is_draft_state_noted = true;
        image_note(
            disk->img,
            "vhdx: block %llu has state 5, unmapped in a draft of the format: it reads as zeros",
            (unsigned long long)block);
    }
    return 0;
}

/* What the entry of a block says, and what to look for in those that follow. */
static int vhdx_read_entry(struct disk *disk, uint64_t block, uint64_t entry, struct like *like)
{
    const struct vhdx *v = disk->state;
    unsigned block_state = (unsigned)(entry & BAT_STATE_MASK);
    uint64_t host = entry >> BAT_OFFSET_SHIFT << BAT_OFFSET_SHIFT;
    int error;

    like->classes = disk->backing_reference ? differencing_classes : classes;
    like->class = like->classes[block_state];
    error = vhdx_check_state(disk, block, block_state, like->class);
    if (error || (like->class != DATA && like->class != PARTIAL))
        return error;
    like->next = host | block_state;
    like->step = v->block_size;
    return vhdx_check_place(disk, "block", block, host,
                            min_u64(v->block_size, v->size - block * v->block_size), &like->low,
                            &like->high);
}

/* The BAT must have room for the disk; what it says is not looked at yet. */
int vhdx_open_bat(struct disk *disk, struct vhdx *v)
{
    uint64_t entries;

    v->blocks = div_up(v->size, v->block_size);
    /* 2.5: each chunk that another follows has a sector bitmap entry; in a differencing image each
     * has. */
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

static enum extent_kind vhdx_kind(enum class class)
{
    if (class == DATA)
        return EXTENT_DATA;
    return class == ZEROS || class == DRAFT_ZEROS ? EXTENT_ZERO : EXTENT_HOLE;
}

/* What one block tells of offset, and of what follows there; or several that are alike in the BAT.
 */
static int vhdx_block_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct vhdx *v = disk->state;
    uint64_t block = offset / v->block_size, inside = offset % v->block_size;
    uint64_t last = v->blocks - 1, run = 1, host, n;
    struct like like = {.contiguous = want & EXTENTS_WANT_HOST};
    const uint8_t *p;
    int error = image_table_at(disk->img, &v->entries, block + block / v->chunk_ratio, &p, &n);

    if (error)
        return error;
    host = le64(p) >> BAT_OFFSET_SHIFT << BAT_OFFSET_SHIFT;
    error = vhdx_read_entry(disk, block, le64(p), &like);
    if (error)
        return error;
    /* The last block needs no more of the file than of the disk: it is looked at alone. */
    if (block < last && like.class != PARTIAL)
        run = min_u64(vhdx_run(v, block, p, n, &like), last - block);
    if (like.class == DATA && like.contiguous && block < last)
        run = min_u64(run, (like.high - host) / v->block_size);
    extent->kind = vhdx_kind(like.class);
    extent->length = run * v->block_size - inside;
    if (like.class == PARTIAL)
        error = vhdx_sectors_at(disk, block, inside, extent);
    if (extent->kind == EXTENT_DATA)
        extent->host = host + inside;
    return error;
}

int vhdx_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    return sector_runs_at(disk, offset, want, extent, vhdx_block_at);
}
