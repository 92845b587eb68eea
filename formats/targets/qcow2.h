/* SPDX-License-Identifier: Apache-2.0 */
/* The conversion models of qcow2 files. */
#ifndef FORMATS_TARGETS_QCOW2_H
#define FORMATS_TARGETS_QCOW2_H

#include "conversion.h"

extern const struct conversion_model qcow2_written, qcow2_preallocated, qcow2_compressed;

#endif
