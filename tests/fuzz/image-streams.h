/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of the extents and the bytes of a disk, whatever the image. */
#ifndef TESTS_FUZZ_IMAGE_STREAMS_H
#define TESTS_FUZZ_IMAGE_STREAMS_H

struct open_options;

/*
 * Walks over the first extents of the image in fd, as who wants host offsets and as who does not:
 * both are told the same. Goes to the middle of some: what is there is what the walk has told.
 * Reads them at once and in two halves. Ends with abort(), said, where that is not so.
 */
void check_streams(int fd, const struct open_options *options);

#endif
