/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the program was built with AddressSanitizer, which needs addresses and system calls of
 * its own. */
#ifndef FS_SANDBOX_SANITIZERS_H
#define FS_SANDBOX_SANITIZERS_H

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZERS 1
#endif
#endif

#ifndef HAS_SANITIZERS
#define HAS_SANITIZERS 0
#endif

#endif
