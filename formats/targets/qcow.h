/* SPDX-License-Identifier: Apache-2.0 */
/* What the models of a qcow file's size share. */
#ifndef FORMATS_TARGETS_QCOW_H
#define FORMATS_TARGETS_QCOW_H

enum {
    QCOW_CLUSTER = 4096,
    QCOW_RANGE = QCOW_CLUSTER / 8 * QCOW_CLUSTER, /* bytes of the disk that an L2 table tells of */
};

extern const struct conversion_model qcow_compressed;

#endif
