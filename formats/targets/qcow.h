/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the size models of qcow files. */
#ifndef FORMATS_TARGETS_QCOW_H
#define FORMATS_TARGETS_QCOW_H

enum {
    QCOW_CLUSTER = 4096,
    QCOW_RANGE = QCOW_CLUSTER / 8 * QCOW_CLUSTER, /* guest bytes that an L2 table maps */
};

extern const struct conversion_model qcow_compressed;

#endif
