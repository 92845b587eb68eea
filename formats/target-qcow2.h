/* SPDX-License-Identifier: Apache-2.0 */
/* What the models of a qcow2 file's size share. */
#ifndef FORMATS_TARGET_QCOW2_H
#define FORMATS_TARGET_QCOW2_H

#include "conversion.h"

enum {
    QCOW2_L1_ENTRY = 8,
    QCOW2_L1_MAX = 32 << 20, /* bytes of an L1 table, as many as qemu makes */
};

enum {
    QCOW2_PREALLOCATION_OFF,
    QCOW2_PREALLOCATION_METADATA,
    QCOW2_PREALLOCATION_FALLOC,
    QCOW2_PREALLOCATION_FULL,
};

extern const struct conversion_model qcow2_written, qcow2_preallocated, qcow2_compressed;

#endif
