/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large an image of another format would be: one size model per target format, over the virtual
 * size and the number of target units that hold data. unit-count.h counts those, for
 * all targets alike. Each format has a file of its name; options.c reads what qemu-img takes
 * behind -o.
 */
#ifndef FORMATS_TARGETS_TARGETS_H
#define FORMATS_TARGETS_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/format.h"

enum {
    TARGETS_MAX = 16,
    TARGET_UNITS_MAX = 2, /* kinds of units of one target */
};

/* What of `-o key=value,...` decides the size. What a target does not have stays 0. */
struct target_options {
    uint64_t cluster_size;  /* bytes; qcow2, qed, parallels */
    uint64_t table_size;    /* clusters; qed */
    uint64_t block_size;    /* bytes; vhdx, 0: by the size of the disk */
    uint64_t log_size;      /* bytes; vhdx */
    uint64_t header_size;   /* bytes in front of encrypted data; luks, qcow2 */
    uint64_t refcount_bits; /* qcow2 */
    unsigned subformat;     /* the target's own enumeration; its default is 0 */
    bool extended_l2;       /* qcow2 */
    bool is_v2;             /* qcow2, compat=0.10 */
    bool force_size;        /* vpc */
    bool zero_blocks;       /* vhdx, block_state_zero */
    bool whole;             /* every unit is written, whatever the data */
    bool compressed;        /* each unit is written compressed; qcow2, qcow */
    bool zstd;              /* qcow2, compression_type */
    bool encrypted;         /* qcow2, by whatever cipher */
    bool many_heads;        /* vmdk, as adapters other than ide have */
    uint64_t text_bytes;    /* vmdk; of values in the descriptor */
    unsigned preallocation; /* qcow2, as in its own enumeration; its default is 0 */
};

struct target_size {
    uint64_t required;        /* bytes of the file with the data that the source holds */
    uint64_t fully_allocated; /* bytes of the file with every unit written */
};

struct target_values;
struct target_key;
struct conversion_model;

struct target {
    const char *name;
    struct target_options defaults;

    /* What -o takes besides the keys that all targets have; ends with a NULL name, NULL: no more.
     */
    const struct target_key *keys;

    /* Makes options of the values of keys. 0 or -EINVAL, why then is in qemu's words. NULL: they
     * do not matter, and are not looked at. */
    int (*check)(const struct target_values *values, struct target_options *options,
                 struct reason *why);

    /* The same for a conversion, which takes more keys (NULL: the same) and refuses more. NULL: it
     * is as above. */
    const struct target_key *conversion_keys;
    int (*check_conversion)(const struct target_values *values, struct target_options *options,
                            struct reason *why);

    /* How to tell the size of a conversion with these options (conversion.h). NULL, or NULL from
     * it: touched units tell, and size() below. */
    const struct conversion_model *(*model)(const struct target_options *options);

    /* Whether it can hold the persistent bitmaps of a source. NULL: never. */
    bool (*keeps_bitmaps)(const struct target_options *options);

    /* Fills in the bytes of each kind of unit for a disk of virtual_size bytes, and returns how
     * many kinds there are. NULL, or 0: the size does not depend on the data. */
    size_t (*units)(const struct target_options *options, uint64_t virtual_size,
                    uint64_t units[TARGET_UNITS_MAX]);

    /* The sizes for a disk of virtual_size bytes of which so many units of each kind hold data. 0;
     * or why says, in qemu's words where it says so, -EFBIG: too large, -ENOTSUP: not as an image
     * of this format. */
    int (*size)(const struct target_options *options, uint64_t virtual_size,
                const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                struct reason *why);
};

/* Ends with a NULL name. */
extern const struct target *const targets[];

extern const struct target luks_target, parallels_target, qcow_target, qcow2_target, qed_target,
    raw_target, vdi_target, vhd_target, vhdx_target, vmdk_target;

/* The target of that name, or NULL; its row in targets[]; and how many rows there are. */
const struct target *target_by_name(const char *name);
size_t target_row(const struct target *target);
size_t targets_count(void);

#endif
