/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of extents and guest bytes, whatever the image. */
#ifndef TESTS_FUZZ_IMAGE_STREAMS_H
#define TESTS_FUZZ_IMAGE_STREAMS_H

struct open_options;

/*
 * Walks over the first extents of the image in fd, with host offsets and without: both walks must
 * agree. Seeks to the middle of some extents, which must yield the rest of them. Reads bytes at
 * once and in two halves, which must be equal. Violations are printed and abort().
 */
void check_streams(int fd, const struct open_options *options);

#endif
