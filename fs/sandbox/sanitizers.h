/* SPDX-License-Identifier: Apache-2.0 */
/* HAS_SANITIZERS: built with AddressSanitizer, which needs more address space and more system calls
 * than the sandbox allows. */
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
