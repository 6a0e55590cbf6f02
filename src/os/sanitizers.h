/* Which run-time checker the program is built with: their runtimes map terabytes, keep threads and
 * read /proc, which stacks and sandboxes have to allow for. */
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OS_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define OS_TSAN 1
#endif
#if __has_feature(memory_sanitizer)
#define OS_MSAN 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__) && !defined(OS_ASAN)
#define OS_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(OS_TSAN)
#define OS_TSAN 1
#endif

#ifndef OS_ASAN
#define OS_ASAN 0
#endif
#ifndef OS_TSAN
#define OS_TSAN 0
#endif
#ifndef OS_MSAN
#define OS_MSAN 0
#endif
#define OS_SANITIZED (OS_ASAN || OS_TSAN || OS_MSAN)
