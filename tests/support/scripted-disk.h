/* SPDX-License-Identifier: Apache-2.0 */
/* A disk whose driver returns scripted extents, for tests of the code that calls drivers. */
#ifndef TESTS_SUPPORT_SCRIPTED_DISK_H
#define TESTS_SUPPORT_SCRIPTED_DISK_H

#include <errno.h>

#include "support.h"

/* The extents that the driver returns. Of kind FAILS: an error, with the errno in flags. */
struct script {
    const struct extent *extents;
    size_t count;
    unsigned calls;
    unsigned want; /* of the last call */
};

enum { FAILS = 99 };

static struct sample s = {.fd = -1};
static struct script script;
static const struct reference base = {
    .role = REFERENCE_BACKING, .kind = "backing file", .path = "base.img", .length = 8};

static inline int scripted_extent_at(struct disk *disk, uint64_t offset, unsigned want,
                                     struct extent *extent)
{
    struct script *script_ = disk->state;
    uint64_t start = 0;
    size_t i = 0;

    script_->calls++;
    script_->want = want;
    while (i < script_->count - 1 && offset >= start + script_->extents[i].length)
        start += script_->extents[i++].length;
    if (script_->extents[i].kind == (enum extent_kind)FAILS)
        return image_fail(disk->img, (int)script_->extents[i].flags, "scripted: fails at %llu",
                          (unsigned long long)offset);
    extent->length = script_->extents[i].length - (offset - start);
    extent->kind = script_->extents[i].kind;
    extent->flags = script_->extents[i].flags;
    extent->host = script_->extents[i].host;
    if (extent->host != EXTENT_NO_HOST)
        extent->host += offset - start;
    return 0;
}

/* Compressed bytes are the low bytes of their offsets. */
static inline int scripted_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    if (offset >= 1 << 20)
        return image_fail(disk->img, EUCLEAN, "scripted: broken at %llu",
                          (unsigned long long)offset);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(offset + i);
    return 0;
}

static const struct format_driver scripted_driver = {
    .name = "scripted", .extent_at = scripted_extent_at, .decode = scripted_decode};

static inline void play(uint64_t virtual_size, const struct extent *extents, size_t count)
{
    script = (struct script){.extents = extents, .count = count};
    sample_session(&s);
    s.disk = (struct disk){
        .img = s.img, .driver = &scripted_driver, .virtual_size = virtual_size, .state = &script};
}

#define PLAY(virtual_size, ...)                                                                    \
    static const struct extent script_extents[] = {__VA_ARGS__};                                   \
    play(virtual_size, script_extents, COUNT(script_extents))

#endif
