/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact size of what `qemu-img convert` writes, told by the walk over what is written
 * (data-walk.h). Most targets need only the units that are touched; where the layout depends on
 * more, the target has a model of its own, <format>-written.c.
 */
#ifndef FORMATS_TARGETS_CONVERSION_H
#define FORMATS_TARGETS_CONVERSION_H

#include "data-walk.h"
#include "refuse.h"
#include "targets.h"
#include "unit-count.h"

enum { CONVERSION_NAME_MAX = 512 };

/* One of the files that are written. */
struct conversion_file {
    char name[CONVERSION_NAME_MAX]; /* without a directory */
    uint64_t size;                  /* bytes */
};

struct conversion {
    struct image *img; /* whose memory it takes */
    const struct target *target;
    const struct target_options *options;
    uint64_t virtual_size;
    const char *name; /* of the file, without a directory */

    const struct conversion_model *model; /* NULL: the units tell */
    void *state;                          /* the model's own */
    struct unit_count counts[TARGET_UNITS_MAX];
    size_t kinds;  /* of units */
    uint64_t size; /* bytes of all files, once it is told */
};

/* How a target tells its size that touched units do not tell. What is NULL it has no need of. */
struct conversion_model {
    /* May set c->state. 0 or -errno, why says. */
    int (*begin)(struct conversion *c, struct reason *why);
    /* As in struct data_walk_sink. */
    int (*run)(struct conversion *c, uint64_t offset, uint64_t length);
    int (*written)(struct conversion *c, uint64_t offset, uint64_t length);
    int (*slab)(struct conversion *c, uint64_t offset, const uint8_t *bytes, size_t length);
    /* *size: bytes of all files. 0 or -errno, why says. */
    int (*size)(struct conversion *c, uint64_t *size, struct reason *why);
    /* How many files there are, and one of them, once the size is told. NULL: one. */
    uint64_t (*files)(const struct conversion *c);
    void (*file)(const struct conversion *c, uint64_t number, struct conversion_file *file);
    /* Gives back what is not the session's. */
    void (*close)(struct conversion *c);
};

/*
 * For models: takes the units of a slab that have a byte that is not zero, of unit bytes from a
 * multiple of these on, to the end of the slab. 0, or what take() has returned first.
 */
int conversion_units(uint64_t offset, const uint8_t *bytes, size_t length, uint64_t unit,
                     int (*take)(void *context, uint64_t offset, const uint8_t *bytes,
                                 size_t length),
                     void *context);

/*
 * Begins the conversion of a disk of virtual_size bytes to a file of that name. All that is pointed
 * to must live as long as it. 0; or -errno, why says, in qemu's words where qemu refuses it. Then
 * there is nothing to end.
 */
int conversion_begin(struct conversion *c, struct image *img, const struct target *target,
                     const struct target_options *options, uint64_t virtual_size, const char *name,
                     struct reason *why);

/* Whether the size depends on what is written: else no walk is needed. */
bool conversion_reads(const struct conversion *c);

/* Whether it needs the bytes. */
bool conversion_wants_slabs(const struct conversion *c);

/* What the walk tells. 0 or -errno, said. */
int conversion_run(struct conversion *c, uint64_t offset, uint64_t length);
int conversion_written(struct conversion *c, uint64_t offset, uint64_t length);
int conversion_slab(struct conversion *c, uint64_t offset, const uint8_t *bytes, size_t length);

/* Bytes of all files that are written, once the walk has told all. 0 or -errno, why says. */
int conversion_size(struct conversion *c, uint64_t *size, struct reason *why);

/* How many files there are, and one of them by its number; once the size is known. */
uint64_t conversion_files(const struct conversion *c);
void conversion_file(const struct conversion *c, uint64_t number, struct conversion_file *file);

/* Ends what conversion_begin() began, also after errors. */
void conversion_end(struct conversion *c);

#endif
