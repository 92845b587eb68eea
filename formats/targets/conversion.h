/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact size of the files that `qemu-img convert` writes, from the guest data that it writes
 * (data-walk.h). For most targets the touched units decide. A target whose layout depends on more
 * has a model of its own in <format>-written.c.
 */
#ifndef FORMATS_TARGETS_CONVERSION_H
#define FORMATS_TARGETS_CONVERSION_H

#include "data-walk.h"
#include "refuse.h"
#include "targets.h"
#include "unit-count.h"

enum { CONVERSION_NAME_MAX = 512 };

/* One of the files that a conversion writes. */
struct conversion_file {
    char name[CONVERSION_NAME_MAX]; /* without directory */
    uint64_t size;                  /* bytes */
};

struct conversion {
    struct image *img; /* the session whose memory it uses */
    const struct target *target;
    const struct target_options *options;
    uint64_t virtual_size;
    const char *name; /* of the file, without directory */

    const struct conversion_model *model; /* NULL: the touched units decide */
    void *state;                          /* of the model */
    struct unit_count counts[TARGET_UNITS_MAX];
    size_t kinds;  /* of units */
    uint64_t size; /* bytes of all files, set by conversion_size() */
};

/* The size model of a target whose size does not follow from touched units. Functions that a model
 * does not need are NULL, except begin and size. */
struct conversion_model {
    /* May set c->state. Returns 0 or -errno, with a message in why. */
    int (*begin)(struct conversion *c, struct reason *why);
    /* The calls of struct data_walk_sink. */
    int (*run)(struct conversion *c, uint64_t offset, uint64_t length);
    int (*written)(struct conversion *c, uint64_t offset, uint64_t length);
    int (*slab)(struct conversion *c, uint64_t offset, const uint8_t *bytes, size_t length);
    /* Sets *size to the bytes of all files. Returns 0 or -errno, with a message in why. */
    int (*size)(struct conversion *c, uint64_t *size, struct reason *why);
    /* The number of files, and one of them; called after size(). NULL: one file. */
    uint64_t (*files)(const struct conversion *c);
    void (*file)(const struct conversion *c, uint64_t number, struct conversion_file *file);
    /* Frees what is not memory of the session. */
    void (*close)(struct conversion *c);
};

/*
 * For models: calls take() for each unit of a slab that is not all zeros. offset is a multiple of
 * unit; the last unit may be cut at the end of the slab. Returns 0, or the first other value that
 * take() returned.
 */
int conversion_units(uint64_t offset, const uint8_t *bytes, size_t length, uint64_t unit,
                     int (*take)(void *context, uint64_t offset, const uint8_t *bytes,
                                 size_t length),
                     void *context);

/*
 * Begins the conversion of a disk of virtual_size bytes to a file of that name. The arguments must
 * live as long as the conversion, except why. Returns 0 or -errno with a message in why, in qemu's
 * words where qemu refuses the conversion; after an error there is nothing to end.
 */
int conversion_begin(struct conversion *c, struct image *img, const struct target *target,
                     const struct target_options *options, uint64_t virtual_size, const char *name,
                     struct reason *why);

/* Whether the size depends on the guest data. If not, no walk is needed. */
bool conversion_reads(const struct conversion *c);

/* Whether the model needs the bytes, not only the offsets. */
bool conversion_wants_slabs(const struct conversion *c);

/* The calls of struct data_walk_sink. Return 0 or -errno, already reported. */
int conversion_run(struct conversion *c, uint64_t offset, uint64_t length);
int conversion_written(struct conversion *c, uint64_t offset, uint64_t length);
int conversion_slab(struct conversion *c, uint64_t offset, const uint8_t *bytes, size_t length);

/* Sets *size to the bytes of all files; call it after the walk. Returns 0 or -errno, with a message
 * in why. */
int conversion_size(struct conversion *c, uint64_t *size, struct reason *why);

/* The number of files, and one of them, from 0 on. Call them after conversion_size(). */
uint64_t conversion_files(const struct conversion *c);
void conversion_file(const struct conversion *c, uint64_t number, struct conversion_file *file);

/* Ends the conversion; also needed after errors of the calls above, except conversion_begin(). */
void conversion_end(struct conversion *c);

#endif
