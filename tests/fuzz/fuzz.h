/* SPDX-License-Identifier: Apache-2.0 */
/* What every tests/fuzz/<name>.c has. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Looks at an input, and ends with abort(), or by a sanitizer, if something is wrong. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
