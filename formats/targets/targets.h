/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Size models of target formats: how large the file would be that a disk is converted to. The size
 * follows from the virtual size and from the number of target units that hold data (unit-count.h).
 * Each format has a file of its name; options.h reads what qemu-img takes behind -o.
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

/* The options behind -o that decide the size. A field that a target does not have is 0. */
struct target_options {
    uint64_t cluster_size;     /* bytes; qcow2, qed, parallels */
    uint64_t table_size;       /* clusters; qed */
    uint64_t block_size;       /* bytes; vhdx; 0: chosen by the virtual size */
    uint64_t log_size;         /* bytes; vhdx */
    uint64_t header_size;      /* bytes of the LUKS header and its key slots; luks, qcow2 */
    uint64_t refcount_bits;    /* qcow2 */
    uint64_t descriptor_bytes; /* length of the option values in the descriptor; vmdk */
    unsigned subformat;        /* an enumeration of the target's own; the default is 0 */
    unsigned preallocation;    /* enum qcow2_preallocation; qcow2 */
    bool extended_l2;          /* qcow2 */
    bool is_v2;                /* compat=0.10; qcow2 */
    bool is_encrypted;         /* by any cipher; qcow2 */
    bool is_compressed;        /* every unit is written compressed; qcow2, qcow */
    bool is_zstd;              /* compression_type=zstd; qcow2 */
    bool is_full;              /* every unit is written, whatever the data */
    bool force_size;           /* vpc */
    bool zero_blocks;          /* block_state_zero; vhdx */
    bool has_255_heads;        /* the adapter type is not ide; vmdk */
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

    /* The keys behind -o, besides those of every target. Ends with a NULL name. NULL: none. */
    const struct target_key *keys;

    /* Sets options from the values of the keys. Returns 0 or -EINVAL, with a message in why in
     * qemu's words. NULL: no value changes the size, and qemu checks none. */
    int (*check)(const struct target_values *values, struct target_options *options,
                 struct reason *why);

    /* The same for a conversion, which has additional keys (NULL: none) and refuses more (NULL: as
     * check). */
    const struct target_key *conversion_keys;
    int (*check_conversion)(const struct target_values *values, struct target_options *options,
                            struct reason *why);

    /* Returns the model for the size of a conversion with these options (conversion.h). NULL, or a
     * result of NULL: the touched units and size() give it. */
    const struct conversion_model *(*model)(const struct target_options *options);

    /* Whether the format can hold the source's persistent bitmaps. NULL: never. */
    bool (*keeps_bitmaps)(const struct target_options *options);

    /* Sets the bytes of each kind of unit for a disk of virtual_size bytes. Returns the number of
     * kinds. NULL, or a result of 0: the size does not depend on the data. */
    size_t (*units)(const struct target_options *options, uint64_t virtual_size,
                    uint64_t units[TARGET_UNITS_MAX]);

    /* Computes the sizes for a disk of virtual_size bytes; touched: the number of units of each
     * kind that hold data. Returns 0, -EFBIG (too large) or -ENOTSUP (the format cannot hold this
     * disk), with a message in why, in qemu's words where qemu refuses it. */
    int (*size)(const struct target_options *options, uint64_t virtual_size,
                const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                struct reason *why);
};

/* Ends with a NULL pointer. */
extern const struct target *const targets[];

extern const struct target luks_target, parallels_target, qcow_target, qcow2_target, qed_target,
    raw_target, vdi_target, vhd_target, vhdx_target, vmdk_target;

/* Returns the target with that name, as qemu-img -O takes it, or NULL. */
const struct target *target_by_name(const char *name);

/* Returns the target's index in targets[]. */
size_t target_row(const struct target *target);

/* Returns the number of targets. */
size_t targets_count(void);

#endif
